"""Records whose values no run can have: each command says so in a line that names the file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zoo
from tests.faults.corpus import edited
from tests.support.command_line import Zoo
from zoo import Run
from zoo.errors import RunFolderError

Json = dict[str, Any]
Edit = Callable[[Json], object]


def of_metrics(split: str, **values: Any) -> Edit:
    return lambda record: record[split].update(values)


def of_epoch(**values: Any) -> Edit:
    return lambda record: record["history"][0].update(values)


def of_epoch_metrics(split: str, **values: Any) -> Edit:
    return lambda record: record["history"][0][split].update(values)


BAD: dict[str, Edit] = {
    "accuracy above 1": of_metrics("test", accuracy=1.5),
    "accuracy below 0": of_metrics("test", accuracy=-0.1),
    "validation accuracy above 1": of_metrics("validation", accuracy=2.0),
    "accuracy of an epoch above 1": of_epoch_metrics("train", accuracy=7.0),
    "negative test loss": of_metrics("test", loss=-1.0),
    "negative validation loss": of_metrics("validation", loss=-1.0),
    "negative validation loss of an epoch": of_epoch_metrics("validation", loss=-1.0),
    "vast loss": of_metrics("test", loss=1e300),
    "negative seconds": of_epoch(seconds=-1.0),
    "vast seconds": lambda record: record["seconds"].update(train=1e300),
    "epochs from 0": of_epoch(epoch=0),
    "epochs out of order": lambda record: record["history"].reverse(),
    "one epoch twice": lambda record: record["history"].append(record["history"][-1]),
    "best epoch beyond the last": lambda record: record.update(best_epoch=3),
    "best epoch 0": lambda record: record.update(best_epoch=0),
    "best epoch of none": lambda record: record.update(history=[], best_epoch=1),
    "10**18 test images": lambda record: record["data"].update(test=10**18),
    "2**40 test images": lambda record: record["data"].update(test=1 << 40),
    "-1 test images": lambda record: record["data"].update(test=-1),
    "10**18 parameters": lambda record: record.update(parameters=10**18),
    "recipe called with 10 MB": lambda record: record["recipe"].update(name="x" * (10 << 20)),
    "model called with 2,000 letters": lambda record: record["recipe"]["model"].update(name="x" * 2000),
    "class called with 10 MB": lambda record: record["data"].update(class_names=["x" * (10 << 20)]),
    "error of 10 MB": lambda record: record.update(error="x" * (10 << 20)),
    "start of 10 MB": lambda record: record.update(started="x" * (10 << 20)),
    "setting of 1 MB": lambda record: record["recipe"]["trainer"]["settings"].update(decay_exempt="x" * (1 << 20)),
    "variable of 1 MB": lambda record: record["environment"]["variables"].update(XLA_FLAGS="x" * (1 << 20)),
}


@pytest.fixture(params=BAD)
def bad(request: pytest.FixtureRequest, small_run: Run, tmp_path: Path) -> Path:
    """A copy of a finished run whose record was changed, and sealed again."""
    shutil.copytree(small_run.path, tmp_path / "runs" / "bad")
    edited(BAD[request.param])(tmp_path / "runs" / "bad" / "run.json")
    return tmp_path / "runs" / "bad"


def test_record_that_no_run_can_have_is_refused_by_every_command(
    bad: Path, small_run: Run, run_zoo: Zoo, tmp_path: Path
) -> None:
    commands = ["report", bad], ["compare", bad, small_run.path], ["record", bad, "--out", tmp_path / "results.json"]
    for arguments in commands:
        told = run_zoo(*arguments)
        assert (told.status, told.out) == (1, "")
        (line,) = told.err.splitlines()
        assert line.startswith("Error: ")
        assert str(bad / "run.json") in line
        assert len(line) < 2000
    listed = run_zoo("runs", tmp_path / "runs")
    assert (listed.status, listed.out) == (0, "")
    (line,) = [line for line in listed.err.splitlines() if line.startswith("Warning: ")]
    assert str(bad / "run.json") in line
    assert len(line) < 2000


def test_record_that_no_run_can_have_is_no_run_in_code(bad: Path) -> None:
    with pytest.raises(RunFolderError) as raised:
        zoo.open_run(bad)
    assert raised.value.path == str(bad / "run.json")


def test_loss_in_training_may_be_negative(small_run: Run, tmp_path: Path) -> None:
    shutil.copytree(small_run.path, tmp_path / "run")
    edited(of_epoch_metrics("train", loss=-1.0))(tmp_path / "run" / "run.json")
    assert zoo.open_run(tmp_path / "run").record.history[0].train.loss == -1


def test_accuracy_that_was_rounded_up_has_an_interval(small_run: Run, run_zoo: Zoo, tmp_path: Path) -> None:
    shutil.copytree(small_run.path, tmp_path / "run")

    def edit(record: Json) -> None:
        record["test"]["accuracy"] = 1 + 5e-7
        record["data"]["test"] = 10**9
        record["predictions_sha256"] = None

    edited(edit)(tmp_path / "run" / "run.json")
    assert run_zoo("report", tmp_path / "run").status == 0


def test_vast_file_of_predictions_is_not_read_because_the_record_has_as_many_images(
    small_run: Run, run_zoo: Zoo, tmp_path: Path
) -> None:
    shutil.copytree(small_run.path, tmp_path / "run")
    edited(lambda record: record["data"].update(test=10**9))(tmp_path / "run" / "run.json")
    saved = tmp_path / "run" / "test-predictions.safetensors"
    with saved.open("wb") as file:
        file.truncate(44 * 10**9)
    told = run_zoo("report", tmp_path / "run")
    assert told.status == 1
    assert str(saved) in told.err
