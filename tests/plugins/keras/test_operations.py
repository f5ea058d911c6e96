"""Operations that are replaced while a training step is traced compute what Keras's own compute."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from zoo_keras.operations import dropout_from_few_bits, pooling_before_activation, training_operations

from tests.support.bfloat16 import computes_bfloat16

IMAGES = np.random.default_rng(0).normal(size=(8, 7, 9, 3)).astype(np.float32)
ORIGINAL = (tf.nn.relu, tf.nn.leaky_relu, tf.nn.max_pool, tf.nn.bias_add, tf.nn.experimental.stateless_dropout)


def step(model: keras.Model, context: Callable[[], Any]) -> tuple[Any, list[Any]]:
    """Return a compiled training step's results and gradients, and its activations by type and shape."""

    @tf.function  # type: ignore[untyped-decorator]  # TensorFlow ships no types
    def compute(images: Any) -> Any:
        with context(), tf.GradientTape() as tape:
            result = model(images, training=True)
            loss = tf.reduce_sum(tf.cast(result, tf.float32) ** 2)
        return [result, *tape.gradient(loss, model.trainable_variables)]

    images = tf.constant(IMAGES)
    graph = compute.get_concrete_function(images).graph
    found = [operation for operation in graph.get_operations() if operation.type in ("Relu", "LeakyRelu")]
    operations = [(operation.type, tuple(operation.outputs[0].shape[1:3])) for operation in found]
    return [np.asarray(tf.cast(each, tf.float32)) for each in compute(images)], operations


def pooled(activation: Any, padding: str, dtype: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    convolution = layers.Conv2D(4, 3, padding="same", dtype=dtype)
    # few different values, so that many windows have their maximum more than once
    rounded = layers.Lambda(lambda values: values + tf.stop_gradient(tf.round(values) - values), dtype=dtype)
    pool = layers.MaxPooling2D(2, padding=padding, dtype=dtype)
    return keras.Sequential([keras.Input(IMAGES.shape[1:]), convolution, rounded, activation, pool])


@pytest.mark.parametrize("dtype", ["float32", pytest.param("mixed_bfloat16", marks=computes_bfloat16)])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    "make",
    [
        lambda dtype: layers.LeakyReLU(negative_slope=0.1, dtype=dtype),
        lambda dtype: layers.ReLU(dtype=dtype),
        lambda dtype: layers.Activation("relu", dtype=dtype),
        lambda dtype: layers.Activation("leaky_relu", dtype=dtype),
    ],
)
def test_pooling_before_activation_is_the_same_function(make: Callable[[str], Any], padding: str, dtype: str) -> None:
    model = pooled(make(dtype), padding, dtype)
    expected, plain = step(model, contextlib.nullcontext)
    received, changed = step(model, pooling_before_activation)
    for one, other in zip(expected, received, strict=True):
        np.testing.assert_array_equal(one, other)

    assert {shape for _, shape in plain} == {(7, 9)}
    assert ((4, 5) if padding == "same" else (3, 4)) in {shape for _, shape in changed}


def test_activation_that_is_used_elsewhere_too_is_computed() -> None:
    inputs = keras.Input(IMAGES.shape[1:])
    features = layers.Conv2D(4, 3, padding="same")(inputs)
    activated = layers.LeakyReLU(negative_slope=0.3)(features)
    means, maxima = layers.GlobalAveragePooling2D()(activated), layers.MaxPooling2D()(activated)
    model = keras.Model(inputs, layers.Concatenate()([means, layers.Flatten()(maxima)]))
    for one, other in zip(step(model, contextlib.nullcontext)[0], step(model, training_operations)[0], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_what_is_not_monotonic_is_left_as_it_is() -> None:
    with pooling_before_activation():
        received = np.asarray(tf.nn.max_pool(tf.nn.leaky_relu(IMAGES, -0.5), 2, 2, "VALID"))
    windows = IMAGES[:, :6, :8].reshape(8, 3, 2, 4, 2, 3)
    np.testing.assert_allclose(received, np.where(windows < 0, -0.5 * windows, windows).max(axis=(2, 4)), rtol=1e-6)


@pytest.mark.parametrize("rate", [0.0, 0.001, 0.25, 0.3, 0.4, 0.999, 1.0])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_dropout_has_its_rate_and_keeps_the_mean(rate: float, dtype: str) -> None:
    values = tf.ones((1000, 999), dtype)
    with dropout_from_few_bits():
        first, again = (keras.random.dropout(values, rate, seed=keras.random.SeedGenerator(7)) for _ in range(2))
        other = keras.random.dropout(values, rate, seed=keras.random.SeedGenerator(8))
    one, same, another = (np.asarray(tf.cast(each, tf.float32)) for each in (first, again, other))
    np.testing.assert_array_equal(one, same)
    dropped = (one == 0).mean()
    assert dropped == pytest.approx(rate, abs=5 * np.sqrt(rate * (1 - rate) / one.size) + 1e-5)
    if 0 < rate < 1:
        assert (one != another).any()
        assert len(np.unique(one)) == 2
        assert one.max() == pytest.approx(1 / (1 - rate), rel=0.02)
        # rows and columns are dropped alike
        assert (one == 0).mean(axis=0) == pytest.approx(rate, abs=6 * np.sqrt(rate * (1 - rate) / 1000) + 1e-3)


def test_dropout_of_whole_channels_and_its_gradient() -> None:
    model = keras.Sequential([keras.Input(IMAGES.shape[1:]), layers.SpatialDropout2D(0.25, seed=3)])
    values = tf.Variable(IMAGES)
    with dropout_from_few_bits(), tf.GradientTape() as tape:
        result = model(values, training=True)
    factor = np.asarray(tape.gradient(result, values))
    np.testing.assert_allclose(np.asarray(result), IMAGES * factor, rtol=1e-6)
    per_channel = factor.reshape(8, -1, 3)
    assert (per_channel == per_channel[:, :1]).all()
    assert set(np.unique(per_channel)) == {np.float32(0), np.float32(256 / 192)}


def test_everything_is_put_back() -> None:
    with contextlib.suppress(ZeroDivisionError), training_operations():
        assert tf.nn.max_pool is not ORIGINAL[2]
        raise ZeroDivisionError
    now = (tf.nn.relu, tf.nn.leaky_relu, tf.nn.max_pool, tf.nn.bias_add, tf.nn.experimental.stateless_dropout)
    assert now == ORIGINAL


def test_threads_replace_at_the_same_time() -> None:
    """One enters after another and leaves after it; neither sees the other's, and nothing is left."""
    entered, left = threading.Event(), threading.Event()
    seen: dict[str, Any] = {}

    def other() -> None:
        entered.wait(60)
        with dropout_from_few_bits():
            seen["inside"] = len(np.unique(keras.random.dropout(tf.ones(1000), 0.5, seed=1)))
            left.set()
            finished.wait(60)
            seen["after"] = len(np.unique(keras.random.dropout(tf.ones(1000), 0.5, seed=1)))

    finished = threading.Event()
    thread = threading.Thread(target=other)
    thread.start()
    with training_operations():
        entered.set()
        assert left.wait(60)
    plain = np.asarray(keras.random.dropout(tf.ones(1000), 0.3, seed=2))
    finished.set()
    thread.join()
    np.testing.assert_array_equal(plain, np.asarray(keras.random.dropout(tf.ones(1000), 0.3, seed=2)))
    assert seen == {"inside": 2, "after": 2}
    now = (tf.nn.relu, tf.nn.leaky_relu, tf.nn.max_pool, tf.nn.bias_add, tf.nn.experimental.stateless_dropout)
    assert now == ORIGINAL
