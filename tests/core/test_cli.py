"""The command line, called as the program calls it."""

from __future__ import annotations

import dataclasses
import fcntl
import importlib
import json
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
import textwrap
from pathlib import Path
from typing import Any

import click
import pytest
import zoo_fashion

import zoo
from tests.support.command_line import Outcome, Zoo
from tests.support.golden import Golden
from tests.support.sealing import seal, unsealed
from tests.support.small_recipe import SMALL, FashionSlice
from zoo import Entry, Registry, Run
from zoo.registry import builtin_commands
from zoo.registry.kinds import TABLE

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
MEASURED = re.compile(r"\d+ min \d+ s|\d+\.\d+( s)?")  # what differs from machine to machine


def error_of(done: Outcome) -> str:
    """Return the line that tells of an error, which must be one."""
    (line,) = [line for line in done.err.splitlines() if line.startswith("Error: ")]
    return line


def test_run_prints_results_and_where_they_are(run_zoo: Zoo, golden: Golden, tmp_path: Path) -> None:
    done = run_zoo("run", "small", "--out", tmp_path / "run", "--epochs", "1")
    assert done.status == 0
    assert re.search(r"^test +loss \d\.\d+  accuracy \d\.\d+$", done.out, re.M)
    assert str(tmp_path / "run") in done.out
    assert "predictions.png" in done.out
    assert re.search(r"^epoch 1/1  loss .* validation .* best$", done.err, re.M)
    assert not CONTROL.search(done.out + done.err)
    golden.says(MEASURED.sub("<measured>", done.out))


@pytest.mark.slow
def test_run_as_json_is_one_object(run_zoo: Zoo, tmp_path: Path) -> None:
    done = run_zoo("run", "small", "--out", tmp_path / "run", "--json", "--quiet", "--set", "model.dropout=0.1")
    assert (done.status, done.err) == (0, "")
    result = json.loads(done.out)
    assert list(result) == [
        "recipe", "run", "model", "dataset", "epochs", "best_epoch", "validation", "test", "seconds",
    ]  # fmt: skip
    assert result["recipe"] == "small"
    assert result["run"] == str(tmp_path / "run")
    assert set(result["model"]) == {"name", "plugin", "parameters"}
    assert result["dataset"] == {"name": "slice", "train": 500, "validation": 100, "test": 200}
    assert (result["epochs"], result["best_epoch"] in (1, 2)) == (2, True)
    assert set(result["validation"]) == set(result["test"]) == {"loss", "accuracy"}
    assert 0 < result["seconds"]["train"] < result["seconds"]["total"]

    again = json.loads(run_zoo("test", tmp_path / "run", "--json", "--quiet").out)
    assert list(again) == [
        "recipe", "run", "model", "dataset", "test", "classes", "confusion_matrix", "top_k_accuracy", "seconds",
    ]  # fmt: skip
    assert list(again["seconds"]) == ["total"]
    for key in ("recipe", "run", "model", "dataset", "test"):
        assert again[key] == result[key]


@pytest.mark.slow
def test_train_saves_and_does_not_test(run_zoo: Zoo, tmp_path: Path) -> None:
    trained = run_zoo("train", "small", "--out", tmp_path / "run", "--epochs", "1", "--json")
    assert json.loads(trained.out)["test"] is None
    assert (tmp_path / "run" / "model.safetensors").exists()
    tested = run_zoo("test", tmp_path / "run")
    assert re.search(r"^test +loss \d", tested.out, re.M)


