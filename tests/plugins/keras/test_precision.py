"""Computing in bfloat16: what TensorFlow gets wrong on a processor, and trainers do not."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from zoo_keras.bias_gradients import float32_bias_gradients
from zoo_keras.fit import Fit
from zoo_keras.resident import Resident
from zoo_ray.job import TrainingJob
from zoo_ray.steps import SharedSteps
from zoo_ray.trainer import RayTrainer

from tests.support.bfloat16 import computes_bfloat16
from tests.support.small_recipe import FashionSlice
from zoo import ArrayExamples, TrainingConfig

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = computes_bfloat16
TRAIN = ArrayExamples(*FashionSlice().load(None).train[np.arange(600)])
STOCK = tf.nn.bias_add


class Witness(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """Sees what biases are added with while a model is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[object] = []

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if training:
            self.seen.append(tf.nn.bias_add)
        return inputs


def gradients(layer: keras.layers.Layer, images: Any, weights: Any, context: Any) -> list[Any]:
    """Return the gradients of a layer's kernel and bias, for a weighted sum of its outputs."""

    @tf.function  # type: ignore[untyped-decorator]
    def compute() -> Any:
        with context(), tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.cast(layer(images), tf.float32) * weights)
        return tape.gradient(loss, layer.trainable_variables)

    return [gradient.numpy() for gradient in compute()]


def error(found: Any, true: Any) -> float:
    return float(np.linalg.norm(found - true) / np.linalg.norm(true))


def test_tensorflow_sums_biases_in_bfloat16_yet() -> None:
    """The day this fails, zoo_keras.bias_gradients can go."""
    assert tf.raw_ops.BiasAddGrad(out_backprop=tf.ones((4096, 8), tf.bfloat16)).numpy().max() < 2048


@pytest.mark.parametrize("name", ["Dense", "DepthwiseConv2D"])
def test_biases_have_their_gradients_in_bfloat16(name: str) -> None:
    random = np.random.default_rng(0)
    images = tf.constant(random.normal(size=(64, 8, 12, 8)), tf.float32)
    makers: dict[str, Callable[[str], Any]] = {
        "Dense": lambda dtype: keras.layers.Dense(8, dtype=dtype),
        "DepthwiseConv2D": lambda dtype: keras.layers.DepthwiseConv2D(3, padding="same", dtype=dtype),
    }
    half, whole = (makers[name](dtype) for dtype in ("mixed_bfloat16", "float32"))
    for layer in (half, whole):
        layer.build(images.shape)
    whole.set_weights(half.get_weights())
    weights = tf.constant(random.normal(0.2, 1.0, images.shape), tf.float32)
    true = gradients(whole, images, weights, contextlib.nullcontext)
    assert error(gradients(half, images, weights, contextlib.nullcontext)[1], true[1]) > 0.3  # the bias, without us
    for one, other in zip(gradients(half, images, weights, float32_bias_gradients), true, strict=True):
        assert error(one, other) < 0.01
    for one, other in zip(gradients(whole, images, weights, float32_bias_gradients), true, strict=True):
        np.testing.assert_array_equal(one, other)  # float32 is left as it is


def test_channels_may_come_first() -> None:
    value = tf.ones((64, 3, 16, 16), tf.bfloat16)
    bias = tf.Variable(tf.zeros(3, tf.bfloat16))
    with float32_bias_gradients(), tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.cast(tf.nn.bias_add(value, bias, "NCHW"), tf.float32))
    assert tf.cast(tape.gradient(loss, bias), tf.float32).numpy().tolist() == [64 * 16 * 16] * 3


def train_with(trainer: type[Fit] | type[Resident], model: keras.Model) -> None:
    training = trainer(precision="mixed_bfloat16").start(model, TRAIN, TrainingConfig(epochs=1, batch_size=300, seed=0))
    training.run_epoch(0, lambda step, metrics: None)


def train_as_worker(model: keras.Model) -> None:
    trainer = RayTrainer(precision="mixed_bfloat16")
    config = TrainingConfig(epochs=1, batch_size=60, seed=0)
    job = TrainingJob(trainer=trainer, config=config, build=lambda: model, folder="/")
    SharedSteps(tf.distribute.get_strategy(), job, TRAIN, 0, 1).run(np.arange(60))


@pytest.mark.parametrize(
    "train",
    [lambda model: train_with(Fit, model), lambda model: train_with(Resident, model), train_as_worker],
    ids=["fit", "resident", "ray"],
)
def test_trainers_sum_them_so(train: Callable[[keras.Model], None]) -> None:
    witness = Witness()
    layers = [keras.Input((28, 28, 1)), keras.layers.Flatten(), witness, keras.layers.Dense(10, "softmax")]
    train(keras.Sequential(layers))
    assert witness.seen
    assert STOCK not in witness.seen
    assert tf.nn.bias_add is STOCK
