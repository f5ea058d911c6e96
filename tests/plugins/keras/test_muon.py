"""The optimizer ``muon``: orthogonal steps for kernels, Adam's for the rest."""

from __future__ import annotations

from functools import partial
from typing import Literal

import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from zoo_keras.losses import cross_entropy
from zoo_keras.optimizers import muon
from zoo_keras.resident import Resident
from zoo_keras.schedules import constant

from tests.support.bfloat16 import computes_bfloat16
from zoo import ArrayExamples, Learning, Metrics, Training, TrainingConfig

RATE = 1e-2


def quietly(step: int, metrics: Metrics) -> None:
    """Watch nothing."""


def net() -> keras.Model:
    layers = [
        keras.Input((8, 8, 3)),
        keras.layers.Conv2D(16, 3, name="convolution"),
        keras.layers.DepthwiseConv2D(3, name="depthwise"),
        keras.layers.Flatten(),
        keras.layers.Dense(32, name="hidden"),
        keras.layers.Dense(5, activation="softmax", name="output"),
    ]
    return keras.Sequential(layers)


def one_step(optimizer: keras.optimizers.Optimizer, model: keras.Model) -> dict[str, NDArray[np.float32]]:
    """Apply random gradients once; return by how much each variable moved."""
    draw = np.random.default_rng(0)
    variables = model.trainable_variables
    before = [np.array(variable.value) for variable in variables]
    optimizer.apply([keras.ops.array(draw.normal(size=each.shape), "float32") for each in before], variables)
    return {"/".join(v.path.split("/")[-2:]): np.array(v.value) - old for v, old in zip(variables, before, strict=True)}


def test_kernels_of_convolutions_and_dense_layers_take_orthogonal_steps() -> None:
    moved = one_step(muon(RATE), net())
    for name in ("convolution/kernel", "hidden/kernel"):
        matrix = moved[name].reshape(-1, moved[name].shape[-1])
        singular = np.linalg.svd(matrix, compute_uv=False) / (RATE * 0.2 * np.sqrt(max(matrix.shape)))
        # five iterations with these coefficients end between 0.68 and 1.13 (Jordan), never at 1
        assert 0.6 < singular.min() < singular.max() < 1.25


def test_fewer_iterations_are_less_exact() -> None:
    spreads = []
    for steps in (1, 4):
        moved = one_step(muon(newton_schulz_steps=steps), net())
        singular = np.linalg.svd(moved["hidden/kernel"], compute_uv=False)
        spreads.append(singular.max() / singular.min())
    assert spreads[0] > 1.2 * spreads[1]


def test_the_rest_and_the_output_take_adam_s_steps() -> None:
    moved = one_step(muon(RATE), net())
    for name in ("convolution/bias", "depthwise/kernel", "depthwise/bias", "hidden/bias", "output/kernel"):
        np.testing.assert_allclose(abs(moved[name]), RATE, rtol=1e-2)  # Adam's first step, whatever the gradient


def test_dense_layers_step_as_with_keras_s_muon() -> None:
    ours = muon(RATE, weight_decay=0.1)
    models = [net(), net()]
    models[1].set_weights(models[0].get_weights())
    steps = [one_step(ours, models[0]), one_step(keras.optimizers.Muon(RATE, weight_decay=0.1), models[1])]
    np.testing.assert_array_equal(steps[0]["hidden/kernel"], steps[1]["hidden/kernel"])


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", pytest.param("mixed_bfloat16", marks=computes_bfloat16)])
def test_learns_and_goes_on_with_the_same_bits(precision: Literal["float32", "mixed_bfloat16"]) -> None:
    draw = np.random.default_rng(0)
    labels = np.arange(320) % 5
    images = (draw.integers(0, 60, (320, 8, 8, 3)) + labels[:, None, None, None] * 30).astype(np.uint8)
    trainer = Resident(precision=precision)
    learning = Learning(
        optimizer=partial(muon, weight_decay=0.1), learning_rate=RATE, schedule=constant, loss=cross_entropy
    )
    config = TrainingConfig(epochs=4, batch_size=32, seed=0, learning=learning)

    def start() -> Training:
        keras.utils.set_random_seed(0)
        keras.config.set_dtype_policy(precision)
        try:
            model = net()
        finally:
            keras.config.set_dtype_policy("float32")
        return trainer.start(model, ArrayExamples(images, labels), config)

    whole, resumed = start(), start()
    for epoch in range(3):
        whole.run_epoch(epoch, quietly)
    resumed.restore(whole.state())
    expected = whole.run_epoch(3, quietly)
    assert expected.accuracy > 0.9  # of five classes by brightness
    assert resumed.run_epoch(3, quietly) == expected
    for name, values in whole.state().items():
        np.testing.assert_array_equal(values, resumed.state()[name])
