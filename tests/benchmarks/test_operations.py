"""What each replaced operation of a training step is worth: pytest tests/benchmarks/test_operations.py."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
import zoo_keras.steps_tensorflow
from zoo_fashion.dataset import FashionMnist
from zoo_fashion.model import build
from zoo_keras.bias_gradients import float32_bias_gradients
from zoo_keras.operations import dropout_from_few_bits, pooling_before_activation, training_operations
from zoo_keras.resident import Resident

from zoo import ArrayExamples, TrainingConfig

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

STEPS = 40
OPERATIONS: dict[str, Callable[[], Any]] = {
    "Keras's": contextlib.nullcontext,
    "float32 gradients of biases": float32_bias_gradients,
    "pooling before activation": pooling_before_activation,
    "dropout from few bits": dropout_from_few_bits,
    "all": training_operations,
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_steps(benchmark: BenchmarkFixture, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Forty steps of the reference network with trainer `resident` in float32 at batch size 64."""
    monkeypatch.setattr(zoo_keras.steps_tensorflow, "training_operations", OPERATIONS[name])
    keras.utils.set_random_seed(0)
    examples = ArrayExamples(*FashionMnist().load(None).train[np.arange(64 * STEPS)])
    training = Resident().start(build((28, 28, 1), 10), examples, TrainingConfig(epochs=1000, batch_size=64, seed=0))
    epochs = itertools.count()
    metrics = benchmark.pedantic(
        lambda: training.run_epoch(next(epochs), lambda step, metrics: None), rounds=8, warmup_rounds=3
    )
    assert np.isfinite(metrics.loss)
