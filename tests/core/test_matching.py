"""Weights of other programs matched with those of a model: by name, by order and shape, in other layouts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import pytest
from keras import layers

from tests.support.golden import Golden
from zoo.errors import ArtifactError
from zoo.models.matching import match_weights
from zoo.transfer.weights_file import WeightsArray, WeightsFile

RANDOM = np.random.default_rng(3)


def values(*shape: int) -> Any:
    return RANDOM.normal(size=shape).astype(np.float32)


def file(
    *arrays: tuple[str, str, str | None, Any],
    layout: Literal["keras", "pytorch"] = "pytorch",
    format_: str = "PyTorch",
    is_ordered: bool = True,
) -> WeightsFile:
    """Return a weights file of arrays: layer, name in the layer, role and values."""
    return WeightsFile(
        path=Path("other.pt"),
        format=format_,
        sha256="0" * 64,
        layout=layout,
        is_ordered=is_ordered,
        arrays=tuple(
            WeightsArray(name=f"{layer}.{name}", layer=layer, role=role, array=array)
            for layer, name, role, array in arrays
        ),
    )


def conv(layer: str, *shape: int) -> tuple[tuple[str, str, str, Any], tuple[str, str, str, Any]]:
    return (layer, "weight", "kernel", values(*shape)), (layer, "bias", "bias", values(shape[0]))


def norm(layer: str, size: int) -> list[tuple[str, str, str, Any]]:
    roles = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
    return [(layer, name, role, np.abs(values(size))) for name, role in roles.items()]


def net(num_classes: int = 3, names: Callable[[str], str | None] = lambda name: None) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            layers.Conv2D(4, 3, name=names("conv")),
            layers.BatchNormalization(name=names("norm")),
            layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False, name=names("depthwise")),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(5, name=names("features")),
            layers.Dense(num_classes, "softmax", name=names("classes")),
        ]
    )


def of_pytorch(num_classes: int = 3, **others: Any) -> WeightsFile:
    return file(
        *conv("0", 4, 2, 3, 3),
        *norm("1", 4),
        ("2", "weight", "kernel", values(8, 1, 3, 3)),
        *conv("5", 5, 8 * 4 * 4),
        *conv("6", num_classes, 5),
        **others,
    )


def outputs_of_pytorch(read: WeightsFile, images: Any) -> Any:
    """Compute what the network computes in PyTorch: channels first, in plain NumPy."""
    arrays = [each.array for each in read.arrays]
    planes = images.transpose(0, 3, 1, 2)

    def windows(planes: Any) -> Any:
        return np.lib.stride_tricks.sliding_window_view(planes, (3, 3), axis=(2, 3))

    found = np.einsum("nchwij,ocij->nohw", windows(planes), arrays[0]) + arrays[1][:, None, None]
    gamma, beta, mean, variance = (each[:, None, None] for each in arrays[2:6])
    found = (found - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    # output channel o of a depthwise convolution with multiplier 2 reads input channel o // 2
    found = np.einsum("nchwij,cij->nchw", windows(np.repeat(found, 2, axis=1)), arrays[6][:, 0])
    found = np.maximum(found, 0).reshape(len(images), -1) @ arrays[7].T + arrays[8]
    logits = found @ arrays[9].T + arrays[10]
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


def test_kernels_of_pytorch_compute_what_they_do_there() -> None:
    model, read, images = net(), of_pytorch(), values(5, 8, 8, 2)
    matching = match_weights(read, model)
    assert (matching.kept, matching.unused, matching.fits) == ((), (), True)
    for each in matching.taken:
        each.variable.assign(each.value)
    np.testing.assert_allclose(model.predict(images, verbose=0), outputs_of_pytorch(read, images), atol=1e-5)


def test_head_of_other_classes_is_new_and_nothing_else_may_be() -> None:
    matching = match_weights(of_pytorch(7), net())
    assert (matching.kept, matching.unused) == (("dense_1/kernel", "dense_1/bias"), ("6.weight", "6.bias"))
    assert matching.fits
    headless = of_pytorch()
    headless = file(*[(a.layer, a.name, a.role, a.array) for a in headless.arrays[:-2]])
    assert match_weights(headless, net()).fits
    shorter = file(*[(a.layer, a.name, a.role, a.array) for a in headless.arrays[:-2]])
    assert not match_weights(shorter, net()).fits
    longer = file(*[(a.layer, a.name, a.role, a.array) for a in of_pytorch().arrays], *conv("7", 3, 3))
    assert not match_weights(longer, net()).fits  # its last layer is no head of ours: that has taken another


@pytest.mark.parametrize("is_ordered", [True, False])
def test_names_of_layers_are_known_by_their_own_or_by_the_plugin(is_ordered: bool) -> None:
    read = of_pytorch()
    mixed = [*read.arrays[7:], *read.arrays[:7]]
    names = {"0": "conv", "1": "norm", "2": "depthwise", "5": "features", "6": "classes"}
    shuffled = file(*[(a.layer, a.name, a.role, a.array) for a in mixed], is_ordered=is_ordered)
    by_plugin = match_weights(shuffled, net(names=str), names.get)
    assert by_plugin.fits
    own = file(*[(names[a.layer].upper(), a.name, a.role, a.array) for a in mixed], is_ordered=is_ordered)
    by_own = match_weights(own, net(names=str))
    expected = [each.value for each in match_weights(read, net()).taken]
    for found in (by_plugin, by_own):
        for each, value in zip(found.taken, expected, strict=True):
            np.testing.assert_array_equal(each.value, value)
    assert not match_weights(shuffled, net(names=str)).fits


def test_automatic_names_are_no_names() -> None:
    model = keras.Sequential([keras.Input((4,)), *(layers.Dense(4) for _ in range(3))])
    names = [layer.name for layer in model.layers]
    read = file(*conv(names[1], 4, 4), *conv(names[0], 4, 4), *conv(names[2], 4, 4))  # as numbered in another process
    matching = match_weights(read, model)
    assert matching.fits
    assert [each.source for each in matching.taken] == [each.name for each in read.arrays]  # by order
    assert not match_weights(file(*conv(names[0], 4, 4), is_ordered=False), model).taken


def test_names_and_order_that_differ_are_an_error(golden: Golden) -> None:
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(4, name="a"), layers.Dense(4, name="b"), layers.Dense(4, name="c")]
    )
    read = file(*conv("b", 4, 4), *conv("a", 4, 4), *conv("c", 4, 4))
    with golden.raises(ArtifactError, path="other.pt"):
        match_weights(read, model)
    assert match_weights(file(*conv("a", 4, 4), *conv("b", 4, 4), *conv("c", 4, 4)), model).fits


def test_parallel_layers_of_one_shape_are_known_by_name_alone(golden: Golden) -> None:
    def block(*names: str | None) -> keras.Model:
        inputs = keras.Input((4, 4, 2))
        one, two = (layers.Conv2D(3, 1, name=name)(inputs) for name in names)
        pooled = layers.GlobalAveragePooling2D()(layers.add([one, two]))
        return keras.Model(inputs, layers.Dense(2, "softmax", name="out")(pooled))

    read = file(*conv("conv3", 3, 2, 1, 1), *conv("downsample.0", 3, 2, 1, 1), *conv("fc", 2, 3))
    with golden.raises(ArtifactError, path="other.pt"):
        match_weights(read, block("shortcut", "main"))
    names = {"conv3": "main", "downsample.0": "shortcut", "fc": "out"}
    matching = match_weights(read, block("shortcut", "main"), names.get)
    assert matching.fits
    assert {each.target: each.source for each in matching.taken}["main/kernel"] == "conv3.weight"


@pytest.mark.parametrize("kind", ["batch normalization", "reshape", "dropout"])
def test_features_are_reordered_wherever_they_are_flattened(kind: str) -> None:
    flatten = layers.Reshape((18,)) if kind == "reshape" else layers.Flatten()
    between = {"batch normalization": [layers.BatchNormalization()], "dropout": [layers.Dropout(0.5)]}.get(kind, [])
    model = keras.Sequential([keras.Input((3, 3, 2)), flatten, *between, layers.Dense(4), layers.Dense(2, "softmax")])
    norms = norm("bn", 18) if kind == "batch normalization" else []
    read = file(*norms, *conv("a", 4, 18), *conv("b", 2, 4))
    matching = match_weights(read, model)
    assert matching.fits
    for each in matching.taken:
        each.variable.assign(each.value)
    images = values(5, 3, 3, 2)
    found, arrays = images.transpose(0, 3, 1, 2).reshape(5, -1), [each.array for each in read.arrays]
    if norms:
        gamma, beta, mean, variance = arrays[:4]
        found = (found - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    kernel, bias, last, end = arrays[-4:]
    logits = (found @ kernel.T + bias) @ last.T + end
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = exponents / exponents.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict(images, verbose=0), expected, atol=1e-5)


def test_features_whose_order_cannot_be_told_are_refused(golden: Golden) -> None:
    inputs = keras.Input((3, 3, 2))
    flat = layers.Flatten()(inputs)
    joined = layers.Concatenate()([flat, layers.GlobalAveragePooling2D()(inputs)])
    model = keras.Model(inputs, layers.Dense(2, "softmax", name="out")(joined))
    with golden.raises(ArtifactError, path="other.pt"):
        match_weights(file(*conv("a", 2, 20)), model)
    assert match_weights(file(("out", "kernel", "kernel", values(20, 2)), layout="keras"), model).taken


def test_counters_are_no_weights_of_a_file() -> None:
    adapted = layers.Normalization()
    adapted.adapt(values(4, 5))
    model = keras.Sequential([keras.Input((5,)), adapted, layers.Dense(2)])
    own = file(
        ("000", "mean", "mean", values(5)), ("001", "variance", "variance", values(5)),
        ("003", "kernel", "kernel", values(5, 2)), ("004", "bias", "bias", values(2)),
        layout="keras", format_="safetensors",
    )  # fmt: skip
    assert match_weights(own, model).fits


def test_first_kernel_of_three_channels_is_summed_for_gray_images() -> None:
    model = keras.Sequential([keras.Input((4, 4, 1)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(2)])
    read = file(*conv("a", 2, 3, 3, 3), *conv("b", 2, 8))
    matching = match_weights(read, model)
    assert matching.fits
    np.testing.assert_allclose(
        matching.taken[0].value[:, :, 0], read.arrays[0].array.sum(axis=1).transpose(1, 2, 0), rtol=1e-6
    )
    assert "summed" in matching.taken[0].how


@pytest.mark.parametrize("is_convolution", [True, False])
def test_convolutions_of_one_pixel_are_dense_layers_and_the_other_way_round(is_convolution: bool) -> None:
    body = layers.Conv2D(3, 1) if is_convolution else layers.Dense(3)
    model = keras.Sequential([keras.Input((4, 4, 2)), body, layers.GlobalAveragePooling2D(), layers.Dense(2)])
    shape = (3, 2) if is_convolution else (3, 2, 1, 1)
    read = file(*conv("a", *shape), *conv("b", 2, 3))
    matching = match_weights(read, model)
    assert matching.fits
    np.testing.assert_array_equal(np.squeeze(matching.taken[0].value), read.arrays[0].array.reshape(3, 2).T)


def test_roles_that_a_file_does_not_name_are_those_of_their_number() -> None:
    read = of_pytorch()
    unnamed = file(*[(a.layer, a.name, None, a.array) for a in read.arrays])
    for one, other in zip(match_weights(unnamed, net()).taken, match_weights(read, net()).taken, strict=True):
        np.testing.assert_array_equal(one.value, other.value)


def test_onnx_is_not_guessed_where_features_are_flattened(golden: Golden) -> None:
    with golden.raises(ArtifactError, path="other.pt"):
        match_weights(of_pytorch(format_="ONNX"), net())
