"""The architectures of plugin vision: as large as published, for images of any size, the same on every backend."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

import zoo
from tests.support import ROOT
from tests.support.bfloat16 import computes_bfloat16
from tests.support.command_line import Zoo
from tests.support.golden import Golden
from tests.support.small_models import SETTINGS
from tests.support.small_recipe import FashionSlice, make_registry
from zoo import Registry, Run, SettingError, Trainer
from zoo.interfaces import ModelBuilder
from zoo.recipes import resolution
from zoo.registry import catalog
from zoo.testing import Check, checks_of

REGISTRY = make_registry()
NAMES = [found.name for found in REGISTRY.models if found.plugin == "vision"]
IMAGES = FashionSlice().load(None).test[np.arange(20)][0]


def builder(name: str) -> ModelBuilder:
    """Return what builds a model of plugin vision."""
    built: ModelBuilder = catalog.resolve(REGISTRY.models.get(f"vision/{name}"))
    return built


def trainable(model: keras.Model) -> int:
    """Return how many numbers of a model are trained: what papers count as parameters."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


# sizes and counts are those of the papers or of their authors' code, which the builders' docstrings cite
PUBLISHED: list[tuple[str, dict[str, Any], tuple[int, int, int], int, int]] = [
    ("mlp", {}, (28, 28, 1), 10, 266_610),
    ("lenet-5", {}, (32, 32, 1), 10, 60_000 + 900 - 44 + 850),
    ("resnet-20", {}, (32, 32, 3), 10, 269_722),
    ("resnet-20", {"depth": 56}, (32, 32, 3), 10, 853_018),
    ("resnet-20", {"shortcuts": "projected"}, (32, 32, 3), 10, 269_722 + 16 * 32 + 32 * 64 + 2 * (32 + 64)),
    ("resnet-32", {}, (32, 32, 3), 10, 464_154),
    ("wrn-16-4", {}, (32, 32, 3), 10, 2_748_890),
    ("wrn-16-4", {"widening": 8}, (32, 32, 3), 10, 10_961_370),
    ("mobilenet-small", {}, (224, 224, 3), 1000, 470_072),
    ("convmixer", {}, (32, 32, 3), 10, 594_186),
    ("convmixer", {"kernel_size": 9, "patch_size": 1}, (32, 32, 3), 10, 706_570),
    ("vit-tiny", {"patch_size": 16}, (224, 224, 3), 1000, 5_717_416),
]


@pytest.mark.parametrize(("name", "settings", "input_shape", "num_classes", "parameters"), PUBLISHED)
def test_has_as_many_parameters_as_published(
    name: str, settings: dict[str, Any], input_shape: tuple[int, int, int], num_classes: int, parameters: int
) -> None:
    assert trainable(builder(name)(input_shape, num_classes, **settings)) == parameters


def test_every_architecture_is_compared_with_a_publication() -> None:
    assert {name for name, *_ in PUBLISHED} == set(NAMES)


@pytest.mark.slow
def test_statistics_are_those_of_the_normalizations() -> None:
    for name, statistics in (("resnet-20", 1376), ("resnet-32", 2272), ("wrn-16-4", 3616), ("convmixer", 8704)):
        model = builder(name)((32, 32, 3), 10)
        assert model.count_params() - trainable(model) == statistics


@pytest.mark.slow
def test_default_patches_are_the_papers_at_the_papers_sizes() -> None:
    for name, input_shape, settings in (
        ("vit-tiny", (224, 224, 3), {"patch_size": 16}),
        ("vit-tiny", (32, 32, 3), {"patch_size": 4}),
        ("convmixer", (32, 32, 3), {"patch_size": 2}),
    ):
        by_default, named = builder(name)(input_shape, 10), builder(name)(input_shape, 10, **settings)
        shapes = [[tuple(weight.shape) for weight in model.weights] for model in (by_default, named)]
        assert shapes[0] == shapes[1]


@pytest.mark.slow
def test_mobilenet_is_that_of_keras() -> None:
    """The same shapes in the same order, and at the paper's size maps of the same sizes."""
    theirs = keras.applications.MobileNet((224, 224, 3), alpha=0.25, weights=None)
    ours = builder("mobilenet-small")((224, 224, 3), 1000)
    assert [math.prod(weight.shape) for weight in ours.weights] == [
        math.prod(weight.shape) for weight in theirs.weights
    ]
    sizes = [
        [layer.output.shape for layer in model.layers if isinstance(layer, keras.layers.DepthwiseConv2D)]
        for model in (ours, theirs)
    ]
    assert sizes[0] == sizes[1]


SHAPES = [(1, 1, 1), (8, 8, 1), (7, 13, 2), (96, 128, 3)]


@pytest.mark.parametrize("name", NAMES)
def test_takes_images_of_any_size(name: str) -> None:
    for number, input_shape in enumerate(SHAPES):
        keras.utils.set_random_seed(0)
        model = builder(name)(input_shape, 2 + 7 * number, **SETTINGS.get(name, {}))
        probabilities = np.array(model(np.random.default_rng(0).random((2, *input_shape), np.float32)))
        assert probabilities.shape == (2, 2 + 7 * number)
        assert probabilities.dtype == np.float32
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
        assert math.prod(input_shape) == 1 or (probabilities[0] != probabilities[1]).any()


