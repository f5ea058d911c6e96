"""The test predictions of a run: kept when it is tested, read without a backend, refused when they are not its own."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from safetensors.numpy import save

import zoo
from tests.support.golden import Golden
from tests.support.sealing import seal, unsealed
from tests.support.small_recipe import FashionSlice
from zoo import DataError, Entry, Registry, Run
from zoo.errors import ArtifactError, RunFolderError, UnknownNameError

FILE = "test-predictions.safetensors"


@pytest.fixture
def run(small_run: Run, tmp_path: Path) -> Path:
    """A copy of the finished run, to be changed."""
    return Path(shutil.copytree(small_run.path, tmp_path / "run"))


def change(run: Path, **fields: object) -> None:
    (run / "run.json").write_bytes(seal(unsealed(run / "run.json") | fields))


def replace_predictions(run: Path, labels: object, probabilities: object) -> None:
    """Write other predictions into a run folder, as one would who can also seal its record."""
    data = save({"labels": np.asarray(labels, "int32"), "probabilities": np.asarray(probabilities, "float32")})
    (run / FILE).write_bytes(data)
    change(run, predictions_sha256=hashlib.sha256(data).hexdigest())


def test_predictions_are_those_of_the_model(small_run: Run, registry: Registry) -> None:
    found = zoo.read_predictions(small_run)
    assert (found.probabilities.shape, found.probabilities.dtype.name) == ((200, 10), "float32")
    split = FashionSlice().load(None)
    images, labels = split.test[np.arange(200)]
    assert found.labels.tolist() == labels.tolist()
    assert small_run.test_metrics is not None
    assert (found.probabilities.argmax(axis=1) == labels).mean() == small_run.test_metrics.accuracy
    predicted = zoo.load(small_run.path, registry=registry).predict(images)
    np.testing.assert_allclose(found.probabilities, predicted, atol=1e-6)


@pytest.mark.slow
def test_same_run_same_file(small_run: Run, registry: Registry, golden: Golden, tmp_path: Path) -> None:
    trained = zoo.train("small", out=tmp_path / "a run", registry=registry)
    assert not (trained.path / FILE).exists()
    with golden.raises(RunFolderError, path=str(trained.path)) as raised:
        zoo.read_predictions(trained)
    assert f"zoo test '{tmp_path}/a run'" in str(raised.value)
    stopped = replace(trained, record=msgspec.structs.replace(trained.record, status="interrupted", model_sha256=None))
    with golden.raises(RunFolderError, path=str(trained.path)) as raised:
        zoo.read_predictions(stopped)
    assert f"zoo resume '{tmp_path}/a run'" in str(raised.value)
    zoo.test(trained.path, registry=registry)
    assert (trained.path / FILE).read_bytes() == (small_run.path / FILE).read_bytes()
    again = zoo.read_predictions(zoo.open_run(trained.path))
    assert again.labels.tolist() == zoo.read_predictions(small_run).labels.tolist()


def test_run_of_an_older_version_gets_them_from_a_second_test(
    small_run: Run, run: Path, registry: Registry, golden: Golden
) -> None:
    before = unsealed(run / "run.json")
    del before["predictions_sha256"]  # as it was written then
    (run / "run.json").write_bytes(seal(before))
    (run / FILE).unlink()
    with golden.raises(RunFolderError, path=str(run)) as raised:
        zoo.read_predictions(zoo.open_run(run))
    assert f"zoo test {run}" in str(raised.value)
    zoo.test(run, registry=registry)
    assert (run / FILE).read_bytes() == (small_run.path / FILE).read_bytes()
    assert unsealed(run / "run.json") == unsealed(small_run.path / "run.json")


def test_predictions_that_do_not_fit_what_was_recorded_are_not_added(run: Path, registry: Registry) -> None:
    change(run, predictions_sha256=None, test={"loss": 0.5, "accuracy": 0.5})
    (run / FILE).unlink()
    record = (run / "run.json").read_bytes()
    zoo.test(run, registry=registry)
    assert not (run / FILE).exists()
    assert (run / "run.json").read_bytes() == record


def test_damage_is_told(run: Path, golden: Golden) -> None:
    data = bytearray((run / FILE).read_bytes())
    data[-1] ^= 1
    (run / FILE).write_bytes(data)
    with golden.raises(ArtifactError, path=str(run / FILE)):
        zoo.read_predictions(zoo.open_run(run))
    (run / FILE).write_bytes(bytes(4 << 20))
    with golden.raises(RunFolderError, path=str(run / FILE)):
        zoo.read_predictions(zoo.open_run(run))
    (run / FILE).unlink()
    with golden.raises(RunFolderError, path=str(run / FILE)):
        zoo.read_predictions(zoo.open_run(run))


EVEN = np.full((200, 10), 0.1)


@pytest.mark.parametrize(
    ("labels", "probabilities"),
    [
        (np.full(200, 10), EVEN),
        (np.full(200, -1), EVEN),
        (np.zeros(200), EVEN * 2),
        (np.zeros(200), np.eye(10)[[0] * 200] * 2 - EVEN),
        (np.zeros(200), EVEN * np.nan),
        (np.zeros(199), EVEN[1:]),
        (np.zeros(200), EVEN[:, 1:]),
    ],
    ids=["class too high", "class too low", "sum of 2", "negative", "NaN", "one image fewer", "one class fewer"],
)
def test_sealed_nonsense_is_refused(run: Path, labels: object, probabilities: object) -> None:
    replace_predictions(run, labels, probabilities)
    with pytest.raises(ArtifactError):
        zoo.read_predictions(zoo.open_run(run))


def test_reading_needs_neither_keras_nor_the_data(small_run: Run) -> None:
    code = (
        "import sys, zoo; found = zoo.read_predictions(zoo.open_run(sys.argv[1])); print(len(found.labels)); "
        "assert not {'keras', 'tensorflow', 'jax', 'zoo_fashion'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(small_run.path)], capture_output=True, text=True, check=True)
    assert done.stdout == "200\n"


def test_predictions_are_summed_up(small_run: Run) -> None:
    assert small_run.test_metrics is not None
    accuracy = f"{small_run.test_metrics.accuracy:.4f}"
    assert repr(zoo.read_predictions(small_run)) == f"Predictions(images=200, classes=10, accuracy={accuracy})"


def test_runs_are_found_below_a_folder(small_run: Run, golden: Golden, tmp_path: Path) -> None:
    for name in ("b/1", "a", "b/.hidden", "a/inner"):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / name / "run.json").write_text("not one")
    (tmp_path / "link").symlink_to(small_run.path)
    assert zoo.runs.find_runs(tmp_path) == [tmp_path / "a", tmp_path / "b" / "1"]
    assert zoo.runs.find_runs(str(tmp_path / "a")) == [tmp_path / "a"]
    with golden.raises(RunFolderError, path=str(tmp_path / "nowhere")):
        zoo.runs.find_runs(tmp_path / "nowhere")


def test_run_is_opened_by_folder_or_recipe(small_run: Run, registry: Registry, golden: Golden) -> None:
    assert zoo.open_run(small_run.path).record == small_run.record
    assert zoo.open_run("fashion-cnn", registry=registry).record.recipe.name == "fashion-cnn"
    assert zoo.open_run("fashion/fashion-cnn-fast").record.recipe.name == "fashion-cnn-fast"
    with golden.raises(UnknownNameError, kind="recipe", name="fashion-cn") as raised:
        zoo.open_run("fashion-cn")
    assert raised.value.suggestions[0] == "fashion-cnn"


@pytest.mark.parametrize("recipe", ["fashion-cnn", "fashion-cnn-fast"])
def test_shipped_runs_have_their_predictions(recipe: str, registry: Registry) -> None:
    run = zoo.open_run(recipe, registry=registry)
    found = zoo.read_predictions(run)
    assert run.test_metrics is not None
    assert (found.probabilities.argmax(axis=1) == found.labels).mean() == run.test_metrics.accuracy
    test = zoo.load_data(run, registry=registry).test
    assert test[np.arange(10_000)][1].tolist() == found.labels.tolist()


def test_data_of_a_run_are_those_it_was_made_with(
    small_run: Run, run: Path, registry: Registry, golden: Golden
) -> None:
    assert len(zoo.load_data(small_run, registry=registry).test) == 200
    with golden.raises(UnknownNameError, kind="dataset", name="local/slice"):
        zoo.load_data(run)

    class Others(FashionSlice):
        def load(self, data_dir: Path | None) -> zoo.Split:
            split = super().load(data_dir)
            return zoo.Split(train=split.train, test=split.test, class_names=tuple("abcdefghij"))

    other = zoo.load_registry({"ZOO_PLUGINS": ""})
    other.datasets.add(Entry(name="slice", target=Others, summary="Other classes."))
    with golden.raises(DataError, path=str(run)):
        zoo.load_data(run, registry=other)
