"""`zoo runs`: the runs in a folder, sorted, filtered, damaged ones named; without a backend."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import zoo
from tests.support.command_line import Zoo
from tests.support.golden import Golden
from tests.support.sealing import seal, unsealed
from zoo import Registry, Run

EPOCHS = {"a": 2, "b/late": 5, "c": 3}
AUGMENTATIONS = [
    {"name": "shift", "plugin": "keras", "settings": {"pixels": 2}},
    {"name": "flip", "plugin": "keras", "settings": {}},
]


@pytest.fixture
def folder(small_run: Run, tmp_path: Path) -> Path:
    """Runs of their own seeds, accuracies and starts, one that was never tested, and one that is damaged."""
    for number, (name, epochs) in enumerate(EPOCHS.items()):
        content: dict[str, Any] = unsealed(small_run.path / "run.json")
        content["recipe"] |= {"seed": number, "epochs": epochs}
        content["recipe"]["model"]["settings"]["dense_width"] = 16 * (number + 1)
        content["started"] = f"2026-11-0{3 - number}T10:00:00+00:00"
        content["test"]["accuracy"] = (0.9, 0.7, 0.8)[number]
        content["recipe"]["augmentations"] = [AUGMENTATIONS[at] for at in range(number)]
        if name != "a":
            content["validation"]["others"] = {"macro-f1": 0.2 * number}
            content["test"]["others"] = {"macro-f1": 0.25}
        if name == "c":
            content |= {"test": None, "status": "trained"}
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "run.json").write_bytes(seal(content))
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "run.json").write_bytes((tmp_path / "a" / "run.json").read_bytes().replace(b"0.9", b"1.0"))
    return tmp_path


def names(run_zoo: Zoo, folder: Path, *options: str) -> list[str]:
    done = run_zoo("runs", folder, "--json", *options)
    assert done.status == 0, done.err
    return [str(Path(row["run"]).relative_to(folder)) for row in json.loads(done.out) if "fault" not in row]


def test_table_names_each_run_and_the_damaged_one(run_zoo: Zoo, golden: Golden, folder: Path) -> None:
    done = run_zoo("runs", folder)
    assert done.status == 0
    head, *lines = done.out.splitlines()
    assert head.split()[:9] == ["run", "recipe", "model", "dataset", "seed", "status", "validation", "test", "seconds"]
    assert [line.split()[0] for line in lines] == ["c", "b/late", "a"]  # by the time they were started
    assert lines[2].split()[1:6] == ["small", "fashion-cnn", "slice", "0", "tested"]
    assert "0.9000" in lines[2]
    assert lines[0].split()[7] == "-"
    assert done.err.count("\n") == 1
    assert str(folder / "damaged") in done.err
    golden.says(done.err)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--sort", "test"], ["b/late", "a", "c"]),
        (["--sort", "test", "--reverse"], ["a", "b/late", "c"]),
        (["--sort", "model.dense_width", "--reverse"], ["c", "b/late", "a"]),
        (["--sort", "run"], ["a", "b/late", "c"]),
        (["--where", "test>0.8"], ["a"]),
        (["--where", "test<=0.7"], ["b/late"]),
        (["--where", "test=none"], ["c"]),
        (["--where", "status!=trained", "--sort", "seed"], ["a", "b/late"]),
        (["--where", "model.dense_width=32"], ["b/late"]),
        (["--where", "model.widths=4,8,8", "--where", "epochs>=3", "--sort", "epochs"], ["c", "b/late"]),
        (["--where", "run=b/*"], ["b/late"]),
        (["--where", "started<2026-11-02"], ["c"]),
        (["--where", "recipe=other"], []),
        (["--sort", "macro-f1", "--reverse"], ["c", "b/late", "a"]),
        (["--where", "macro-f1>0.3"], ["c"]),
        (["--where", "test_macro-f1=0.25"], ["b/late"]),
        (["--where", "macro-f1=none"], ["a"]),
        (["--where", "optimizer=adam", "--where", "loss=cross-*", "--sort", "seed"], ["a", "b/late", "c"]),
        (["--where", "augmentations=*flip"], ["c"]),
        (["--where", "augmentation.shift.pixels=2", "--sort", "run"], ["b/late", "c"]),
    ],
    ids=lambda value: " ".join(value) if value and value[0].startswith("--") else None,
)
def test_sorts_and_filters(run_zoo: Zoo, folder: Path, options: list[str], expected: list[str]) -> None:
    assert names(run_zoo, folder, *options) == expected


def test_validation_is_what_the_run_had(run_zoo: Zoo, folder: Path) -> None:
    content = unsealed(folder / "a" / "run.json")
    content["data"]["validation"] = 55  # a dataset's own, where the recipe would have cut 100
    (folder / "a" / "run.json").write_bytes(seal(content))
    rows = {Path(row["run"]).name: row for row in json.loads(run_zoo("runs", folder, "--json").out)}
    assert {name: row["settings"]["validation"] for name, row in rows.items() if "settings" in row} == {
        "a": 55, "late": 100, "c": 100,
    }  # fmt: skip
    assert run_zoo("report", folder / "a").status == 0
    assert re.search(r">validation</t.>\s*<td[^>]*>55<", (folder / "a" / "report.html").read_text())


def test_json_has_settings_metrics_and_faults(run_zoo: Zoo, folder: Path) -> None:
    rows = {Path(row["run"]).name: row for row in json.loads(run_zoo("runs", folder, "--json").out)}
    assert set(rows) == {"a", "late", "c", "damaged"}
    assert list(rows["damaged"]) == ["run", "fault"]
    assert rows["a"]["test"]["accuracy"] == 0.9
    assert rows["c"]["test"] is None
    assert rows["a"]["settings"]["optimizer.learning_rate"] == 3e-3
    assert rows["a"]["settings"]["validation"] == 100
    assert rows["late"]["test"] == {"loss": rows["a"]["test"]["loss"], "accuracy": 0.7, "macro-f1": 0.25}
    assert (rows["c"]["optimizer"], rows["c"]["augmentations"], rows["c"]["metrics"]) == ("adam", ["shift", "flip"], [])
    assert rows["c"]["settings"]["augmentation.shift.pixels"] == 2


def test_columns_can_be_added(run_zoo: Zoo, folder: Path) -> None:
    keys = ("macro-f1", "augmentations", "optimizer.learning_rate", "seed")  # the last is there already
    done = run_zoo("runs", folder, "--sort", "seed", *(word for key in keys for word in ("--column", key)))
    head, *lines = done.out.splitlines()
    assert head.split()[-4:] == ["UTC", *keys[:3]]
    assert [line.split()[-3:] for line in lines] == [
        ["-", "-", "0.003"], ["0.2000", "shift", "0.003"], ["0.4000", "shift,flip", "0.003"],
    ]  # fmt: skip
    assert run_zoo("runs", folder, "--column", "macro-f2").status == 2


def test_record_has_all_settings_of_a_run(registry: Registry) -> None:
    config = zoo.prepare(
        "small", registry=registry, optimizer="sgd", schedule="cosine", loss="focal", augmentations=["shift", "flip"],
        metrics=["top-5"], callbacks=["early-stopping"], monitor="ece",
    )  # fmt: skip
    settings = {name: list(value) if isinstance(value, tuple) else value for name, value in config.settings.items()}
    assert config.to_record().settings() == settings
    assert {"augmentation.shift.pixels", "metric.ece.bins", "loss.gamma", "model.widths"} <= set(settings)
    assert config.to_record().choices() == config.recipe.choices()


@pytest.mark.parametrize(
    "options", [["--sort", "tset"], ["--where", "model.dropot=1"], ["--where", "test"]], ids=" ".join
)
def test_wrong_keys_are_told(run_zoo: Zoo, golden: Golden, folder: Path, options: list[str]) -> None:
    done = run_zoo("runs", folder, *options)
    assert (done.status, done.out) == (2, "")
    (line,) = [line for line in done.err.splitlines() if line.startswith("Error: ")]
    golden.says(line)


def test_folder_in_place_of_a_record_is_a_damaged_run(run_zoo: Zoo, golden: Golden, folder: Path) -> None:
    (folder / "damaged" / "run.json").unlink()
    (folder / "damaged" / "run.json").mkdir()
    golden.says(run_zoo("runs", folder).err)
    (row,) = [row for row in json.loads(run_zoo("runs", folder, "--json").out) if "fault" in row]
    assert row["run"] == str(folder / "damaged")


def test_nothing_there_is_told(run_zoo: Zoo, golden: Golden, folder: Path) -> None:
    (folder / "empty").mkdir()
    golden.says(run_zoo("runs", folder / "empty").err)
    done = run_zoo("runs", folder / "nowhere")
    assert (done.status, done.out) == (1, "")
    assert str(folder / "nowhere") in done.err
    golden.says(done.err)
    golden.says(run_zoo("runs", folder, "--where", "recipe=other").err)


def test_before_the_first_run_it_says_how_to_make_one(
    run_zoo: Zoo, golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run_zoo("runs")
    assert (done.status, done.out) == (0, "")
    assert "zoo run RECIPE" in done.err
    golden.says(done.err)
    assert run_zoo("runs", "--json").out == "[]\n"


def test_names_cannot_command_a_terminal(run_zoo: Zoo, folder: Path) -> None:
    os.rename(folder / "a", folder / "a\x1b[2J\nx")
    done = run_zoo("runs", folder)
    assert "\x1b" not in done.out + done.err
    assert len(done.out.splitlines()) == 4


def test_lists_without_numpy_or_keras(folder: Path) -> None:
    code = (
        "import sys, atexit\n"
        "atexit.register(lambda: print('loaded', *{'numpy', 'keras', 'tensorflow', 'matplotlib'} & set(sys.modules)))\n"
        f"sys.argv[1:] = ['runs', {str(folder)!r}]\n"
        "from zoo.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded"
    assert len(done.stdout.splitlines()) == 5