@computes_bfloat16
@pytest.mark.parametrize("name", NAMES)
def test_honours_the_precision_that_a_trainer_asks_for(name: str, bfloat16: None) -> None:
    model = builder(name)((8, 8, 1), 3, **SETTINGS.get(name, {}))
    assert {str(weight.dtype) for weight in model.weights} == {"float32"}
    *hidden, last = (layer for layer in model.layers if layer.weights)
    assert {layer.compute_dtype for layer in hidden} == {"bfloat16"}
    assert last.compute_dtype == "float32"
    probabilities = model(np.zeros((1, 8, 8, 1), np.float32))
    assert keras.backend.standardize_dtype(probabilities.dtype) == "float32"


@pytest.fixture
def bfloat16() -> Iterator[None]:
    """Build models in mixed precision."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("name", NAMES)
def test_is_made_of_layers_that_every_form_of_a_model_can_hold(name: str) -> None:
    model = builder(name)((8, 8, 1), 3, **SETTINGS.get(name, {}))
    assert not [layer.name for layer in model.layers if isinstance(layer, keras.layers.Lambda)]


@pytest.mark.parametrize("name", NAMES)
def test_can_be_saved_and_loaded_by_keras(name: str, tmp_path: Path) -> None:
    model = builder(name)((8, 8, 1), 3, **SETTINGS.get(name, {}))
    model.save(tmp_path / "model.keras")
    images = np.random.default_rng(0).random((2, 8, 8, 1), np.float32)
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "model.keras")(images), model(images))


IMPOSSIBLE = [
    ("resnet-20", "depth", 21),
    ("resnet-32", "depth", 2),
    ("wrn-16-4", "depth", 20),
    ("convmixer", "patch_size", 14),
    ("vit-tiny", "patch_size", 14),
    ("vit-tiny", "width", 100),
]


@pytest.mark.parametrize(("name", "setting", "value"), IMPOSSIBLE)
def test_impossible_setting_is_refused(name: str, setting: str, value: int, golden: Golden) -> None:
    with golden.raises(SettingError, name=f"model.{setting}", value=value):
        builder(name)((8, 13, 1), 10, **{setting: value})


OUT_OF_BOUNDS = [
    "mlp model.widths=32,0",
    "lenet-5 model.pooling=min",
    "resnet-20 model.width=0",
    "resnet-32 model.shortcuts=none",
    "wrn-16-4 model.dropout=1",
    "mobilenet-small model.halvings=6",
    "mobilenet-small model.width_multiplier=0",
    "convmixer model.depth=3000",
    "vit-tiny model.heads=three",
]


@pytest.mark.parametrize("words", OUT_OF_BOUNDS)
def test_setting_out_of_bounds_is_one_clear_line(run_zoo: Zoo, words: str, golden: Golden) -> None:
    recipe, setting = words.split()
    done = run_zoo("run", recipe, "--set", setting)
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert setting.partition("=")[0] in done.err
    assert "Traceback" not in done.err
    golden.says(done.err)


@computes_bfloat16
def test_shortcut_of_a_residual_network_adds_the_maps_that_it_has(bfloat16: None) -> None:
    """With all residuals at zero, the last maps are the first ones, every fourth pixel, with channels of zeros."""
    model = builder("resnet-20")((9, 9, 1), 3, depth=8, width=4)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization) and layer is not model.layers[2]:
            layer.gamma.assign(keras.ops.zeros_like(layer.gamma))
    relus = [layer.output for layer in model.layers if isinstance(layer, keras.layers.ReLU)]
    first, last = keras.Model(model.input, [relus[0], relus[-1]])(IMAGES[:2, 8:17, 8:17] / np.float32(255))
    first, last = (np.array(keras.ops.cast(maps, "float32")) for maps in (first, last))
    assert last.shape == (2, 3, 3, 16)
    np.testing.assert_array_equal(last[..., 6:10], first[:, ::4, ::4])
    assert not last[..., :6].any()
    assert not last[..., 10:].any()


# training


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Run]:
    """A finished run of each architecture, with few layers: two epochs of four steps on real images."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        name: zoo.run(
            "small",
            model=f"vision/{name}",
            batch_size=20,
            validation=20,
            settings={
                "dataset.train": 100,
                "dataset.test": 20,
                **{f"model.{key}": value for key, value in SETTINGS.get(name, {}).items()},
            },
            registry=REGISTRY,
            out=folder / name,
        )
        for name in NAMES
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_learns_and_is_the_same_when_it_is_loaded(runs: Mapping[str, Run], name: str) -> None:
    record = runs[name].record
    assert record.status == "tested"  # the loaded model has scored exactly what the trained one did
    assert record.history[1].train.loss < record.history[0].train.loss


def predictions(folder: Path) -> dict[str, NDArray[np.floating[Any]]]:
    """Return what the models of the runs in a folder predict, by name."""
    return {path.name: zoo.load(path, registry=REGISTRY).predict(IMAGES) for path in sorted(folder.iterdir())}


