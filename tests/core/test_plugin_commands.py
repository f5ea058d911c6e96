"""`--plugin FILE`, `zoo plugins`, `zoo new`, completion, and a plugin that takes too long."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import zoo_fashion

import zoo
from tests.core.test_plugins import BROKEN
from tests.support.command_line import Outcome
from tests.support.golden import Golden
from tests.support.installed_plugins import GOOD, Install, load, without_module
from zoo import PluginError
from zoo.cli.completion import SHELLS

TINY = """
from zoo import Entry, hookimpl

def build(input_shape, num_classes, *, units: int = 8):
    from keras import Input, Sequential, layers
    return Sequential([Input(input_shape), layers.Flatten(), layers.Dense(units), layers.Dense(num_classes, "softmax")])

@hookimpl
def register_models():
    return [Entry(name="tiny-net", target="my_arch:build", summary="Tiny.")]
"""

RECORDED = """
from zoo import Entry, Recipe, hookimpl

@hookimpl
def register_models():
    return [Entry(name="tiny-net", target="my_model:build", summary="Tiny.")]

@hookimpl
def register_recipes():
    return [
        Recipe(
            name="tiny", summary="Tiny.", dataset="fashion-mnist", model="tiny-net", trainer="fit", epochs=1,
            batch_size=64, validation=100, results="zoo_fashion:results/fashion-cnn-fast.json",
        )
    ]
