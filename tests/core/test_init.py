"""`--init`: runs that start from the weights of a run, of a recipe, or of a file."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from zoo_fashion.model import build

import zoo
from tests.support.command_line import Zoo
from tests.support.golden import Golden
from tests.support.small_recipe import FashionSlice
from zoo import ArrayExamples, Entry, PluginError, Registry, Run, SettingError, Split
from zoo.errors import ArtifactError, RunFolderError, UnknownNameError, ZooWarning

FEW: dict[str, Any] = {"epochs": 1, "settings": {"trainer.freeze": "all-but-head"}}


def weights_of(path: Path) -> list[Any]:
    return [array for _, array in sorted(load_file(path / "model.safetensors").items())]


class ThreeClasses(FashionSlice):
    """The images of the first three classes."""

    def load(self, data_dir: Path | None) -> Split:
        whole = super().load(data_dir)

        def some(part: Any) -> ArrayExamples:
            images, labels = part[np.arange(len(part))]
            return ArrayExamples(images[labels < 3], labels[labels < 3])

        return Split(train=some(whole.train), test=some(whole.test), class_names=whole.class_names[:3])


@pytest.fixture
def registry(registry: Registry) -> Registry:
    registry.datasets.add(Entry(name="three", target=ThreeClasses, summary="Three classes."))
    return registry


def test_all_but_a_head_of_other_classes_starts_from_a_run(registry: Registry, small_run: Run, tmp_path: Path) -> None:
    run = zoo.train("small", dataset="three", init=small_run.path, out=tmp_path / "run", registry=registry, **FEW)
    before, after = weights_of(small_run.path), weights_of(run.path)
    for one, other in zip(before[:-2], after[:-2], strict=True):
        np.testing.assert_array_equal(one, other)
    assert after[-1].shape == (3,)
    init = run.record.init
    assert init is not None
    assert (init.source, init.format, init.sha256) == (str(small_run.path), "run", small_run.record.model_sha256)
    assert (init.taken, init.new, init.unused) == (
        len(before) - 2, ["dense_1/kernel", "dense_1/bias"], ["008.kernel", "009.bias"],
    )  # fmt: skip


@pytest.mark.slow
def test_head_of_as_many_classes_is_taken_too(registry: Registry, small_run: Run, tmp_path: Path) -> None:
    settings = {"optimizer.learning_rate": 1e-12}
    run = zoo.train("small", init=small_run.path, epochs=1, settings=settings, out=tmp_path / "run", registry=registry)
    for one, other in zip(weights_of(small_run.path), weights_of(run.path), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-7)
    assert run.record.init is not None
    assert (run.record.init.new, run.record.init.unused) == ([], [])


@pytest.mark.slow
@pytest.mark.parametrize("epochs_done", [0, 1])
def test_resumed_run_needs_the_source_no_more(
    registry: Registry, small_run: Run, tmp_path: Path, epochs_done: int
) -> None:
    source = tmp_path / "source"
    shutil.copytree(small_run.path, source)
    whole = zoo.train("small", init=source, out=tmp_path / "whole", registry=registry)

    class Stop:
        def step(self, step: int, metrics: Any) -> None:
            if not epochs_done:
                raise KeyboardInterrupt

        def epoch_ended(self, record: Any, is_best: bool) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        zoo.train("small", init=source, out=tmp_path / "stopped", registry=registry, progress=Stop())
    shutil.rmtree(source)
    resumed = zoo.resume(tmp_path / "stopped", registry=registry)
    assert len(resumed.record.resumed) == 1
    assert resumed.record.model_sha256 == whole.record.model_sha256
    assert resumed.record.init == whole.record.init


@pytest.mark.slow
def test_run_without_its_first_checkpoint_takes_the_weights_again(
    registry: Registry, small_run: Run, tmp_path: Path, golden: Golden
) -> None:
    class Stop:
        def step(self, step: int, metrics: Any) -> None:
            raise KeyboardInterrupt

    source, out = tmp_path / "source", tmp_path / "stopped"
    shutil.copytree(small_run.path, source)
    whole = zoo.train("small", init=source, out=tmp_path / "whole", registry=registry)
    with pytest.raises(KeyboardInterrupt):
        zoo.train("small", init=source, out=out, registry=registry, progress=Stop())
    shutil.rmtree(out / "checkpoints")
    shutil.copytree(out, tmp_path / "copy")
    assert zoo.resume(out, registry=registry).record.model_sha256 == whole.record.model_sha256
    shutil.rmtree(source)
    with golden.raises(RunFolderError, path=str(tmp_path / "copy")):
        zoo.resume(tmp_path / "copy", registry=registry)


@pytest.mark.parametrize("is_partial", [False, True])
def test_weights_of_another_model_are_taken_only_in_part_and_on_demand(
    registry: Registry, small_run: Run, tmp_path: Path, golden: Golden, is_partial: bool
) -> None:
    settings = {"model.widths": (4, 8, 5)}
    options: dict[str, Any] = {"init": small_run.path, "init_partial": is_partial, "epochs": 1, "registry": registry}
    if is_partial:
        with pytest.warns(ZooWarning, match="4 of 10 weights taken"):
            run = zoo.train("small", settings=settings, out=tmp_path / "run", **options)
        assert run.record.init is not None
        assert run.record.init.taken == 4
        assert len(run.record.init.new) == len(run.record.init.unused) == 6
        return
    with pytest.raises(ArtifactError) as raised:
        zoo.train("small", settings=settings, out=tmp_path / "run", **options)
    golden.says(str(raised.value).replace(str(small_run.path), "<source>"))
    assert not (tmp_path / "run").exists()


def test_what_has_no_weights_is_refused_before_keras(
    registry: Registry, small_run: Run, tmp_path: Path, golden: Golden
) -> None:
    for source, kind in (
        (tmp_path / "no-such.h5", RunFolderError),
        (tmp_path, RunFolderError),
        ("fashion-cn", RunFolderError),
        ("mlp", RunFolderError),
    ):
        with golden.raises(kind):
            zoo.prepare("small", init=source, registry=registry)
    with golden.raises(SettingError, name="init_partial"):
        zoo.prepare("small", init_partial=True, registry=registry)
    with golden.raises(SettingError, name="init"):
        zoo.prepare("small", init=7, registry=registry)  # type: ignore[arg-type]  # what is tested


def test_changed_weights_of_a_run_and_files_that_are_none_are_refused(
    registry: Registry, small_run: Run, tmp_path: Path, golden: Golden
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(small_run.path, copy)
    arrays = load_file(copy / "model.safetensors")
    arrays["000.kernel"] = arrays["000.kernel"] + 1
    save_file(arrays, copy / "model.safetensors")
    with golden.raises(ArtifactError):
        zoo.train("small", init=copy, out=tmp_path / "run", registry=registry)
    (tmp_path / "text.h5").write_text("no weights")
    with golden.raises(ArtifactError):
        zoo.train("small", init=tmp_path / "text.h5", out=tmp_path / "run", registry=registry)


def test_resume_with_another_source_is_refused(
    registry: Registry, small_run: Run, tmp_path: Path, golden: Golden
) -> None:
    zoo.train("small", init=small_run.path, out=tmp_path / "run", registry=registry, **FEW)
    again: dict[str, Any] = {"out": tmp_path / "run", "resume": True, "registry": registry}
    assert zoo.prepare("small", init=small_run.path, **again, **FEW).earlier is not None
    with pytest.raises(SettingError) as raised:
        zoo.prepare("small", init="fashion-cnn", **again, **FEW)
    assert (raised.value.name, raised.value.value) == ("init", "fashion-cnn")
    golden.says(str(raised.value).replace(str(small_run.path), "<source>"))


def test_command_line_says_what_was_taken(run_zoo: Zoo, small_run: Run, tmp_path: Path) -> None:
    done = run_zoo(
        "train", "small", "--dataset", "three", "--init", small_run.path, "--epochs", "1", "--out", tmp_path / "run"
    )
    assert done.status == 0, done.err
    (line,) = [line for line in done.err.splitlines() if "weights taken" in line]
    assert "dense_1/kernel" in line
    assert json.loads((tmp_path / "run" / "run.json").read_bytes())["init"]["source"] == str(small_run.path)


def test_more_epochs_for_a_finished_run_are_a_new_run(run_zoo: Zoo, small_run: Run, golden: Golden) -> None:
    done = run_zoo("train", "small", "--out", small_run.path, "--resume", "--epochs", "10")
    assert done.status == 1
    assert f"--init {small_run.path}" in done.err
    golden.says(done.err.replace(str(small_run.path), "<run>"))


# Imports.


@pytest.fixture
def file(small_run: Run, tmp_path: Path) -> Path:
    """Weights as another program would have saved them."""
    path = tmp_path / "weights.safetensors"
    shutil.copy(small_run.path / "model.safetensors", path)
    return path


SETTINGS = {"model.widths": (4, 8, 8), "model.dense_width": 16}


@pytest.mark.slow
def test_imported_run_scores_what_its_source_scores(
    registry: Registry, small_run: Run, file: Path, tmp_path: Path
) -> None:
    run = zoo.import_weights(file, recipe="small", out=tmp_path / "run", registry=registry)
    assert run.record.status == "imported"
    assert run.record.model_sha256 == small_run.record.model_sha256
    tested = zoo.test(run, registry=registry)
    assert tested.record.status == "tested"
    assert tested.record.test == small_run.record.test
    assert zoo.open_run(run.path).record == tested.record
    assert tested.record.init is not None
    assert (tested.record.init.source, tested.record.init.format) == (str(file), "safetensors")
    images = FashionSlice().load(None).test[np.arange(3)][0]
    np.testing.assert_array_equal(
        zoo.load(run, registry=registry).predict(images), zoo.load(small_run, registry=registry).predict(images)
    )
    assert zoo.resume(run.path, registry=registry).record == tested.record  # it is finished
    started = zoo.train("small", init=run.path, out=tmp_path / "next", registry=registry, **FEW)
    assert started.record.init is not None
    assert started.record.init.sha256 == small_run.record.model_sha256


def test_import_without_data_records_those_of_its_first_test(
    registry: Registry, small_run: Run, file: Path, tmp_path: Path
) -> None:
    names = small_run.record.data.class_names
    options: dict[str, Any] = {"input_shape": (28, 28, 1), "class_names": names, "registry": registry}
    run = zoo.import_weights(file, recipe="small", out=tmp_path / "run", **options)
    assert (run.record.data.test, run.record.data.digests) == (0, {})
    tested = zoo.test(run, registry=registry)
    assert (tested.record.data.test, tested.record.data.digests) == (200, small_run.record.data.digests)
    assert tested.record.test == small_run.record.test


def test_import_takes_the_first_recipe_that_names_the_model(file: Path, tmp_path: Path) -> None:
    config = zoo.import_weights(file, model="fashion-cnn", settings=SETTINGS, out=tmp_path / "run").record.recipe
    assert (config.name, config.dataset.name, config.model.settings["dense_width"]) == (
        "fashion-cnn", "fashion-mnist", 16,
    )  # fmt: skip


@pytest.mark.slow
def test_import_of_what_does_not_fit_leaves_nothing(
    registry: Registry, file: Path, tmp_path: Path, golden: Golden
) -> None:
    def refused(kind: type[Exception], **options: Any) -> None:
        with golden.raises(kind):
            zoo.import_weights(file, out=tmp_path / "run", registry=registry, **options)
        assert not (tmp_path / "run").exists()

    refused(ArtifactError, recipe="small", dataset="three")  # a head of other classes
    refused(ArtifactError, recipe="small", settings={"model.dense_width": 17})
    refused(SettingError)
    refused(SettingError, recipe="small", class_names=["a"])
    refused(SettingError, recipe="small", input_shape=(28, 28))
    refused(SettingError, recipe="small", input_shape=(28, 28, 1))
    refused(SettingError, recipe="small", input_shape=(28, 28, 1), class_names=["a", "a"])
    refused(UnknownNameError, model="no-such")
    file.write_bytes(file.read_bytes()[:-1])
    refused(ArtifactError, recipe="small")


def test_import_at_the_shell(run_zoo: Zoo, small_run: Run, file: Path, tmp_path: Path, golden: Golden) -> None:
    classes = tmp_path / "classes.txt"
    classes.write_text("\n".join(small_run.record.data.class_names) + "\n")
    shape = ("--input-shape", "28,28,1", "--classes")
    done = run_zoo("import", file, "--recipe", "small", *shape, classes, "--out", tmp_path / "run", "--quiet")
    assert done.status == 0, done.err
    golden.says(done.out)
    done = run_zoo("import", file, "--recipe", "small", *shape, "10", "--out", tmp_path / "two", "--json", "--quiet")
    shown = json.loads(done.out)
    assert (shown["format"], len(shown["taken"])) == ("safetensors", 10)
    assert shown["taken"][0] == {
        "array": "000.kernel", "weight": "conv2d/kernel", "shape": [3, 3, 1, 4], "change": "",
    }  # fmt: skip
    assert zoo.open_run(tmp_path / "two").record.data.class_names == [str(number) for number in range(10)]
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for wrong in (("--input-shape", "28x28,a", "--classes", "10"), (*shape, tmp_path / "binary")):
        done = run_zoo("import", file, "--recipe", "small", *wrong, "--out", tmp_path / "three")
        assert done.status in (1, 2)
        golden.says(done.err)


ORIGINAL = """
import os, sys
os.environ["TF_USE_LEGACY_KERAS"] = "1"
import numpy as np
import tf_keras as keras
from zoo_fashion.dataset import FashionMnist

