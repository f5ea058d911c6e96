"""The networks of plugin backbones: as large as published, with Keras's names, normalization and images of any kind."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

import zoo
from tests.plugins.backbones.networks import COLOR, GRAY, NAMES, REGISTRY, builder, network
from tests.support.bfloat16 import computes_bfloat16
from tests.support.golden import Golden
from zoo import Entry, SettingError
from zoo.recipes import resolution
from zoo.registry import catalog
from zoo.testing import Check, checks_of


def size(weights: list[keras.Variable]) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


# trainable: in the papers, their authors' code, torchvision and timm, all with a classifier of 1,000 classes
# all, without classifier: those of keras.applications
PUBLISHED = {
    "convnext-tiny": (28_589_128, 27_820_128),
    "densenet-121": (7_978_856, 7_037_504),
    "efficientnet-lite0": (4_652_008, 3_413_024),
    "efficientnet-v2-b0": (7_139_704, 5_919_312),
    # without the hidden layer of its classifier, of 1,024 units
    "mobilenet-v3-small": (2_542_856 - 577 * 1024 - 1025 * 1000 + 577 * 1000, 939_120),
    # Keras's convolutions have biases
    "resnet-50": (25_557_032 + 26_560, 23_587_712),
}

SMALL = ("mobilenet-v3-small", "efficientnet-lite0")  # the others compile for half a minute to a minute
EACH = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in SMALL else [pytest.mark.slow]) for name in NAMES]
)


@EACH
def test_has_as_many_parameters_as_published(name: str) -> None:
    model = network(name)
    trainable, without_top = PUBLISHED[name]
    assert size(model.trainable_weights) == trainable
    assert model.count_params() - size(model.get_layer("predictions").weights) == without_top


@pytest.mark.slow
def test_resnet_of_torchvision_has_its_parameters() -> None:
    model = builder("resnet-50")(COLOR, 1000, variant="v1.5")
    assert size(model.trainable_weights) == 25_557_032
    assert [layer.name for layer in model.layers if layer.weights] == [
        layer.name for layer in network("resnet-50").layers if layer.weights
    ]
    halving = [layer.name for layer in model.layers if getattr(layer, "strides", (1, 1)) == (2, 2)]
    assert [name for name in halving if "_0_" not in name] == [
        "conv1_conv",
        "pool1_pool",
        *(f"conv{stage}_block1_2_conv" for stage in (3, 4, 5)),
    ]


ORIGINALS = {
    "convnext-tiny": keras.applications.ConvNeXtTiny,
    "densenet-121": keras.applications.DenseNet121,
    "efficientnet-lite0": keras.applications.EfficientNetB0,
    "efficientnet-v2-b0": keras.applications.EfficientNetV2B0,
    "mobilenet-v3-small": keras.applications.MobileNetV3Small,
    "resnet-50": keras.applications.ResNet50,
}


@EACH
def test_layers_have_the_names_and_shapes_of_keras_applications(name: str) -> None:
    original = ORIGINALS[name](weights=None, include_top=False, input_shape=COLOR)
    theirs = {layer.name: [weight.shape for weight in layer.weights] for layer in original.layers if layer.weights}
    ours = {layer.name: [weight.shape for weight in layer.weights] for layer in network(name).layers if layer.weights}
    del ours["predictions"]
    if name == "convnext-tiny":  # the last layer has an automatic name in Keras
        automatic = next(key for key in theirs if key.startswith("layer_normalization"))
        theirs["convnext_tiny_head_layernorm"] = theirs.pop(automatic)
    if name == "efficientnet-lite0":  # EfficientNet-B0 without squeeze-and-excitation and Keras's own normalization
        theirs = {key: shapes for key, shapes in theirs.items() if "_se_" not in key and "normalization" not in key}
    assert ours == theirs
    assert list(ours) == list(theirs)


@EACH
def test_ends_with_a_softmax_in_one_flat_model(name: str) -> None:
    model = network(name)
    assert model.output_shape == (None, 1000)
    assert not [layer for layer in model.layers if isinstance(layer, keras.Model) and "convnext" not in layer.name]
    head = model.layers[-1]
    assert (head.name, head.activation, head.compute_dtype) == ("predictions", keras.activations.softmax, "float32")
    assert model.layers[-2].rate == 0.2


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in SMALL else [pytest.mark.slow])
        for name in NAMES
        if name != "efficientnet-lite0"
    ],
)
def test_is_the_same_function_as_in_keras_applications(name: str) -> None:
    """With the same weights, the features of the same images are the same."""
    original = ORIGINALS[name](weights=None, include_top=False, input_shape=COLOR)
    model = network(name)
    generator = np.random.default_rng(0)
    for weight, ours in zip(original.weights, model.weights, strict=False):
        assert weight.shape == ours.shape
        ours.assign(generator.uniform(0.5, 1.5, weight.shape) * np.array(ours) + 0.01)
        weight.assign(ours)
    images = generator.random((2, *COLOR), np.float32)
    pixels = PREPROCESS.get(name, lambda pixels: pixels)(images * 255)
    maps = np.array(original(pixels))
    features = keras.Model(model.input, model.layers[-1].input)(images)
    if name == "convnext-tiny":  # see the builder
        maps = np.array(keras.Model(original.input, original.layers[-1].input)(pixels))
        means = maps.mean(axis=(1, 2))
        expected = np.array(model.get_layer("convnext_tiny_head_layernorm")(means))
    else:
        expected = maps.mean(axis=(1, 2))
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


PREPROCESS = {
    "densenet-121": keras.applications.densenet.preprocess_input,
    "resnet-50": keras.applications.resnet50.preprocess_input,
}


# pixels

IMAGE = np.array([0.2, 0.4, 0.8], np.float32).reshape(1, 1, 1, 3)
NORMALIZED: list[tuple[str, dict[str, Any], list[float]]] = [
    ("mobilenet-v3-small", {}, [-0.6, -0.2, 0.6]),
    ("efficientnet-lite0", {}, [-0.6, -0.2, 0.6]),
    ("densenet-121", {}, [(0.2 - 0.485) / 0.229, (0.4 - 0.456) / 0.224, (0.8 - 0.406) / 0.225]),
    ("resnet-50", {}, [204 - 103.939, 102 - 116.779, 51 - 123.68]),
    ("resnet-50", {"normalization": "half"}, [-0.6, -0.2, 0.6]),
    ("efficientnet-lite0", {"normalization": "imagenet"}, [-1.244541, -0.25, 1.751111]),
    ("mobilenet-v3-small", {"normalization": "none"}, [0.2, 0.4, 0.8]),
]


def before(model: keras.Model, layer: str, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what a layer of a model receives for images."""
    values: NDArray[np.float32] = np.array(keras.Model(model.input, model.get_layer(layer).input)(images))
    return values


