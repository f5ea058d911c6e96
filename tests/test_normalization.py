"""Batch normalization of plugin vision: what Keras's layer gives, in one operation."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from zoo_vision.normalization import BatchNormalization

Values = list[NDArray[np.float32]]


def normalize(layer: type[keras.layers.BatchNormalization], shape: tuple[int, ...], precision: str) -> Values:
    """Return what a layer makes of random maps: outputs in training and after it, gradients, statistics."""
    maps = tf.constant(np.random.default_rng(0).normal(2, 3, shape).astype(np.float32))
    made = layer(momentum=0.9, epsilon=1e-5, dtype=precision)
    made.build(shape)
    made.gamma.assign(np.linspace(0.5, 2, shape[-1]))
    made.beta.assign(np.linspace(-1, 1, shape[-1]))
    with tf.GradientTape() as tape:
        tape.watch(maps)
        outputs = made(maps, training=True)
        total = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 3)
    gradients: list[Any] = tape.gradient(total, [maps, made.gamma.value, made.beta.value])
    predicted = made(maps, training=False)
    assert outputs.dtype == predicted.dtype == made.compute_dtype
    values = [outputs, predicted, *gradients, made.moving_mean.value, made.moving_variance.value]
    return [tf.cast(value, tf.float32).numpy() for value in values]


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("shape", [(8, 7, 5, 3), (2, 1, 1, 4), (1, 1, 1, 2)])
def test_is_that_of_keras(shape: tuple[int, ...], precision: str) -> None:
    ours, theirs = (
        normalize(layer, shape, precision) for layer in (BatchNormalization, keras.layers.BatchNormalization)
    )
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-5 * max(1.0, float(np.abs(other).max())))


def test_frozen_layer_normalizes_by_what_it_has_learned() -> None:
    maps = np.random.default_rng(0).normal(2, 3, (8, 7, 5, 3)).astype(np.float32)
    layer = BatchNormalization()
    layer(maps, training=True)
    layer.trainable = False
    before = np.array(layer.moving_mean.value)
    np.testing.assert_array_equal(layer(maps, training=True), layer(maps, training=False))
    np.testing.assert_array_equal(layer.moving_mean.value, before)
