"""Batch normalization of plugin vision: what Keras's layer gives, in one operation."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from zoo_vision.normalization import BatchNormalization

from tests.support.bfloat16 import computes_bfloat16

Values = list[NDArray[np.float32]]


def normalize(
    layer: type[keras.layers.BatchNormalization], shape: tuple[int, ...], precision: str, **settings: Any
) -> Values:
    """Return what a layer makes of random maps: outputs in training and after it, gradients, statistics."""
    masked = settings.pop("masked", False)
    made = layer(momentum=0.9, epsilon=1e-5, dtype=precision, **settings)
    maps = tf.constant(np.random.default_rng(0).normal(2, 3, shape).astype(made.compute_dtype))
    mask = tf.constant(np.arange(math.prod(shape[:-1])).reshape(shape[:-1]) % 3 > 0) if masked else None
    made.build(shape)
    channels = made.moving_mean.shape[0]
    for weight, low, high in ((made.gamma, 0.5, 2), (made.beta, -1, 1)):
        if weight is not None:
            weight.assign(np.linspace(low, high, channels))
    with tf.GradientTape() as tape:
        tape.watch(maps)
        outputs = made(maps, training=True, mask=mask)
        total = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 3)
    gradients: list[Any] = tape.gradient(total, [maps, *(weight.value for weight in made.trainable_weights)])
    predicted = made(maps, training=False, mask=mask)
    assert outputs.dtype == predicted.dtype == made.compute_dtype
    values = [outputs, predicted, *gradients, made.moving_mean.value, made.moving_variance.value]
    return [tf.cast(value, tf.float32).numpy() for value in values]


def assert_as_of_keras(shape: tuple[int, ...], precision: str, rounding: float, **settings: Any) -> None:
    """Ask that all is as Keras's layer gives it, but for rounding."""
    ours, theirs = (
        normalize(layer, shape, precision, **settings)
        for layer in (BatchNormalization, keras.layers.BatchNormalization)
    )
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=rounding, atol=rounding * float(np.abs(other).max()))


@pytest.mark.parametrize(
    ("precision", "rounding"),
    [("float32", 1e-5), pytest.param("mixed_bfloat16", 2e-3, marks=computes_bfloat16), ("mixed_float16", 2e-3)],
)
@pytest.mark.parametrize("shape", [(8, 7, 5, 3), (3, 1, 1, 4), (1, 1, 1, 2)])
def test_is_that_of_keras(shape: tuple[int, ...], precision: str, rounding: float) -> None:
    assert_as_of_keras(shape, precision, rounding)


@pytest.mark.parametrize(
    ("shape", "precision", "settings"),
    [
        ((8, 7, 5, 3), "float64", {}),
        ((8, 7, 5, 3), "float16", {}),
        ((8, 7, 5, 3), "bfloat16", {}),
        ((8, 7, 5, 3), "float32", {"center": False}),
        ((8, 7, 5, 3), "float32", {"scale": False}),
        ((8, 3, 7, 5), "float32", {"axis": 1}),
        ((8, 7, 5, 3), "float32", {"renorm": True}),
        ((8, 7, 5, 3), "float32", {"masked": True}),
        ((8, 3), "float32", {}),
        ((4, 5, 6, 7, 3), "float32", {}),
    ],
)
def test_what_the_operation_does_not_have_is_left_to_keras(
    shape: tuple[int, ...], precision: str, settings: dict[str, Any]
) -> None:
    assert_as_of_keras(shape, precision, 0.0, **settings)


def test_size_of_maps_may_be_open() -> None:
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, BatchNormalization(momentum=0.9)(inputs))
    normalized = tf.function(model)
    maps = np.random.default_rng(0).normal(2, 3, (6, 5, 4, 3)).astype(np.float32)
    for count in (6, 2):
        wanted = (maps[:count] - maps[:count].mean((0, 1, 2))) / maps[:count].std((0, 1, 2))
        np.testing.assert_allclose(normalized(maps[:count], training=True), wanted, atol=1e-3)


def test_frozen_layer_normalizes_by_what_it_has_learned() -> None:
    maps = np.random.default_rng(0).normal(2, 3, (8, 7, 5, 3)).astype(np.float32)
    layer = BatchNormalization()
    layer(maps, training=True)
    layer.trainable = False
    before = np.array(layer.moving_mean.value)
    np.testing.assert_array_equal(layer(maps, training=True), layer(maps, training=False))
    np.testing.assert_array_equal(layer.moving_mean.value, before)