def test_default_folder_is_named_by_recipe_time_and_id(
    run_zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(json.loads(run_zoo("train", "small", "--epochs", "1", "--json", "--quiet").out)["run"])
    assert path.parent == tmp_path / "runs" / "small"
    assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{4}", path.name)


FAULTS: list[tuple[list[str], int, str | None]] = [
    (["run", "smal"], 1, None),
    (["run", "small", "--model", "fashion-cn"], 1, None),
    (["run", "small", "--set", "model.dropot=1"], 1, None),
    (["run", "small", "--set", "model.dropout=2"], 1, None),
    (["run", "small", "--set", "optimizer.learning_rate=fast"], 1, None),
    (["run", "small", "--set", "trainer.learning_rate=0.1"], 1, None),
    (["run", "small", "--set", "lr=0.1"], 1, None),
    (["run", "small", "--optimizer", "adma"], 1, None),
    (["run", "small", "--augment", "shift,keras/shift"], 1, None),
    (["run", "small", "--set", "augmentation.shift.pixels=3"], 1, None),
    (["run", "small", "--monitor", "f1"], 1, None),
    (["run", "small", "--skip-bad"], 1, None),
    (["train", "small", "--dataset", "npz", "--skip-bad"], 1, None),
    (["run", "small", "--data-dir", "nowhere"], 1, None),
    (["run", "small", "--validation"], 2, "--validation"),
    (["test", "nowhere"], 1, None),
    (["show", "nothing"], 1, None),
    (["run"], 2, "RECIPE"),
    (["run", "small", "--epochs", "0"], 2, "--epochs"),
    (["run", "small", "--epochs", "many"], 2, "--epochs"),
    (["run", "small", "--epochs", "1", "--set", "epochs=2"], 1, None),
    (["run", "small", "--set", "seed=1", "--set", "seed=2"], 2, None),
    (["run", "small", "--out", ""], 2, None),
    (["test", ""], 2, None),
    (["run", "small", "--seed", str(2**32)], 2, "--seed"),
    (["run", "small", "--set", "epochs"], 2, None),
    (["run", "small", "--epoch", "1"], 2, "--epochs"),
    (["rnu", "small"], 2, None),
    (["list", "modles", "x"], 2, None),
    (["show", "fashion-cnn", "--input-shape", "28"], 2, None),
]
"""What is called, the exit status, and where click finds the fault, in words of its own, what it names."""


@pytest.mark.parametrize(("arguments", "status", "named"), FAULTS, ids=[" ".join(fault[0]) for fault in FAULTS])
def test_fault_is_one_clear_line(
    run_zoo: Zoo, golden: Golden, arguments: list[str], status: int, named: str | None
) -> None:
    done = run_zoo(*arguments)
    assert (done.status, done.out) == (status, "")
    assert "Traceback" not in done.err
    if status == 1:
        assert [line.startswith("Error: ") for line in done.err.splitlines() if not line.startswith("load")] == [True]
    if named is None:
        golden.says(error_of(done))
    else:
        assert named in error_of(done)


def test_folder_with_a_run_is_refused(run_zoo: Zoo, golden: Golden, small_run: Run) -> None:
    before = {path.name: path.read_bytes() for path in small_run.path.iterdir()}
    done = run_zoo("run", "small", "--out", small_run.path)
    assert done.status == 1
    golden.says(done.err.replace(str(small_run.path), "<run>"))
    assert {path.name: path.read_bytes() for path in small_run.path.iterdir()} == before


def test_how_to_go_on_is_quoted_for_a_shell(run_zoo: Zoo, golden: Golden, small_run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "st ü"
    folder.mkdir()
    (folder / "run.json").write_bytes(seal(unsealed(small_run.path / "run.json") | {"status": "interrupted"}))
    done = run_zoo("run", "small", "--out", folder)
    assert done.status == 1
    assert f"zoo resume '{folder}'" in done.err
    golden.says(done.err)
    done = run_zoo("run", "small", "--out", folder, "--resume", "--skip-bad")
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert "local/slice" in done.err
    golden.says(done.err)


@pytest.mark.parametrize("command", ["run", "train"])
def test_folder_with_other_things_is_refused_at_once_and_left_alone(
    run_zoo: Zoo, golden: Golden, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.cli.run.import_keras", never)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photo.jpg").write_text("mine")
    (tmp_path / ".hidden").write_text("is passed over")
    for options in ([], ["--resume"]):
        done = run_zoo(command, "small", "--out", tmp_path, *options)
        assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
        assert "'photo.jpg'" in done.err
        golden.says(done.err)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", "photo.jpg", "photos"]
    assert (tmp_path / "photo.jpg").read_text() == "mine"


def test_data_dir_is_looked_at_before_keras_is_waited_for(
    run_zoo: Zoo, golden: Golden, small_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.cli.run.import_keras", never)
    monkeypatch.setattr("zoo.cli.reproduce.import_keras", never)
    for command in (["run", "small"], ["train", "small"], ["test", small_run.path], ["reproduce", "fashion-cnn"]):
        done = run_zoo(*command, "--data-dir", tmp_path / "gone")
        assert (done.status, done.out, done.err.count("\n")) == (1, "", 1), command
        assert str(tmp_path / "gone") in done.err
        golden.says(done.err)
    done = run_zoo("run", "small", "--dataset", "npz")
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert "--data-dir" in done.err
    golden.says(done.err)


@pytest.mark.parametrize("dataset", ["image-folder", "npz", "idx", "digits", "fashion-mnist"])
@pytest.mark.parametrize("command", ["run", "train", "sweep"])
def test_empty_folder_is_told_before_keras_is_waited_for(
    run_zoo: Zoo, golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, dataset: str
) -> None:
    monkeypatch.setattr("zoo.cli.run.import_keras", never)
    monkeypatch.setattr("zoo_sweep.local.LocalEngine", never)
    (tmp_path / "data").mkdir()
    out = ["--out", tmp_path / "out"]
    done = run_zoo(command, "fashion-cnn", "--dataset", dataset, "--data-dir", tmp_path / "data", *out)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    golden.says(done.err)
    assert not (tmp_path / "out").exists()


def test_data_set_that_fails_to_look_at_its_folder_is_blamed(
    run_zoo: Zoo, golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("not today")

    monkeypatch.setattr("zoo_fashion.dataset.FashionMnist.check_data_dir", fail)
    done = run_zoo("run", "fashion-cnn", "--data-dir", tmp_path, "--out", tmp_path / "out")
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert "fashion/fashion-mnist" in done.err
    golden.says(done.err)


def test_folder_of_photographs_for_a_data_set_of_files_gets_a_hint(
    run_zoo: Zoo, golden: Golden, tmp_path: Path
) -> None:
    command = ["run", "fashion-cnn", "--data-dir", tmp_path, "--out", tmp_path / "run", "--quiet"]
    (tmp_path / "cats").mkdir()
    assert "image-folder" not in run_zoo(*command).err
    (tmp_path / "cats" / "a.JPG").touch()
    done = run_zoo(*command)
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert "--dataset image-folder" in done.err
    golden.says(done.err)


def never(*_: object) -> None:
    raise AssertionError("Keras or a process was waited for")


@pytest.mark.parametrize("arguments", [["--traceback", "test", "nowhere"], ["test", "nowhere", "--traceback"]])
def test_traceback_on_demand(run_zoo: Zoo, arguments: list[str]) -> None:
    done = run_zoo(*arguments)
    assert done.status == 1
    assert "Traceback (most recent call last)" in done.err


def test_what_is_not_our_error_is_one_line_too(run_zoo: Zoo, golden: Golden, registry: Registry) -> None:
    @click.command()
    def crash() -> None:
        raise ValueError("two\nlines")

    registry.commands.add(Entry(name="crash", target=crash, summary="Crash."))
    done = run_zoo("crash")
    assert (done.status, done.err.count("\n")) == (1, 1)
    golden.says(done.err)


def test_interrupted_is_130(run_zoo: Zoo, golden: Golden, registry: Registry) -> None:
    @click.command()
    def wait() -> None:
        raise KeyboardInterrupt

    registry.commands.add(Entry(name="wait", target=wait, summary="Wait."))
    done = run_zoo("wait")
    assert done.status == 130
    golden.says(done.err)


def test_list_shows_everything_with_its_plugin(run_zoo: Zoo, registry: Registry) -> None:
    done = run_zoo("list")
    assert done.status == 0
    assert [line for line in done.out.splitlines() if line and line[0] != " "] == [kind.plural for kind in TABLE]
    summary = registry.models.get("fashion-cnn").item.summary
    assert re.search(rf"^  fashion-cnn +fashion +{re.escape(summary)}", done.out, re.M)
    assert not CONTROL.search(done.out)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["models", "fashion/*"], ["fashion-cnn"]),
        (["model", "fashion/*"], ["fashion-cnn"]),
        (["models", "resnet-*"], ["resnet-20", "resnet-32", "resnet-50"]),
        (["recipes", "fashion-*"], ["fashion-cnn", "fashion-cnn-best", "fashion-cnn-fast"]),
        (["fashion-*"], ["fashion-cnn", "fashion-cnn-best", "fashion-cnn-fast", "fashion-cnn", "fashion-mnist"]),
        (["trainers", "keras/*"], ["fit", "resident"]),
    ],
)
def test_list_filters(run_zoo: Zoo, arguments: list[str], expected: list[str]) -> None:
    rows = json.loads(run_zoo("list", *arguments, "--json").out)
    assert [row["name"] for row in rows] == expected
    assert all(list(row) == ["kind", "name", "plugin", "summary", "aliases", "recorded"] for row in rows)


@pytest.mark.parametrize(
    "arguments", [["fashion-cn"], ["modles"], ["models", "resnet-2"], ["callbacks", "x"]], ids=" ".join
)
def test_list_of_nothing_is_an_error(run_zoo: Zoo, golden: Golden, arguments: list[str]) -> None:
    done = run_zoo("list", *arguments)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    golden.says(done.err)
    done = run_zoo("list", *arguments, "--json")
    assert (done.status, done.out, done.err.count("\n")) == (1, "[]\n", 1)


def test_show_tells_of_all_that_a_name_stands_for(run_zoo: Zoo, golden: Golden) -> None:
    recipe, model = json.loads(run_zoo("show", "fashion-cnn", "--json").out)
    assert (recipe["kind"], model["kind"]) == ("recipe", "model")
    assert recipe["version"] == model["version"] == zoo.__version__
    assert recipe["settings"]["epochs"] == 20
    assert recipe["settings"]["optimizer.learning_rate"] == 1e-3
    assert (recipe["optimizer"], recipe["schedule"]) == ("keras/adam", "keras/constant")
    assert recipe["model"] == "fashion/fashion-cnn"
    assert model["parameters"] == 356_234
    assert model["types"]["model.dense_width"] == "int"
    text = run_zoo("show", "fashion-cnn").out
    assert "model.dropout = 0.25,0.25,0.4,0.3" in text
    golden.says("\n".join(line for line in text.splitlines() if "356,234" in line))


def test_show_describes_settings(run_zoo: Zoo, golden: Golden) -> None:
    (cosine,) = json.loads(run_zoo("show", "cosine", "--json").out)
    assert cosine["description"]["schedule.warmup_epochs"] == "Epochs of the warm-up."
    assert list(cosine["description"]) == list(cosine["settings"])
    golden.says(run_zoo("show", "cosine").out.replace(zoo.__version__, "<version>"))


def test_show_describes_the_settings_of_a_recipe(run_zoo: Zoo) -> None:
    (recipe,) = json.loads(run_zoo("show", "fashion-cnn-best", "--json").out)
    assert list(recipe["description"]) == list(recipe["settings"])
    lines = run_zoo("show", "fashion-cnn-best").out.splitlines()
    for name in ("epochs", "schedule.warmup_fraction", "augmentation.shift.pixels"):
        (at,) = (at for at, line in enumerate(lines) if f" {name} = " in line)
        assert lines[at + 1].strip() == recipe["description"][name]


class Sized:
    """A base class.

    Args:
        size: Side in pixels.
        depth: Of the base.
    """


class Documented(Sized):
    """A class with a docstring that is not in the style of ours.

    Attributes:
        size: Not this.
    """

    def __init__(self, *, size: int = 1, depth: int = 2, width: int = 3, plain: int = 4) -> None: ...


Documented.__init__.__doc__ = """Set up.

        Args:
          depth (int, optional): Number of ``blocks``:
            of all | stages.

          width:
            Channels\x1b[31m.

        Returns:
          plain: Not this.
        """


def test_show_reads_docstrings_of_other_forms(run_zoo: Zoo, registry: Registry) -> None:
    registry.trainers.add(Entry(name="documented", target=Documented, summary="Documented."))
    (about,) = json.loads(run_zoo("show", "documented", "--json").out)
    assert about["description"] == {
        "trainer.size": "Side in pixels.",
        "trainer.depth": "Number of `blocks`: of all | stages.",
        "trainer.width": "Channels\x1b[31m.",
    }
    text = run_zoo("show", "documented").out
    assert "\n            Channels.\n" in text
    assert text.rstrip().endswith("trainer.plain = 4  (an integer)")


def test_show_counts_parameters_for_other_images(run_zoo: Zoo) -> None:
    done = run_zoo("show", "fashion/fashion-cnn", "--input-shape", "32x32x3", "--classes", "100", "--json")
    assert [row["parameters"] for row in json.loads(done.out) if row["kind"] == "model"] == [368_420]


@pytest.mark.parametrize("name", ["fit", "fashion-mnist", "run"])
def test_show_takes_every_kind(run_zoo: Zoo, name: str) -> None:
    done = run_zoo("show", name)
    assert done.status == 0
    assert re.search(r"^plugin +(fashion|keras|zoo) \d", done.out, re.M)


@pytest.mark.parametrize("command", ["", *(entry.name for entry in builtin_commands.COMMANDS)])
def test_help_of_every_command(run_zoo: Zoo, command: str) -> None:
    done = run_zoo(*command.split(), "--help")
    assert done.status == 0
    assert done.out.startswith(f"Usage: zoo {command}".rstrip())
    assert not CONTROL.search(done.out)


@pytest.mark.parametrize("entry", builtin_commands.COMMANDS, ids=lambda entry: entry.name)
def test_listed_summary_is_the_command_s(entry: Entry) -> None:
    module, _, name = str(entry.target).partition(":")
    command = getattr(importlib.import_module(module), name)
    assert (command.name, command.get_short_help_str(100)) == (entry.name, entry.summary)


def test_version(run_zoo: Zoo) -> None:
    assert run_zoo("--version").out == f"zoo {zoo.__version__}\n"


def test_module_is_the_program() -> None:
    done = subprocess.run([sys.executable, "-m", "zoo", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"zoo {zoo.__version__}\n"


def start(*arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
    """Start the program, with the tests' small recipe, in a process of its own."""
    command = [sys.executable, "-m", "tests.support.small_zoo", *map(str, arguments)]
    return subprocess.Popen(command, text=True, **options)


LOSES_A_SIGNAL = """
import contextlib, os, signal, threading
if threading.current_thread() is threading.main_thread():  # as an extension's callback does, or a finalizer
    with contextlib.suppress(BaseException):
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(60)
"""


def test_signal_that_keras_loses_ends_the_run(golden: Golden, tmp_path: Path) -> None:
    (tmp_path / "keras.py").write_text(LOSES_A_SIGNAL)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}"}
    command = [sys.executable, "-m", "zoo", "run", "fashion-cnn", "--out", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 143
    golden.says(done.stderr)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_signal_that_a_model_loses_ends_the_run(golden: Golden, tmp_path: Path) -> None:
    (tmp_path / "losing.py").write_text(
        "from zoo import Entry, hookimpl\n\n\ndef build(input_shape, num_classes):\n"
        "    from keras import Input, Sequential, layers\n"
        f"{textwrap.indent(LOSES_A_SIGNAL, '    ')}\n"
        "    return Sequential([Input(input_shape), layers.Flatten(), layers.Dense(num_classes, 'softmax')])\n\n\n"
        "@hookimpl\ndef register_models():\n    return [Entry(name='losing', target=build, summary='One layer.')]\n"
    )
    command = [sys.executable, "-m", "zoo", "--plugin", str(tmp_path / "losing.py"), "train", "fashion-cnn"]
    options = ["--model", "losing", "--epochs", "2", "--out", str(tmp_path / "run")]
    done = subprocess.run([*command, *options], capture_output=True, text=True)
    said = done.stderr.splitlines()[-1]
    assert done.returncode == 143
    assert f"zoo --plugin {tmp_path}/losing.py resume {tmp_path}/run" in said
    golden.says(said)
    assert json.loads((tmp_path / "run" / "run.json").read_bytes())["status"] == "interrupted"


@pytest.mark.slow
def test_reader_of_progress_may_leave(tmp_path: Path) -> None:
    command = ["train", "small", "--epochs", "1", "--out", str(tmp_path / "run"), "--json"]
    process = start(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr is not None
    assert process.stdout is not None
    process.stderr.close()
    assert json.loads(process.stdout.read())["epochs"] == 1
    process.stdout.close()
    assert process.wait() == 0


def test_reader_of_a_list_may_leave() -> None:
    command = shlex.join([sys.executable, "-m", "zoo", "list"]) + " | head -1"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "recipes\n", "")


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_full_disk_behind_standard_output_is_one_plain_line(golden: Golden, unbuffered: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "zoo", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    golden.says(done.stderr)


@pytest.mark.parametrize("arguments", [["list"], ["show", "fashion-cnn"]])
def test_works_without_standard_error(arguments: list[str]) -> None:
    command = shlex.join([sys.executable, "-m", "zoo", *arguments]) + " 2>&-"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "fashion-cnn" in done.stdout


@pytest.mark.slow
def test_what_libraries_log_later_does_no_harm() -> None:
    code = """
import sys
from zoo.cli import main
try:
    main(["show", "fashion-cnn", "--input-shape", "28,28,3"])
except SystemExit:
    import logging
    import tensorflow as tf
    tf.get_logger().warning("advice")
    tf.get_logger().error("a fault")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr
    assert "advice" not in done.stderr
    assert "a fault" in done.stderr


@pytest.mark.slow
def test_what_a_plugin_prints_does_not_spoil_json(run_zoo: Zoo, registry: Registry, tmp_path: Path) -> None:
    class Chatty(FashionSlice):
        def load(self, data_dir: Path | None) -> zoo.Split:
            print("loading")
            return super().load(data_dir)

    registry.datasets.add(Entry(name="chatty", target=Chatty, summary="Prints."))
    done = run_zoo("run", "small", "--dataset", "chatty", "--epochs", "1", "--out", tmp_path / "run", "--json")
    assert json.loads(done.out)["dataset"]["name"] == "chatty"
    assert "loading" in done.err


def test_matplotlib_backend_of_a_notebook_is_no_matter(pictures: None) -> None:
    environ = {**os.environ, "MPLBACKEND": "module://no_such_backend"}
    command = [sys.executable, "-m", "zoo", "show", "fashion-cnn"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    assert (done.returncode, done.stderr) == (0, "")


def test_plugin_that_exits_is_told_as_the_plugin_s(run_zoo: Zoo, golden: Golden, registry: Registry) -> None:
    def build(input_shape: tuple[int, int, int], num_classes: int) -> None:
        sys.exit(0)

    registry.models.add(Entry(name="exits", target=build, summary="Exits."))
    done = run_zoo("run", "small", "--model", "exits", "--quiet")
    assert done.status == 1
    assert "local/exits" in error_of(done)
    assert "SystemExit: 0" in error_of(done)
    golden.says(error_of(done))


@pytest.mark.slow
def test_data_dir_is_read(run_zoo: Zoo, golden: Golden, tmp_path: Path) -> None:
    for source in (Path(zoo_fashion.__file__).parent / "data").glob("*.gz"):
        (tmp_path / source.name).symlink_to(source)
    folder = tmp_path / "run"
    done = run_zoo("train", "small", "--epochs", "1", "--data-dir", tmp_path, "--out", folder, "--quiet")
    assert done.status == 0
    assert run_zoo("test", folder, "--data-dir", tmp_path, "--quiet").status == 0
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    done = run_zoo("test", folder, "--data-dir", tmp_path, "--quiet")
    assert done.status == 1
    assert str(tmp_path / "t10k-labels-idx1-ubyte.gz") in error_of(done)
    golden.says(error_of(done))


def test_result_of_a_command_is_no_exit_status(run_zoo: Zoo, registry: Registry) -> None:
    @click.command()
    def five() -> int:
        return 5

    registry.commands.add(Entry(name="five", target=five, summary="Return five."))
    assert run_zoo("five").status == 0


@pytest.mark.slow
def test_renamed_thing_is_said_once(run_zoo: Zoo, golden: Golden, registry: Registry, tmp_path: Path) -> None:
    registry.recipes.add(dataclasses.replace(SMALL, name="new", former_names=("old",)))
    done = run_zoo("run", "old", "--epochs", "1", "--out", tmp_path / "run", "--quiet")
    assert (done.status, done.err.count("\n")) == (0, 1)
    golden.says(done.err)


def test_show_tells_what_it_can_of_a_model_that_does_not_build(
    run_zoo: Zoo, golden: Golden, registry: Registry
) -> None:
    def build(input_shape: tuple[int, int, int], num_classes: int, *, depth: int, width: int = 3) -> None:
        raise ValueError("images must be square")

    registry.models.add(Entry(name="picky", target=build, summary="Picky."))
    done = run_zoo("show", "picky")
    assert done.status == 0
    golden.says(done.out.replace(zoo.__version__, "<version>"))


def set_columns(terminal: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))


def in_terminal(*arguments: str) -> str:
    """Return what a call of Python writes to a terminal of 100 columns."""
    primary, secondary = pty.openpty()
    os.set_blocking(primary, True)
    set_columns(secondary, 100)
    base = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
    process = subprocess.Popen(
        [sys.executable, *arguments], stdout=secondary, stderr=secondary, env={**base, "TERM": "xterm"}
    )
    os.close(secondary)
    written = b""
    while True:
        try:
            chunk = os.read(primary, 65536)
        except OSError:  # what Linux answers when the other side is closed
            break
        if not chunk:
            break
        written += chunk
    os.close(primary)
    assert process.wait() == 0, written
    return written.decode()


def test_descriptions_of_settings_are_wrapped_in_a_terminal() -> None:
    lines = in_terminal("-m", "zoo", "show", "fit").splitlines()
    assert 80 < max(len(line) for line in lines if line.startswith(" " * 12)) <= 100


@pytest.mark.slow
def test_terminal_gets_a_bar_and_no_chatter(tmp_path: Path) -> None:
    written = in_terminal("-m", "tests.support.small_zoo", "run", "small", "--out", str(tmp_path / "run"))
    assert "\x1b[" in written
    assert "epoch 1/2" in written
    assert re.search(r"test +loss", written)
    for chatter in ("oneDNN", "cuda", "absl", "WARNING", "Traceback"):
        assert chatter not in written


PLAIN = """
import os, sys
from tests.core.test_cli import set_columns
from tests.support.small_recipe import make_registry
from zoo.cli import main
from zoo.cli.context import Session
for columns, no_color, term in ((100, "1", "xterm"), (40, "", "xterm"), (100, "", "dumb")):
    set_columns(2, columns)
    os.environ |= {"NO_COLOR": no_color, "TERM": term}
    session = Session()
    session.registry = make_registry()
    try:
        main(["train", "small", "--epochs", "1", "--out", f"{sys.argv[1]}/{columns}-{term}-{no_color}"], session)
    except SystemExit as end:
        assert end.code == 0
"""


@pytest.mark.slow
def test_plain_terminal_gets_plain_text(tmp_path: Path) -> None:
    written = in_terminal("-c", PLAIN, str(tmp_path))
    assert written.count("epoch 1/1  loss ") == 3
    assert not CONTROL.search(written.replace("\r\n", "\n"))


@pytest.mark.parametrize("command", ["list", "plugins"])
def test_closed_standard_output_is_no_fault(command: str) -> None:
    code = "import os, sys; os.close(1); os.execv(sys.executable, [sys.executable, '-m', 'zoo', *sys.argv[1:]])"
    done = subprocess.run([sys.executable, "-c", code, command], stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