FIRST = {
    "densenet-121": "conv1_conv",
    "efficientnet-lite0": "stem_conv",
    "mobilenet-v3-small": "conv",
    "resnet-50": "conv1_conv",
}


@pytest.mark.parametrize(("name", "settings", "values"), NORMALIZED)
def test_pixels_are_normalized_inside_the_model(name: str, settings: dict[str, Any], values: list[float]) -> None:
    model = builder(name)(COLOR, 3, **settings) if settings else network(name)
    pixels = before(model, FIRST[name], np.broadcast_to(IMAGE, (1, *COLOR)))
    np.testing.assert_allclose(pixels[0, 20, 20], values, rtol=1e-4)


@pytest.mark.slow
def test_gray_images_are_repeated_before_they_are_normalized() -> None:
    model = builder("resnet-50")(GRAY, 3)
    pixels = before(model, "conv1_conv", np.full((1, *GRAY), 0.4, np.float32))
    np.testing.assert_allclose(pixels[0, 20, 20], [102 - 103.939, 102 - 116.779, 102 - 123.68], rtol=1e-4)


@pytest.mark.parametrize(("shape", "channels"), [(GRAY, "sum"), ((32, 40, 4), "repeat")])
def test_first_convolution_has_as_many_channels_as_the_image(shape: tuple[int, int, int], channels: str) -> None:
    model = builder("efficientnet-lite0")(shape, 3, channels=channels, normalization="imagenet")
    assert model.get_layer("stem_conv").kernel.shape == (3, 3, shape[-1], 32)
    pixels = before(model, "stem_conv", np.full((1, *shape), 0.5, np.float32))
    mean, deviation = (0.485 + 0.456 + 0.406) / 3, (0.229 + 0.224 + 0.225) / 3
    np.testing.assert_allclose(pixels, (0.5 - mean) / deviation, rtol=1e-4)
    assert np.isfinite(np.array(model(np.ones((1, *shape), np.float32)))).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("channels", ["repeat", "sum"])
def test_takes_gray_images(name: str, channels: str) -> None:
    model = builder(name)(GRAY, 4, channels=channels)
    probabilities = np.array(model(np.random.default_rng(0).random((2, *GRAY), np.float32)))
    assert probabilities.shape == (2, 4)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_small_images_are_refused(name: str, golden: Golden) -> None:
    with golden.raises(SettingError, name="dataset.size", value=(31, 64)):
        builder(name)((31, 64, 3), 10)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_smallest_images_are_those_of_32_pixels(name: str) -> None:
    model = builder(name)((32, 33, 3), 2)
    assert np.isfinite(np.array(model(np.random.default_rng(0).random((1, 32, 33, 3), np.float32)))).all()