@pytest.mark.slow
def test_predicts_the_same_on_jax(runs: Mapping[str, Run]) -> None:
    folder = next(iter(runs.values())).path.parent
    code = (
        "import sys, json, pathlib, tests.plugins.vision.test_vision as t\n"
        "said = {name: values.tolist() for name, values in t.predictions(pathlib.Path(sys.argv[1])).items()}\n"
        "print(json.dumps([t.keras.config.backend(), said]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        cwd=ROOT,
        env={
            **os.environ,
            "KERAS_BACKEND": "jax",
            "XLA_FLAGS": "--xla_backend_optimization_level=0",  # compiles sooner
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    backend, theirs = json.loads(done.stdout)
    assert backend == "jax"
    ours = predictions(folder)
    assert sorted(theirs) == sorted(ours) == sorted(NAMES)
    for name, values in ours.items():
        np.testing.assert_allclose(theirs[name], values, atol=1e-4, err_msg=name)


def make_trainer(name: str) -> Trainer:
    """Return a trainer at its defaults."""
    made: Trainer = catalog.resolve(REGISTRY.trainers.get(name))()
    return made


@pytest.mark.slow
def test_statistics_of_batches_are_kept_alike_by_both_trainers() -> None:
    train = FashionSlice(train=70).load(None).train
    settings = zoo.TrainingConfig(epochs=2, batch_size=30, seed=0)  # 30, 30 and 10 images
    ends = []
    for trainer in map(make_trainer, ("fit", "resident")):
        keras.utils.set_random_seed(0)
        model = builder("resnet-20")((28, 28, 1), 10, depth=8, width=4)
        before = [np.array(weight.value) for weight in model.non_trainable_weights]
        training = trainer.start(model, train, settings)
        for epoch in range(2):
            training.run_epoch(epoch, lambda step, metrics: None)
        after = [np.array(weight.value) for weight in model.non_trainable_weights]
        assert len(after) == 2 * 7
        assert all((one != other).all() for one, other in zip(before, after, strict=True))
        # six steps of momentum 0.9 have forgotten all but 0.9 ** 6 of the first mean, 0
        features = keras.Model(model.input, model.layers[1].output)(train[np.arange(70)][0] / np.float32(255))
        assert np.abs(after[0]).max() <= (1 - 0.9**6) * np.abs(np.array(features)).max()
        ends.append(after)
    for one, other in zip(*ends, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


# the plugin

QUICK = ("plugin vision", "model lenet-5", "recipe lenet-5")
QUICK_FOR_ALL = ("settings have types and valid defaults", "same seed gives the same initial weights")


def is_quick(check: Check) -> bool:
    """Return whether a check takes a few seconds at most."""
    about, _, asked = check.name.partition(": ")
    return about in QUICK or asked in QUICK_FOR_ALL


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(check, id=check.name, marks=[] if is_quick(check) else [pytest.mark.full])
        for check in checks_of("vision", registry=REGISTRY)
    ],
)
def test_plugin(check: Check) -> None:
    check()


def test_every_architecture_has_a_recipe_of_its_name_on_fashion_mnist(registry: Registry) -> None:
    for name in NAMES:
        recipe = registry.recipes.get(f"vision/{name}").item
        assert (recipe.model, recipe.dataset) == (f"vision/{name}", "fashion/fashion-mnist")
        assert resolution.resolve(registry, name, {}).trainer.name == "resident"


@pytest.mark.slow
def test_page_of_models_gives_the_parameters_as_they_are(registry: Registry) -> None:
    page = (ROOT / "docs" / "guides" / "models.md").read_text()
    for name in NAMES:
        assert f"| `{name}` | {trainable(builder(name)((28, 28, 1), 10)):,} |" in page


@pytest.mark.parametrize(
    ("name", "settings", "rates"),
    [
        ("resnet-20", {"depth": 14}, [1 / 12, 2 / 12, 3 / 12, 4 / 12, 5 / 12, 0.5]),
        ("wrn-16-4", {"depth": 10, "widening": 1}, [1 / 6, 2 / 6, 0.5]),
        ("vit-tiny", {"depth": 2, "width": 12}, [0.25, 0.25, 0.5, 0.5]),  # both branches of a block
    ],
)
def test_stochastic_depth_drops_branches_more_often_in_later_blocks(
    name: str, settings: dict[str, Any], rates: list[float]
) -> None:
    def dropping(rate: float) -> list[keras.layers.Dropout]:
        model = builder(name)((28, 28, 1), 10, stochastic_depth=rate, **settings)
        return [each for each in model.layers if isinstance(each, keras.layers.Dropout) and each.rate]

    assert dropping(0.0) == []
    found = dropping(0.5)
    assert [each.rate for each in found] == pytest.approx(rates)
    features = np.ones((200, *found[-1].output.shape[1:]), np.float32)
    kept = np.asarray(found[-1](features, training=True)).reshape(200, -1)
    assert ((kept == 0).all(axis=1) | (kept == 2).all(axis=1)).all()  # all of an image's branch, or nothing
    assert 60 < (kept == 0).all(axis=1).sum() < 140