"""


def call(*arguments: str | Path, cwd: Path | None = None, **environ: str) -> Outcome:
    done = subprocess.run(
        [sys.executable, "-m", "zoo", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, **environ},
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.mark.slow
def test_a_file_is_a_plugin_when_it_is_named(golden: Golden, tmp_path: Path) -> None:
    (tmp_path / "my_arch.py").write_text(TINY)
    assert "tiny-net" not in call("list", cwd=tmp_path).out  # never picked up by itself
    run = tmp_path / "run"
    done = call(
        "--plugin", "my_arch.py", "run", "fashion-cnn", "--model", "tiny-net", "--dataset", "digits", "--epochs", "9",
        "--out", run, "--json", cwd=tmp_path,
    )  # fmt: skip
    assert done.status == 0, done.err
    assert json.loads(done.out)["model"]["plugin"] == "my-arch"
    assert json.loads(done.out)["test"]["accuracy"] > 0.7
    assert call("--plugin", tmp_path / "my_arch.py", "test", run, "--quiet").status == 0
    untold = call("test", run)
    assert (untold.status, untold.out) == (1, "")
    assert "'my-arch'" in untold.err
    golden.says(untold.err)


FILES = {
    "nothing.py": None,
    "notes.txt": "",
    "broken.py": "1 / 0",
    "json.py": TINY,
    "fashion.py": TINY,
    "Tiny.py": TINY,
    "my.arch.py": TINY,
}


@pytest.mark.parametrize(("name", "content"), FILES.items(), ids=FILES)
def test_file_that_cannot_be_a_plugin_is_an_error(
    golden: Golden, tmp_path: Path, name: str, content: str | None
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with golden.raises(PluginError, plugin=Path(name).stem):
        zoo.load_registry({"ZOO_PLUGINS": ""}, files=[tmp_path / name])


def test_package_is_named_after_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "my_package" / "__init__.py"
    file.parent.mkdir()
    (file.parent / "inside.py").write_text("SUMMARY = 'From inside.'")
    file.write_text("from .inside import SUMMARY\n" + TINY.replace('"Tiny."', "SUMMARY"))
    registry = zoo.load_registry({"ZOO_PLUGINS": ""}, files=[file])
    assert registry.models.get("my-package/tiny-net").item.summary == "From inside."


def test_a_file_may_import_what_lies_beside_it_and_is_loaded_once(golden: Golden, tmp_path: Path) -> None:
    (tmp_path / "beside_it_all.py").write_text("SUMMARY = 'From beside.'")
    code = TINY.replace("Tiny.", "From beside.").replace('"From beside."', "beside_it_all.SUMMARY")
    (tmp_path / "my_arch.py").write_text("import beside_it_all\n" + code)
    for _ in range(2):
        registry = zoo.load_registry({"ZOO_PLUGINS": ""}, files=[tmp_path / "my_arch.py"])
        assert registry.models.get("tiny-net").item.summary == "From beside."
    with golden.raises(PluginError, plugin="my-arch"):
        zoo.load_registry({"ZOO_PLUGINS": ""}, files=[tmp_path / "my_arch.py"] * 2)


def test_plugins_are_listed_with_what_became_of_them(install: Install, tmp_path: Path) -> None:
    """One healthy and eight broken plugins at once."""
    broken = list(BROKEN.items())[:8]
    for number, (_, code) in enumerate(broken):
        install(f"broken-{number}", code)
    install("healthy", GOOD)
    done = call("plugins", "--json", PYTHONPATH=str(tmp_path))
    assert (done.status, done.err) == (0, "")
    rows = {row["name"]: row for row in json.loads(done.out)}
    assert rows["healthy"]["loaded"]
    assert rows["healthy"]["registers"] == {"model": ["tiny-net"]}
    assert rows["healthy"]["version"] == "1.5"
    for number in range(8):
        row = rows[f"broken-{number}"]
        assert (row["loaded"], row["registers"]) == (False, {})
        assert row["error"]
    text = call("plugins", PYTHONPATH=str(tmp_path)).out.splitlines()
    assert len(text) == len(rows)
    listed = call("list", "--json", PYTHONPATH=str(tmp_path))
    warned = [line for line in listed.err.splitlines() if line.startswith("Warning: ") and "'broken-" in line]
    assert len(warned) == 8
    for number, line in enumerate(sorted(warned)):
        assert f"'broken-{number}'" in line
        assert rows[f"broken-{number}"]["error"] in line
    assert "tiny-net" in listed.out
    strict = call("list", PYTHONPATH=str(tmp_path), ZOO_STRICT="1")
    assert (strict.status, strict.err.count("\n")) == (1, 1)
    assert "Traceback" not in strict.err


def test_plugin_that_takes_too_long_is_left_out(
    install: Install, golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("slow", "import time\ntry:\n    time.sleep(60)\nexcept:\n    time.sleep(60)\n" + GOOD)
    install("healthy", GOOD)
    started = time.monotonic()
    registry, complaints = load(ZOO_PLUGIN_SECONDS="0.2")
    assert time.monotonic() - started < 5
    assert len(complaints) == 1
    golden.says(without_module(complaints[0]))
    assert registry.models.get("tiny-net").plugin == "healthy"
    previous = signal.setitimer(signal.ITIMER_REAL, 50)
    load(ZOO_PLUGIN_SECONDS="0.2")
    assert 40 < signal.setitimer(signal.ITIMER_REAL, *previous)[0] < 50  # the caller's own timer goes on
    with golden.raises(PluginError):
        load(ZOO_PLUGIN_SECONDS="soon")


@pytest.mark.parametrize(
    "name",
    ["Upper", "../up", "my.plugin", "a-", "1st", "json", "class", "fashion", "local", "tests", "keras-zoo"],
)
def test_new_refuses_names_that_would_not_work(golden: Golden, tmp_path: Path, name: str) -> None:
    done = call("new", name, "--into", tmp_path)
    assert (done.status, done.out) == (1, "")
    golden.says(done.err)
    assert list(tmp_path.iterdir()) == []


def test_new_says_what_to_type_next(tmp_path: Path) -> None:
    done = call("new", "mine", "--into", "d ü", cwd=tmp_path)
    assert done.status == 0, done.err
    lines = [shlex.split(line) for line in done.out.splitlines()[2:]]
    assert lines[0] == ["pip", "install", "-e", "d ü/mine[dev]"]
    assert lines[-1] == ["pytest", "d ü/mine"]


@pytest.mark.slow
def test_reproduce_is_quiet_where_a_model_imports_keras_at_its_top(golden: Golden, tmp_path: Path) -> None:
    (tmp_path / "my_arch.py").write_text(RECORDED)
    (tmp_path / "my_model.py").write_text("import keras" + TINY.partition("@hookimpl")[0])
    done = call("--plugin", tmp_path / "my_arch.py", "reproduce", "tiny", "--quiet")
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1), done.err
    golden.says(done.err.replace(str(Path(zoo_fashion.__file__).parent), "<zoo_fashion>"))


def test_new_never_overwrites(golden: Golden, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("precious")
    done = call("new", "mine", "--into", tmp_path)
    assert done.status == 1
    assert str(tmp_path / "mine") in done.err
    golden.says(done.err)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["file"]


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_script(shell: str) -> None:
    done = call("completion", shell)
    assert (done.status, done.err) == (0, "")
    assert "_ZOO_COMPLETE" in done.out


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("zoo ru", ["run", "runs"]),
        ("zoo run f", ["fashion-cnn", "fashion-cnn-best", "fashion-cnn-fast"]),
        ("zoo run fashion/", ["fashion/fashion-cnn", "fashion/fashion-cnn-best", "fashion/fashion-cnn-fast"]),
        ("zoo run fashion-cnn --model f", ["fashion-cnn"]),
        ("zoo run fashion-cnn --trainer ", ["fit", "ray", "resident"]),
        ("zoo list mo", ["models"]),
        ("zoo show fashion-m", ["fashion-mnist"]),
        ("zoo check k", ["keras"]),
    ],
)
def test_completes_names(line: str, expected: list[str]) -> None:
    words = line.split(" ")
    done = call(_ZOO_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1), ZOO_PLUGINS="")
    assert [item.partition(",")[2] for item in done.out.splitlines()] == expected


def test_completion_is_silent_about_what_is_broken(install: Install, tmp_path: Path) -> None:
    install("broken", "1 / 0")
    done = call(
        _ZOO_COMPLETE="bash_complete",
        COMP_WORDS="zoo run f",
        COMP_CWORD="2",
        PYTHONPATH=str(tmp_path),
        ZOO_STRICT="1",
    )
    assert (done.out, done.err) == ("plain,fashion-cnn\nplain,fashion-cnn-best\nplain,fashion-cnn-fast\n", "")


def test_completing_names_imports_nothing_heavy() -> None:
    code = (
        "import atexit, sys; from zoo.cli import main\n"
        "atexit.register(lambda: print({'numpy', 'keras', 'tensorflow', 'msgspec'} & set(sys.modules)))\n"
        "sys.argv[0] = 'zoo'; main()"
    )
    environ = {"_ZOO_COMPLETE": "bash_complete", "COMP_WORDS": "zoo run f", "COMP_CWORD": "2", "ZOO_PLUGINS": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, **environ}
    )
    assert done.stdout.splitlines() == [
        "plain,fashion-cnn",
        "plain,fashion-cnn-best",
        "plain,fashion-cnn-fast",
        "set()",
    ]


def test_bash_completes_through_the_script(tmp_path: Path) -> None:
    script = call("completion", "bash").out
    (tmp_path / "zoo").write_text(f'#!/bin/sh\nexec {sys.executable} -m zoo "$@"\n')
    (tmp_path / "zoo").chmod(0o755)
    probe = f'{script}\nCOMP_WORDS=(zoo run fash)\nCOMP_CWORD=2\n_zoo_completion zoo\necho "${{COMPREPLY[@]}}"'
    done = subprocess.run(
        ["bash", "-c", probe],  # noqa: S607  # whatever bash there is
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "ZOO_PLUGINS": ""},
    )
    assert done.stdout.split() == ["fashion-cnn", "fashion-cnn-best", "fashion-cnn-fast"]
