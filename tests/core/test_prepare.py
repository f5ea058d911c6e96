"""`zoo.prepare`: one prepared run for the command line, code, resuming and sweeps."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import zoo
from tests.support.golden import Golden
from zoo import DataError, Metrics, Registry, Run, SettingError, StopRequested
from zoo.errors import RunFolderError
from zoo.registry.kinds import COMPONENTS
from zoo.runs import EpochRecord


def test_keras_is_not_imported_and_all_is_known() -> None:
    code = """
import sys, zoo
config = zoo.prepare("fashion-cnn", epochs=3, settings={"model.dropout": "0.1"})
print(config.settings["epochs"], config.settings["model.dropout"], config.path.parent, config.earlier)
print(config.to_record().trainer.name, "keras" in sys.modules, config.path.exists())
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["3 0.1 runs/fashion-cnn None", "fit False False"]


def test_prepared_run_is_what_run_does(small_run: Run, registry: Registry, tmp_path: Path) -> None:
    config = zoo.prepare("small", out=tmp_path / "run", registry=registry)
    assert config.to_record() == small_run.record.recipe
    done = config.run()
    assert done.record.model_sha256 == small_run.record.model_sha256
    with pytest.raises(RunFolderError):
        config.run()  # once


def test_what_can_be_refused_is_refused(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        zoo.prepare("small", dataset="image-folder", registry=registry)
    assert zoo.prepare("small", dataset="image-folder", registry=registry, check_data=False)
    with pytest.raises(RunFolderError):
        zoo.prepare("small", resume=True, registry=registry)
    (tmp_path / "other.bin").write_bytes(b"x")
    with pytest.raises(RunFolderError):
        zoo.prepare("small", out=tmp_path, registry=registry)
    with pytest.raises(SettingError):
        zoo.prepare("small", checkpoint_every=0, registry=registry)
    with pytest.raises(TypeError):
        zoo.prepare("small", dropout=0.1, registry=registry)  # type: ignore[call-arg]  # the call is the test


@pytest.mark.slow
def test_run_and_train_resume_what_they_have_started(registry: Registry, tmp_path: Path) -> None:
    class Stop:
        def epoch_ended(self, record: EpochRecord, is_best: bool) -> None:
            raise StopRequested(15)

    with pytest.raises(StopRequested):
        zoo.train("small", out=tmp_path / "run", registry=registry, progress=Stop())
    config = zoo.prepare("small", out=tmp_path / "run", resume=True, registry=registry)
    with pytest.raises(SettingError):
        config.run()
    assert config.train().record.status == "trained"


@pytest.mark.parametrize("function", [zoo.run, zoo.train, zoo.prepare])
def test_keywords_are_written_out(function: Any) -> None:
    parameters = inspect.signature(function).parameters
    assert {"recipe", "epochs", "settings", "out", "resume", "data_dir", "registry"} <= set(parameters)
    assert {kind.choice for kind in COMPONENTS.values()} <= set(parameters)
    assert not [each for each in parameters.values() if each.kind is each.VAR_KEYWORD]
    for name in parameters:
        assert f"{name}: " in str(function.__doc__)


def test_progress_needs_one_method(registry: Registry, tmp_path: Path) -> None:
    class Losses(list[float]):
        def step(self, step: int, metrics: Metrics) -> None:
            self.append(metrics.loss)

    losses = Losses()
    zoo.train("small", epochs=1, out=tmp_path / "run", registry=registry, progress=losses)
    assert len(losses) > 1


@pytest.mark.slow
def test_notebook_shows_progress(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo.train("small", epochs=1, out=tmp_path / "script", registry=registry)
    assert capsys.readouterr().out == ""
    ipython = ModuleType("IPython")
    ipython.get_ipython = lambda: "a kernel"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    zoo.train("small", epochs=1, out=tmp_path / "notebook", registry=registry)
    assert "epoch 1/1  loss" in capsys.readouterr().out


def test_functions_take_a_folder_a_run_or_a_name(small_run: Run) -> None:
    for run in (small_run, small_run.path, str(small_run.path)):
        assert zoo.open_run(run).record == small_run.record
        assert zoo.read_predictions(run).labels.shape == (small_run.record.data.test,)
    assert zoo.open_run("fashion-cnn-fast").record.recipe.name == "fashion-cnn-fast"
    assert len(zoo.read_predictions("fashion-cnn-fast").labels) == 10_000


def test_folder_that_is_no_run_does_not_hide_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fashion-cnn-fast").mkdir()
    assert zoo.open_run("fashion-cnn-fast").record.status == "tested"
    (tmp_path / "photos").mkdir()
    with pytest.raises(RunFolderError):
        zoo.open_run("photos")


@pytest.mark.parametrize("inside", ["", "deeper/still"])
def test_folder_that_cannot_be_created_is_refused_before_anything_else(
    registry: Registry, tmp_path: Path, inside: str
) -> None:
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / inside
    with pytest.raises(RunFolderError) as raised:
        zoo.prepare("small", registry=registry, out=out)
    assert raised.value.path == str(out)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_names_of_trackers_are_a_list(registry: Registry, golden: Golden) -> None:
    with golden.raises(SettingError, name="track", value="tensorboard"):
        zoo.prepare("small", registry=registry, track="tensorboard")


def test_progress_without_any_method_is_refused(registry: Registry, golden: Golden, tmp_path: Path) -> None:
    with golden.raises(SettingError, name="progress", value=17):
        zoo.run("small", registry=registry, out=tmp_path / "run", progress=17)
    assert not (tmp_path / "run").exists()


def test_run_of_a_registry_in_code_says_how_it_is_resumed_in_code(registry: Registry, tmp_path: Path) -> None:
    class Stops:
        def epoch_ended(self, record: object, is_best: bool) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(zoo.StopRequested) as raised:
        zoo.run("small", registry=registry, out=tmp_path / "run", progress=Stops())
    assert f"zoo.resume({str(tmp_path / 'run')!r}, registry=...)" in str(raised.value)