# precision and training


@pytest.fixture
def bfloat16() -> Iterator[None]:
    """Build models in mixed precision."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(before)


@computes_bfloat16
def test_pixels_stay_float32_in_mixed_precision(bfloat16: None) -> None:
    for shape in (COLOR, GRAY):
        model = builder("resnet-50")(shape, 3)
        values = before(model, "conv1_pad", np.full((1, *shape), 0.3, np.float32))
        assert values.dtype == np.float32
        np.testing.assert_allclose(values[0, 0, 0, 0], 0.3 * 255 - 103.939, rtol=1e-5)
        assert model.get_layer("conv1_conv").compute_dtype == "bfloat16"
        assert model.layers[-1].compute_dtype == "float32"


def test_momentum_is_that_of_all_batch_normalizations() -> None:
    model = builder("mobilenet-v3-small")(COLOR, 3, momentum=0.8)
    found = [layer.momentum for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(found) == 34
    assert set(found) == {0.8}


BUILT_IN_MOMENTUM = {"densenet-121": 0.99, "efficientnet-v2-b0": 0.9, "mobilenet-v3-small": 0.999, "resnet-50": 0.99}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "momentum"), BUILT_IN_MOMENTUM.items())
def test_default_momentum_is_that_of_keras_applications(name: str, momentum: float) -> None:
    for model in (network(name), ORIGINALS[name](weights=None, include_top=False, input_shape=COLOR)):
        found = {layer.momentum for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)}
        assert found == {momentum}


def photographs() -> zoo.ArrayExamples:
    """Return 24 images of three kinds: red, green and blue noise."""
    generator = np.random.default_rng(0)
    labels = np.arange(24) % 3
    images = generator.integers(0, 128, (24, 32, 32, 3), np.uint8)
    images[np.arange(24), :, :, labels] += np.uint8(100)
    return zoo.ArrayExamples(images, labels)


PRECISIONS = ["float32", pytest.param("mixed_bfloat16", marks=[computes_bfloat16, pytest.mark.full])]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == SMALL[0] else pytest.mark.full) for name in NAMES]
)
def test_learns_and_a_frozen_layer_keeps_its_statistics(name: str, precision: str) -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        keras.utils.set_random_seed(0)
        model = builder(name)((32, 32, 3), 3)
    finally:
        keras.config.set_dtype_policy(before)
    normalizations = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in normalizations[:2]:
        layer.trainable = False
    statistics = [[np.array(weight) for weight in layer.weights] for layer in normalizations]
    trainer: zoo.Trainer = catalog.resolve(REGISTRY.trainers.get("keras/resident"))()
    config = zoo.TrainingConfig(epochs=8, batch_size=12, seed=0)
    training = trainer.start(model, photographs(), config)
    losses = [training.run_epoch(epoch, lambda step, metrics: None).loss for epoch in range(8)]
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.7 * losses[0]
    for number, (layer, old) in enumerate(zip(normalizations, statistics, strict=True)):
        is_same = [(np.array(weight) == values).all() for weight, values in zip(layer.weights, old, strict=True)]
        assert all(is_same) if number < 2 else not any(is_same)


# the plugin


def marks_of(check: Check) -> list[pytest.MarkDecorator]:
    """Return the mark of a check that takes a second or more, or minutes."""
    if not check.name.startswith("model") or "settings" in check.name:
        return []
    is_short = "same seed" in check.name and any(name in check.name for name in SMALL)
    return [pytest.mark.slow if is_short else pytest.mark.full]


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(
            check,
            id=check.name,
            marks=marks_of(check),
        )
        for check in checks_of("backbones", registry=REGISTRY)
    ],
)
def test_plugin(check: Check) -> None:
    check()


def test_recipes_are_checked_with_data_alone(tmp_path: Path) -> None:
    checks = [
        {check.name for check in checks_of("backbones", registry=REGISTRY, data_dir=it)} for it in (None, tmp_path)
    ]
    assert checks[1] - checks[0] == {f"recipe {name}: trains one step" for name in ("photos", "photos-small")}


def test_recipes_are_for_folders_of_photographs() -> None:
    for name in ("photos-small", "photos"):
        resolved = resolution.resolve(REGISTRY, name, {})
        assert resolved.dataset.qualified_name == "images/image-folder"
        assert min(resolved.dataset.settings["size"]) >= 128


def test_every_network_knows_the_names_of_other_libraries() -> None:
    entries: Mapping[str, Entry] = {found.name: found.item for found in REGISTRY.models if found.plugin == "backbones"}
    for name, entry in entries.items():
        assert entry.weight_names == f"zoo_backbones.names:{name.replace('-', '_')}"
