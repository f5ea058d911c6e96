"""The cycle in code: train, save, load, test, and what stays in the run folder."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import re
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

import zoo
from tests.support.golden import Golden
from tests.support.sealing import seal, unsealed
from tests.support.small_recipe import FashionSlice
from zoo import DataError, Dataset, Entry, ImageInput, PluginError, Registry, Run, SettingError, Trainer
from zoo.errors import ArtifactError, CycleError, RunFolderError, UnknownNameError, ZooWarning
from zoo.pipeline import plots
from zoo.registry.kinds import COMPONENTS
from zoo.runs.records import ComponentRecord, PluginRecord
from zoo.runs.run_folder import open_run
from zoo.utils import hardware


def test_run_folder_holds_the_run(small_run: Run) -> None:
    record = small_run.record
    assert sorted(path.name for path in small_run.path.iterdir()) == [
        "curves.png", "history.csv", "model.safetensors", "predictions.png", "run.json", "test-predictions.safetensors",
    ]  # fmt: skip
    assert (record.status, record.error, record.recipe.name) == ("tested", None, "small")
    assert (record.data.train, record.data.validation, record.data.test) == (500, 100, 200)
    assert record.data.input_shape == (28, 28, 1)
    assert len(record.data.digests) == 4
    assert record.recipe.model.settings == {
        "widths": [4, 8, 8], "dense_width": 16, "dropout": [0.25, 0.25, 0.4, 0.3], "pool_first": False,
    }  # fmt: skip
    assert record.recipe.optimizer is not None
    assert (record.recipe.optimizer.plugin, record.recipe.optimizer.name) == ("keras", "adam")
    assert record.recipe.optimizer.settings["learning_rate"] == 3e-3
    assert record.recipe.schedule == ComponentRecord(name="constant", plugin="keras", settings={})
    assert record.recipe.loss == ComponentRecord(name="cross-entropy", plugin="keras", settings={"label_smoothing": 0})
    assert (record.recipe.augmentations, record.recipe.metrics, record.recipe.callbacks) == ([], [], [])
    assert record.plugins["fashion"] == PluginRecord(package="keras-zoo", version=zoo.__version__)
    assert {"keras", "tensorflow", "numpy", "keras-zoo"} <= set(record.environment.packages)
    assert record.environment.processors >= 1
    assert record.environment.accelerator == hardware.accelerator_name()
    assert record.parameters == zoo.load(small_run.path, registry=_with_slice()).model.count_params()
    assert 0 < record.seconds.train < record.seconds.total


def _with_slice() -> Registry:
    registry = zoo.load_registry({"ZOO_PLUGINS": ""})
    registry.datasets.add(Entry(name="slice", target=FashionSlice, summary="800 real images."))
    return registry


def test_resolved_recipe_is_what_a_run_records(small_run: Run, registry: Registry, golden: Golden) -> None:
    assert zoo.prepare("small", registry=registry).to_record() == small_run.record.recipe
    changed = zoo.prepare("small", registry=registry, seed=3, settings={"model.dropout": "0.25"}).to_record()
    assert (changed.seed, changed.model.settings["dropout"]) == (3, 0.25)
    with golden.raises(SettingError, name="model.dropot", value=0.25) as raised:
        zoo.prepare("small", registry=registry, settings={"model.dropot": 0.25})
    assert raised.value.suggestions[0] == "model.dropout"


def test_best_epoch_is_the_one_with_the_lowest_validation_loss(small_run: Run) -> None:
    record = small_run.record
    losses = [epoch.validation.loss for epoch in record.history if epoch.validation]
    assert record.best_epoch == 1 + losses.index(min(losses))
    assert record.validation == record.history[record.best_epoch - 1].validation
    assert (small_run.path / "history.csv").read_text().count("\n") == 1 + len(losses)


@pytest.mark.parametrize("name", ["predictions.png", "curves.png"])
def test_pictures_are_pictures(small_run: Run, name: str) -> None:
    with Image.open(small_run.path / name) as image:
        assert image.width > 600
        assert len(set(image.convert("L").resize((64, 64)).tobytes())) > 20  # not blank


def test_long_heading_makes_a_picture_higher_and_no_less_legible(pictures: None) -> None:
    images, labels = np.zeros((6, 28, 28, 1), np.uint8), np.zeros(6, int)
    several = [f"{'a-long-name-' * count}: 6 images" for count in (2, 20)]
    drawn = [plots.draw_predictions(images, labels, np.ones((6, 1)), ["c"], title) for title in several]
    (width, short), (other, tall) = (Image.open(io.BytesIO(each)).size for each in drawn)
    assert width == other
    assert tall == short + 2 * 25  # three lines, of which two are more


def test_artifact_is_the_one_in_the_record(small_run: Run) -> None:
    data = (small_run.path / "model.safetensors").read_bytes()
    assert hashlib.sha256(data).hexdigest() == small_run.record.model_sha256


def test_same_seed_same_bits_another_seed_others(small_run: Run, registry: Registry, tmp_path: Path) -> None:
    again = zoo.run("small", out=tmp_path / "again", registry=registry)
    other = zoo.run("small", out=tmp_path / "other", registry=registry, seed=1)
    assert again.record.model_sha256 == small_run.record.model_sha256 != other.record.model_sha256
    assert again.test_metrics == small_run.test_metrics
    assert [epoch.train for epoch in again.record.history] == [epoch.train for epoch in small_run.record.history]


@pytest.mark.slow
def test_train_then_test_completes_the_run_and_a_second_test_leaves_it(
    small_run: Run, registry: Registry, tmp_path: Path
) -> None:
    trained = zoo.train("small", out=tmp_path / "run", registry=registry)
    assert (trained.record.status, trained.test_metrics) == ("trained", None)
    assert not (trained.path / "predictions.png").exists()
    tested = zoo.test(trained.path, registry=registry)
    assert tested.test_metrics == small_run.test_metrics
    written = {path.name: path.read_bytes() for path in trained.path.iterdir()}
    assert json.loads(written["run.json"])["status"] == "tested"
    assert "predictions.png" in written
    assert zoo.test(str(trained.path), registry=registry).test_metrics == small_run.test_metrics
    assert {path.name: path.read_bytes() for path in trained.path.iterdir()} == written


def test_changes_replace_the_recipe_s_choices(registry: Registry, tmp_path: Path) -> None:
    run = zoo.train(
        "small",
        out=tmp_path,
        registry=registry,
        epochs=1,
        batch_size=50,
        validation=0,
        settings={"model.dropout": 0.5, "model.widths": "2,3,4"},
    )
    assert len(run.record.history) == 1
    assert run.validation_metrics is None
    assert run.record.recipe.model.settings["dropout"] == 0.5
    assert run.record.recipe.model.settings["widths"] == [2, 3, 4]
    assert run.record.recipe.model.settings["dense_width"] == 16  # the recipe's


def test_another_model_does_not_get_the_recipe_s_settings(registry: Registry, tmp_path: Path, golden: Golden) -> None:
    def build(input_shape: tuple[int, int, int], num_classes: int, *, units: int = 4) -> keras.Model:
        layers = keras.layers
        return keras.Sequential(
            [keras.Input(input_shape), layers.Flatten(), layers.Dense(units), layers.Dense(num_classes, "softmax")]
        )

    registry.models.add(Entry(name="tiny-net", target=build, summary="One hidden layer."))
    run = zoo.run("small", model="tiny-net", out=tmp_path, registry=registry, epochs=1, settings={"model.units": 7})
    assert run.record.recipe.model.plugin == "local"
    assert run.record.recipe.model.settings == {"units": 7}
    with golden.raises(UnknownNameError, kind="model", name="local/tiny-net"):
        zoo.load(tmp_path, registry=_with_slice())


def test_loaded_model_predicts_images_as_they_are(small_run: Run, registry: Registry) -> None:
    loaded = zoo.load(small_run.path, registry=registry)
    images, labels = FashionSlice().load(None).test[np.arange(200)]
    probabilities = loaded.predict(images)
    assert small_run.test_metrics is not None
    assert float((probabilities.argmax(1) == labels).mean()) == small_run.test_metrics.accuracy
    np.testing.assert_array_equal(loaded.predict(images[..., 0]), probabilities)
    np.testing.assert_array_equal(loaded.predict(images[:3]), loaded.predict(images[:3]))
    assert loaded.class_names[0] == "T-shirt/top"


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 28, 28, 1), np.float32),
        np.zeros((2, 28, 28, 3), np.uint8),
        np.zeros((28, 28), np.uint8),
        np.zeros((2, 14, 28), np.uint8),
        [[1], [1, 2]],
        None,
    ],
    ids=["float32", "three-channels", "one-image", "half-the-height", "ragged", "none"],
)
def test_images_of_other_shapes_or_types_are_refused(
    small_run: Run, registry: Registry, golden: Golden, images: Any
) -> None:
    with golden.raises(DataError):
        zoo.load(small_run.path, registry=registry).predict(images)


@pytest.fixture
def copied_run(small_run: Run, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_run.path, tmp_path / "copy"))


def test_damaged_artifact_is_refused(copied_run: Path, registry: Registry, golden: Golden) -> None:
    artifact = copied_run / "model.safetensors"
    data = bytearray(artifact.read_bytes())
    data[-1] ^= 1
    artifact.write_bytes(data)
    with golden.raises(ArtifactError, path=str(artifact)):
        zoo.load(copied_run, registry=registry)
    artifact.write_bytes(bytes(64 << 20))
    with golden.raises(RunFolderError, path=str(artifact)):
        zoo.load(copied_run, registry=registry)
    artifact.unlink()
    with golden.raises(RunFolderError, path=str(artifact)):
        zoo.load(copied_run, registry=registry)


def test_missing_plugin_is_named(copied_run: Path, registry: Registry, golden: Golden) -> None:
    record = unsealed(copied_run / "run.json")
    record["recipe"]["model"]["plugin"] = "gone"
    (copied_run / "run.json").write_bytes(seal(record))
    with golden.raises(UnknownNameError, kind="model", name="gone/fashion-cnn"):
        zoo.load(copied_run, registry=registry)
    record["plugins"]["gone"] = {"package": "zoo-gone", "version": "1.2"}
    (copied_run / "run.json").write_bytes(seal(record))
    with golden.raises(UnknownNameError, kind="model", name="gone/fashion-cnn") as raised:
        zoo.load(copied_run, registry=registry)
    assert "zoo-gone" in str(raised.value)


def test_testing_on_other_data_warns(copied_run: Path, registry: Registry, golden: Golden) -> None:
    record = unsealed(copied_run / "run.json")
    record["data"]["digests"] = {"train-images-idx3-ubyte.gz": "0" * 64}
    (copied_run / "run.json").write_bytes(seal(record))
    with golden.warns(ZooWarning):
        zoo.test(copied_run, registry=registry)


def test_run_that_holds_no_model_says_so(registry: Registry, tmp_path: Path, golden: Golden) -> None:
    class Interrupting(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
        def on_epoch_end(self, epoch: int, logs: object = None) -> None:
            raise KeyboardInterrupt

    registry.callbacks.add(Entry(name="interrupting", target=Interrupting, summary="Interrupts."))
    with pytest.raises(KeyboardInterrupt):
        zoo.run("small", callbacks=["interrupting"], out=tmp_path, registry=registry)
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "interrupted"
    with golden.raises(RunFolderError, path=str(tmp_path)):
        zoo.load(tmp_path, registry=registry)


@pytest.mark.slow
def test_failed_run_records_why(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(zoo.errors.DivergedError) as raised:
        zoo.run("small", out=tmp_path, registry=registry, settings={"optimizer.learning_rate": 1e30})
    assert raised.value.epoch == 1
    record = json.loads((tmp_path / "run.json").read_text())
    assert (record["status"], record["error"]) == ("failed", f"DivergedError: {raised.value}")


def test_loaded_model_that_scores_differently_fails_the_run(registry: Registry, tmp_path: Path, golden: Golden) -> None:
    built: list[keras.Model] = []

    def build(input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
        layers = keras.layers
        order = np.arange(num_classes)
        if len(built) > 1:  # once to learn its size, once to train it
            order = order[::-1].copy()  # state that nobody saves
        dense = layers.Dense(num_classes, "softmax")
        take = layers.Lambda(lambda x: keras.ops.take(x, order, axis=-1), output_shape=(num_classes,))
        built.append(keras.Sequential([keras.Input(input_shape), layers.Flatten(), dense, take]))
        return built[-1]

    registry.models.add(Entry(name="forgetful", target=build, summary="Keeps state outside its variables."))
    with pytest.raises(CycleError) as raised:
        zoo.run("small", model="forgetful", out=tmp_path, registry=registry, epochs=1)
    trained, loaded = raised.value.trained, raised.value.loaded
    assert trained != loaded
    # what they are differs from machine to machine
    golden.says(str(raised.value).replace(str(trained), "<trained>").replace(str(loaded), "<loaded>"))
    record = json.loads((tmp_path / "run.json").read_text())
    assert (record["status"], record["test"]) == ("failed", None)


@pytest.mark.slow
def test_test_images_are_not_read_before_training_has_ended(registry: Registry, tmp_path: Path) -> None:
    reads: list[str] = []

    class Watched:
        def __init__(self, name: str, examples: zoo.interfaces.Examples) -> None:
            self.name, self.examples = name, examples

        def __len__(self) -> int:
            return len(self.examples)

        def __getitem__(self, indices: Any, /) -> Any:
            reads.append(self.name)
            return self.examples[indices]

    class WatchedSlice(Dataset):
        def load(self, data_dir: Path | None) -> zoo.Split:
            split = FashionSlice().load(data_dir)
            return zoo.Split(
                train=Watched("train", split.train), test=Watched("test", split.test), class_names=split.class_names
            )

    registry.datasets.add(Entry(name="watched", target=WatchedSlice, summary="Says what is read."))
    trained = zoo.train("small", dataset="watched", out=tmp_path / "trained", registry=registry, epochs=1)
    assert set(reads) == {"train"}
    zoo.test(trained.path, registry=registry)
    assert set(reads) == {"train", "test"}
    reads.clear()
    zoo.run("small", dataset="watched", out=tmp_path / "run", registry=registry, epochs=1)
    assert reads == sorted(reads, reverse=True)  # all of "train" comes before any of "test"


class Failing(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """Fails with images."""

    def call(self, images: Any, training: bool | None = None) -> Any:
        raise ArithmeticError("no luck")


@pytest.mark.parametrize(
    ("part", "target", "cause"),
    [
        pytest.param("model", lambda input_shape, num_classes: None, None, id="no-model"),
        pytest.param("model", lambda input_shape, num_classes: 1 / 0, ZeroDivisionError, id="failing-builder"),
        pytest.param("dataset", lambda: 7, None, id="no-dataset"),
        pytest.param(
            "dataset", lambda: type("D", (), {"load": lambda self, data_dir: None})(), None, id="no-base-class"
        ),
        pytest.param(
            "dataset", lambda: type("D", (Dataset,), {"load": lambda self, data_dir: None})(), None, id="no-split"
        ),
        pytest.param("dataset", lambda: type("D", (Dataset,), {})(), TypeError, id="no-load"),
        pytest.param(
            "dataset",
            lambda: type("D", (Dataset,), {"load": lambda self, data_dir: Path("/no/such").read_bytes()})(),
            FileNotFoundError,
            id="failing-load",
        ),
        pytest.param("trainer", lambda: 7, None, id="no-trainer"),
        pytest.param("optimizer", lambda learning_rate=0.1: 7, None, id="no-optimizer"),
        pytest.param("optimizer", lambda learning_rate=0.1: 1 / 0, ZeroDivisionError, id="failing-optimizer"),
        pytest.param("schedule", lambda rate, epochs, steps: 1 / 0, ZeroDivisionError, id="failing-schedule"),
        pytest.param("loss", lambda: "mse", None, id="no-loss"),
        pytest.param("augmentations", lambda shape: None, None, id="no-augmentation"),
        pytest.param("augmentations", lambda shape: keras.layers.Cropping2D(1), None, id="augmentation-crops"),
        pytest.param("augmentations", lambda shape: Failing(), ArithmeticError, id="augmentation-fails"),
        pytest.param("optimizer", lambda rate=0.1: keras.optimizers.SGD(rate), None, id="optimizer-without-rate"),
        pytest.param("schedule", lambda *_: None, None, id="no-schedule"),
        pytest.param("schedule", lambda *_: "0.1", None, id="schedule-of-text"),
        pytest.param("schedule", lambda rate, *_: lambda step: rate - step, None, id="schedule-below-0"),
        pytest.param("schedule", lambda *_: float("nan"), None, id="schedule-of-nan"),
        pytest.param("schedule", lambda *_: lambda step: 1 / 0, ZeroDivisionError, id="failing-rate"),
        pytest.param("callbacks", lambda: 7, None, id="no-callback"),
        pytest.param("metrics", lambda probabilities, labels: 1 / 0, ZeroDivisionError, id="failing-metric"),
        pytest.param("metrics", lambda probabilities, labels: float("nan"), None, id="metric-without-a-value"),
    ],
)
def test_plugin_s_fault_is_told_as_the_plugin_s(
    registry: Registry, tmp_path: Path, golden: Golden, part: str, target: Any, cause: type[Exception] | None
) -> None:
    (kind,) = [kind for kind in COMPONENTS.values() if kind.choice == part]
    registry.catalogs[kind.name].add(Entry(name="odd", target=target, summary="Odd."))
    changes: Any = {part: ["odd"] if kind.recipe == "many" else "odd"}
    with pytest.raises(PluginError) as raised:
        zoo.run("small", out=tmp_path, registry=registry, **changes)
    assert raised.value.plugin == "local"
    assert type(raised.value.__cause__) is (cause or type(None))
    if cause is TypeError:
        assert "load" in str(raised.value)  # not golden: the rest are words of Python
    else:
        golden.says(re.sub(r" object at 0x\w+", "", str(raised.value)))
    if part in ("model", "dataset") or re.search(r"must return a zoo.Trainer|needs a parameter", str(raised.value)):
        assert list(tmp_path.iterdir()) == []
    else:
        assert open_run(tmp_path).record.status == "failed"


def test_trainer_that_starts_no_training_is_told(registry: Registry, tmp_path: Path) -> None:
    class Odd(Trainer):
        def start(self, model: keras.Model, train: zoo.interfaces.Examples, settings: zoo.TrainingConfig) -> Any:
            return 7

        def predict(self, model: keras.Model, images: Any) -> Any:
            raise NotImplementedError

    registry.trainers.add(Entry(name="odd", target=Odd, summary="Odd."))
    with pytest.raises(PluginError, match=r"trainer local/odd must return a zoo\.Training\. Received: 7") as raised:
        zoo.run("small", trainer="odd", out=tmp_path, registry=registry)
    assert raised.value.plugin == "local"


@pytest.mark.slow
def test_data_set_says_how_other_images_are_brought_to_its_form(
    registry: Registry, tmp_path: Path, golden: Golden
) -> None:
    form = ImageInput(crop="pad", background=7, inverted=True)

    class Formed(FashionSlice):
        image_input: Any = form

    registry.datasets.add(Entry(name="formed", target=Formed, summary="Says it."))
    run = zoo.train("small", dataset="formed", out=tmp_path / "run", registry=registry, epochs=1)
    assert zoo.load(run.path, registry=registry).image_input == form
    assert zoo.open_run(run.path).record == run.record
    assert zoo.open_run("fashion-cnn", registry=registry).record.recipe.name == "fashion-cnn"
    Formed.image_input = None
    assert zoo.load(run.path, registry=registry).image_input == ImageInput()
    Formed.image_input = "pad"
    with golden.raises(PluginError, plugin="local"):
        zoo.load(run.path, registry=registry)


def test_wrong_call_leaves_no_folder(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    faults: list[tuple[type[Exception], Any]] = [
        (UnknownNameError, {"model": "nothing"}),
        (SettingError, {"settings": {"model.nothing": 1}}),
        (SettingError, {"epochs": 0}),
        (SettingError, {"validation": 600}),
        (DataError, {"data_dir": "nowhere"}),
    ]
    for error, wrong in faults:
        with pytest.raises(error):
            zoo.run("small", registry=registry, **wrong)
    assert list(tmp_path.iterdir()) == []


def test_unknown_argument_is_refused(registry: Registry) -> None:
    with pytest.raises(TypeError, match="epoch"):
        zoo.run("small", registry=registry, epoch=1)  # type: ignore[call-arg]  # the call is the test


def test_weights_that_were_cut_off_are_said_to_be(small_run: Run, registry: Registry, tmp_path: Path) -> None:
    path = shutil.copytree(small_run.path, tmp_path / "copy")
    (path / "model.safetensors").write_bytes((path / "model.safetensors").read_bytes()[:100])
    with pytest.raises(ArtifactError) as raised:
        zoo.load(path, registry=registry)
    assert raised.value.path == str(path / "model.safetensors")


def test_failing_callback_is_told_as_its_plugin_s(registry: Registry, tmp_path: Path, golden: Golden) -> None:
    class Failing(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            raise OSError("the disk is full")

    registry.callbacks.add(Entry(name="failing", target=Failing, summary="Fails."), plugin="theirs")
    with pytest.raises(PluginError) as raised:
        zoo.run("small", callbacks=["failing"], out=tmp_path, registry=registry)
    assert raised.value.plugin == "theirs"
    golden.says(str(raised.value))


@pytest.mark.slow
def test_callback_may_change_the_learning_rate(registry: Registry, tmp_path: Path) -> None:
    def still() -> keras.callbacks.Callback:
        return keras.callbacks.LearningRateScheduler(lambda epoch: 0.0)

    registry.callbacks.add(Entry(name="still", target=still, summary="Learns nothing."))
    history = zoo.train("small", callbacks=["still"], out=tmp_path, registry=registry).record.history
    assert history[0].validation == history[1].validation


@pytest.mark.slow
def test_picture_that_cannot_be_drawn_costs_no_run(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Golden
) -> None:
    def fail(*_: object) -> bytes:
        raise ValueError("no font")

    monkeypatch.setattr("zoo.pipeline.plots.draw_predictions", fail)
    monkeypatch.setattr("zoo.pipeline.plots.draw_curves", fail)
    with golden.warns(ZooWarning, count=2):
        run = zoo.run("small", out=tmp_path, registry=registry, epochs=1)
    assert (run.record.status, run.test_metrics is None) == ("tested", False)
    assert open_run(tmp_path) == run
    assert zoo.load(tmp_path, registry=registry).run == run


class Odd(Dataset):
    """Two-channel images of an odd size, with a validation split of their own."""

    def load(self, data_dir: Path | None) -> zoo.Split:
        generator = np.random.default_rng(0)
        examples = zoo.ArrayExamples(
            generator.integers(0, 256, size=(60, 7, 9, 2), dtype=np.uint8), np.arange(60, dtype=np.int16) % 3
        )
        names = ("$x^2$", "Übergröße \N{SNOWMAN}", "a" * 200)
        return zoo.Split(train=examples, validation=examples, test=examples, class_names=names)


@pytest.mark.slow
@pytest.mark.parametrize("sampling", ["natural", "balanced", "even"])
def test_training_images_are_sampled_as_the_data_set_says(
    registry: Registry, tmp_path: Path, golden: Golden, sampling: Any
) -> None:
    class Uneven(Dataset):
        def load(self, data_dir: Path | None) -> zoo.Split:
            images = np.zeros((40, 4, 4, 1), np.uint8)
            uneven = zoo.ArrayExamples(images, (np.arange(40) > 29).astype(int))
            return zoo.Split(train=uneven, test=uneven, class_names=("often", "rare"), sampling=sampling)

    class Steps:
        def __init__(self) -> None:
            self.found: list[int] = []

        def stage(self, text: str) -> None: ...

        def epoch_started(self, epoch: int, epochs: int, steps: int) -> None:
            self.found.append(steps)

        def step(self, step: int, metrics: zoo.Metrics) -> None: ...

        def epoch_ended(self, record: Any, is_best: bool) -> None: ...

    registry.datasets.add(Entry(name="uneven", target=Uneven, summary="One class is rare."))
    steps = Steps()
    call = partial(zoo.train, "small", dataset="uneven", registry=registry, batch_size=4, epochs=1, progress=steps)
    if sampling == "even":
        with golden.raises(DataError):
            call(out=tmp_path / "run")
        return
    run = call(out=tmp_path / "run", validation=8)  # which are in neither case trained on
    assert (run.record.data.train, run.record.data.validation) == (32, 8)  # different images
    assert len(steps.found) == 1
    assert steps.found == [8] if sampling == "natural" else steps.found[0] in range(10, 16)


@pytest.mark.slow
def test_any_size_any_names_own_validation_and_a_model_with_more_state(
    registry: Registry, tmp_path: Path, pictures: None
) -> None:
    def build(input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
        layers = keras.layers
        inputs = keras.Input(input_shape)
        hidden = layers.BatchNormalization()(layers.Dense(8, kernel_regularizer="l2")(layers.Flatten()(inputs)))
        return keras.Model(inputs, layers.Dense(num_classes, "softmax")(layers.GaussianNoise(0.5)(hidden)))

    registry.datasets.add(Entry(name="odd", target=Odd, summary="Odd."))
    registry.models.add(Entry(name="normed", target=build, summary="With batch normalization."))
    run = zoo.run("small", dataset="odd", model="normed", out=tmp_path, registry=registry, validation=7)
    assert (run.record.data.input_shape, run.record.data.validation) == ((7, 9, 2), 60)
    assert (tmp_path / "predictions.png").exists()
    assert run.record.history[0].train.loss < 3  # the penalty on the weights is not in it
    assert zoo.test(tmp_path, registry=registry).test_metrics == run.test_metrics


@pytest.mark.parametrize("attribute", ["train_ids", "validation_ids", "test_ids", "train_groups"])
def test_images_are_named_all_or_none(registry: Registry, tmp_path: Path, golden: Golden, attribute: str) -> None:
    class Named(Dataset):
        def load(self, data_dir: Path | None) -> zoo.Split:
            return dataclasses.replace(Odd().load(data_dir), **{attribute: ("one",)})  # type: ignore[arg-type]

    registry.datasets.add(Entry(name="named", target=Named, summary="Names one image."))
    with golden.raises(DataError):
        zoo.run("small", dataset="named", out=tmp_path, registry=registry)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_empty_part_is_told_before_training(registry: Registry, tmp_path: Path, golden: Golden, part: str) -> None:
    class Emptied(Dataset):
        def load(self, data_dir: Path | None) -> zoo.Split:
            empty: Any = {part: zoo.ArrayExamples(np.zeros((0, 7, 9, 2), np.uint8), np.zeros(0, int))}
            return dataclasses.replace(Odd().load(data_dir), **empty)

    registry.datasets.add(Entry(name="emptied", target=Emptied, summary="Lacks a part."))
    with golden.raises(DataError):
        zoo.run("small", dataset="emptied", out=tmp_path, registry=registry)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_folder_that_cannot_be_written_is_no_obstacle_to_testing(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Golden
) -> None:
    trained = zoo.train("small", out=tmp_path, registry=registry, epochs=1)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.replace", refuse)
    with golden.warns(ZooWarning):
        tested = zoo.test(tmp_path, registry=registry)
    assert tested.test_metrics is not None
    assert open_run(tmp_path).record == trained.record


@pytest.mark.parametrize(
    "layers",
    [
        lambda: [keras.layers.Flatten(), keras.layers.Dense(10)],
        lambda: [keras.layers.Flatten(), keras.layers.Dense(10, dtype="bfloat16")],
        lambda: [keras.layers.Flatten(), keras.layers.Dense(9, "softmax")],
    ],
    ids=["no-softmax", "bfloat16", "nine-classes"],
)
def test_model_that_cannot_serve_is_told_why(registry: Registry, tmp_path: Path, golden: Golden, layers: Any) -> None:
    def build(input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
        return keras.Sequential([keras.Input(input_shape), *layers()])

    registry.models.add(Entry(name="wrong", target=build, summary="Wrong."))
    with pytest.raises(PluginError) as raised:
        zoo.run("small", model="wrong", out=tmp_path, registry=registry)
    assert raised.value.plugin == "local"
    golden.says(re.sub(r"\[.*\]", "<predicted>", str(raised.value)))  # which differs from machine to machine


@pytest.mark.slow
def test_model_that_no_longer_predicts_probabilities_is_named(
    copied_run: Path, registry: Registry, golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo_keras.keras_trainer.KerasTrainer.predict", lambda _, __, images: np.ones((len(images), 9)))
    with golden.raises(PluginError, plugin="fashion"):
        zoo.test(copied_run, registry=registry)


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (DataError, lambda images, labels: (images[:1], labels[:1])),
        (DataError, lambda images, labels: (images[:-1], labels)),
        (DataError, lambda images, labels: (images / 255, labels)),
        (DataError, lambda images, labels: (images[:, :0], labels)),
        (DataError, lambda images, labels: (images, labels / 1)),
        (PluginError, lambda images, labels: None),
    ],
    ids=["one-example", "one-image-less", "float-images", "no-height", "float-labels", "no-answer"],
)
def test_examples_that_answer_wrongly_are_not_believed(
    registry: Registry, tmp_path: Path, golden: Golden, error: type[zoo.ZooError], answer: Any
) -> None:
    class Wrong:
        def __len__(self) -> int:
            return 60

        def __getitem__(self, indices: Any, /) -> Any:
            return answer(*Odd().load(None).train[indices])

    class WrongTest(Dataset):
        def load(self, data_dir: Path | None) -> zoo.Split:
            return dataclasses.replace(Odd().load(data_dir), test=Wrong())

    registry.datasets.add(Entry(name="wrong", target=WrongTest, summary="Wrong."))
    with golden.raises(error):
        zoo.run("small", dataset="wrong", out=tmp_path, registry=registry, epochs=1)


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_label_that_is_no_class_is_told_before_the_run(
    registry: Registry, tmp_path: Path, golden: Golden, part: str
) -> None:
    class Mislabeled(Dataset):
        def load(self, data_dir: Path | None) -> zoo.Split:
            wrong: Any = {part: zoo.ArrayExamples(np.zeros((60, 7, 9, 2), np.uint8), np.arange(60) % 4)}
            return dataclasses.replace(Odd().load(data_dir), **wrong)

    registry.datasets.add(Entry(name="mislabeled", target=Mislabeled, summary="Has a fourth label."))
    with golden.raises(DataError, dataset="local/mislabeled", split=part):
        zoo.run("small", dataset="mislabeled", out=tmp_path, registry=registry)
    assert list(tmp_path.iterdir()) == []


def test_label_that_is_no_class_is_told_when_it_is_read(registry: Registry, tmp_path: Path, golden: Golden) -> None:
    class Mislabeled:
        def __len__(self) -> int:
            return 60

        def __getitem__(self, indices: Any, /) -> Any:
            images, labels = Odd().load(None).train[indices]
            return images, np.where(indices == 59, -1, labels)

    class Late(Dataset):
        def load(self, data_dir: Path | None) -> zoo.Split:
            return dataclasses.replace(Odd().load(data_dir), train=Mislabeled())

    registry.datasets.add(Entry(name="late", target=Late, summary="Has a wrong label at its end."))
    with golden.raises(DataError, dataset="local/late", split="train"):
        zoo.run("small", dataset="late", out=tmp_path, registry=registry)


def test_fault_in_the_arrays_of_a_dataset_is_told_with_its_name(
    registry: Registry, tmp_path: Path, golden: Golden
) -> None:
    class Halves(Dataset):
        def load(self, data_dir: Path | None) -> zoo.Split:
            halves: Any = np.arange(60) / 2
            examples = zoo.ArrayExamples(np.zeros((60, 7, 9, 2), np.uint8), halves)
            return dataclasses.replace(Odd().load(data_dir), train=examples)

    registry.datasets.add(Entry(name="halves", target=Halves, summary="Has labels between the classes."))
    with golden.raises(DataError, dataset="local/halves", split=None):
        zoo.run("small", dataset="halves", out=tmp_path, registry=registry)


@pytest.mark.parametrize("names", [(0, 1, 2), "abc", ("a", "a", "b"), ("a",), {"a", "b", "c"}, ("a", "", "c")])
def test_class_names_are_checked_on_loading(registry: Registry, tmp_path: Path, names: Any) -> None:
    class Named(Dataset):
        def load(self, data_dir: Path | None) -> zoo.Split:
            return dataclasses.replace(Odd().load(data_dir), class_names=names)

    registry.datasets.add(Entry(name="named", target=Named, summary="Named."))
    with pytest.raises(DataError) as raised:
        zoo.run("small", dataset="named", out=tmp_path, registry=registry)
    assert f"class_names={names!r}" in str(raised.value)  # not golden: a set has no order


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (UnknownNameError, lambda registry: zoo.run(3, registry=registry)),  # type: ignore[arg-type]  # the fault
        (UnknownNameError, lambda registry: zoo.run("small", dataset=Odd, registry=registry)),  # type: ignore[arg-type]  # as above
        (SettingError, lambda registry: zoo.run("small", settings=5, registry=registry)),  # type: ignore[arg-type]  # as above
        (SettingError, lambda registry: zoo.run("small", epochs=1, settings={"epochs": 3}, registry=registry)),
        (RunFolderError, lambda registry: zoo.run("small", out="", registry=registry)),
        (RunFolderError, lambda registry: zoo.load("", registry=registry)),
    ],
    ids=["recipe", "dataset", "settings", "epochs-twice", "out", "run"],
)
def test_wrong_arguments_are_told_as_such(
    registry: Registry, golden: Golden, error: type[Exception], call: Any
) -> None:
    with golden.raises(error):
        call(registry)


@pytest.mark.parametrize(
    ("call", "name", "value"),
    [
        ("run", "out", 3),
        ("run", "track", 3),
        ("run", "registry", "x"),
        ("train", "checkpoint_every", "9"),
        ("prepare", "data_dir", 3),
        ("resume", "run", 3),
        ("resume", "data_dir", 3),
        ("test", "run", 3),
        ("test", "data_dir", 3),
        ("load", "run", None),
        ("load", "registry", "x"),
        ("load_data", "data_dir", 3),
        ("open_run", "run", b"runs"),
        ("read_predictions", "registry", "x"),
    ],
)
def test_arguments_of_another_type_are_told_as_such(
    registry: Registry, golden: Golden, call: str, name: str, value: object
) -> None:
    first = {"recipe": "small"} if call in ("run", "train", "prepare") else {"run": "fashion-cnn"}
    with golden.raises(SettingError, name=name, value=value):
        getattr(zoo, call)(**first | {"registry": registry, name: value})


@pytest.mark.slow
def test_numpy_numbers_are_numbers(registry: Registry, tmp_path: Path) -> None:
    settings = {"optimizer.learning_rate": np.float32(0.5)}
    epochs: Any = np.int64(1)
    record = zoo.train("small", epochs=epochs, settings=settings, out=tmp_path, registry=registry).record
    assert record.recipe.optimizer is not None
    assert (record.recipe.epochs, record.recipe.optimizer.settings["learning_rate"]) == (1, 0.5)


@pytest.mark.slow
def test_testing_reads_no_training_image(registry: Registry, tmp_path: Path) -> None:
    is_training = True

    class Guarded:
        def __init__(self, examples: zoo.interfaces.Examples) -> None:
            self.examples = examples

        def __len__(self) -> int:
            return len(self.examples)

        def __getitem__(self, indices: Any, /) -> Any:
            assert is_training
            return self.examples[indices]

    class GuardedSlice(Dataset):
        def load(self, data_dir: Path | None) -> zoo.Split:
            split = FashionSlice().load(data_dir)
            return dataclasses.replace(split, train=Guarded(split.train))

    registry.datasets.add(Entry(name="guarded", target=GuardedSlice, summary="Guards its training images."))
    zoo.train("small", dataset="guarded", out=tmp_path, registry=registry, epochs=1)
    is_training = False
    assert zoo.test(tmp_path, registry=registry).test_metrics is not None


@pytest.mark.slow
def test_model_may_leave_the_size_of_its_images_open(registry: Registry, tmp_path: Path) -> None:
    def build(input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
        layers = keras.layers
        inputs = keras.Input((None, None, input_shape[-1]))
        return keras.Model(
            inputs, layers.Dense(num_classes, "softmax")(layers.GlobalMaxPooling2D()(layers.Conv2D(4, 3)(inputs)))
        )

    registry.models.add(Entry(name="open", target=build, summary="Takes any size."))
    assert zoo.run("small", model="open", out=tmp_path / "plain", registry=registry, epochs=1).test_metrics is not None
    changed = zoo.run(
        "small",
        model="open",
        augmentations=["shift", "flip", "erase"],
        out=tmp_path / "changed",
        registry=registry,
        epochs=1,
    )
    assert changed.test_metrics is not None


def test_naming_the_recipe_s_own_model_keeps_its_settings(registry: Registry, tmp_path: Path) -> None:
    run = zoo.train("small", model="fashion-cnn", out=tmp_path, registry=registry, epochs=1)
    assert run.record.recipe.model.settings["widths"] == [4, 8, 8]