data = FashionMnist().load(None)
images, labels = data.train[np.arange(640)]
keras.utils.set_random_seed(0)
layers, model = keras.layers, keras.Sequential([keras.Input((28, 28, 1))])
for width, rate in ((32, 0.25), (64, 0.25), (128, 0.4)):
    model.add(layers.Conv2D(width, 3, padding="same"))
    model.add(layers.LeakyReLU(0.1))
    model.add(layers.MaxPooling2D(2, padding="same"))
    model.add(layers.Dropout(rate))
for layer in (layers.Flatten(), layers.Dense(128), layers.LeakyReLU(0.1), layers.Dropout(0.3)):
    model.add(layer)
model.add(layers.Dense(10, activation="softmax"))
model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
model.fit(images.astype("float32") / 255, np.eye(10)[labels], epochs=1, verbose=0)
model.save(sys.argv[1])
images, labels = data.test[np.arange(10_000)]
print(*model.evaluate(images.astype("float32") / 255, np.eye(10)[labels], batch_size=500, verbose=0))
"""


@pytest.mark.slow
def test_file_of_the_original_program_tests_to_its_figures(tmp_path: Path) -> None:
    path = tmp_path / "cnn_tf.model.best.hdf5"
    done = subprocess.run([sys.executable, "-c", ORIGINAL, path], capture_output=True, text=True, check=True)
    loss, accuracy = map(float, done.stdout.split())
    run = zoo.test(zoo.import_weights(path, model="fashion-cnn", out=tmp_path / "run"))
    assert run.record.parameters == 356_234
    assert run.record.test is not None
    assert run.record.test.accuracy == pytest.approx(accuracy, abs=1.5e-4)  # one image may lie on the edge
    assert run.record.test.loss == pytest.approx(loss, rel=1e-5)


def test_what_a_plugin_says_of_names_is_checked(registry: Registry, file: Path, tmp_path: Path, golden: Golden) -> None:
    def refused(name: str, weight_names: Any) -> None:
        registry.models.add(Entry(name=name, target=build, summary="Same.", weight_names=weight_names))
        with golden.raises(PluginError, plugin="local"):
            zoo.import_weights(
                file, recipe="small", model=name, settings=SETTINGS, out=tmp_path / name, registry=registry
            )

    refused("raises", {}.__getitem__)
    refused("number", lambda name: 3)
    refused("gone", "no_such_module:names")


@pytest.mark.slow
def test_compare_and_results_know_what_a_run_started_from(
    registry: Registry, small_run: Run, run_zoo: Zoo, tmp_path: Path, golden: Golden
) -> None:
    run = zoo.run("small", init=small_run, out=tmp_path / "run", registry=registry, **FEW)
    shown = json.loads(run_zoo("compare", small_run.path, run.path, "--json").out)
    assert run.record.init is not None
    assert shown["differing"]["init"] == {"A": None, "B": f"{small_run.path} ({run.record.init.sha256[:8]})"}
    with pytest.raises(RunFolderError) as raised:
        zoo.record_results([run], registry=registry)
    golden.says(str(raised.value).replace(str(small_run.path), "<source>"))
    page = tmp_path / "page.html"
    assert run_zoo("report", run.path, "--out", page).status == 0
    assert "initial weights" in page.read_text()
