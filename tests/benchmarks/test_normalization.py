"""A training step of ResNet-20 in bfloat16, with plugin vision's batch normalization beside Keras's."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import keras
import numpy as np
import pytest
from zoo_fashion.dataset import FashionMnist
from zoo_keras.resident import Resident
from zoo_vision import blocks, resnet
from zoo_vision.normalization import BatchNormalization

from zoo import ArrayExamples, TrainingConfig

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

STEPS = 10


@pytest.mark.parametrize("layer", [BatchNormalization, keras.layers.BatchNormalization], ids=["ours", "keras"])
def test_ten_steps_of_resnet_20(
    benchmark: BenchmarkFixture, layer: type[keras.layers.BatchNormalization], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten steps of the trainer `resident` in bfloat16 at batch size 256."""
    monkeypatch.setattr(blocks, "BatchNormalization", layer)
    trainer = Resident(precision="mixed_bfloat16")
    keras.config.set_dtype_policy(trainer.dtype_policy)
    try:
        model = resnet.resnet_20((28, 28, 1), 10)
    finally:
        keras.config.set_dtype_policy("float32")
    assert layer in map(type, model.layers)
    examples = ArrayExamples(*FashionMnist().load(None).train[np.arange(256 * STEPS)])
    training = trainer.start(model, examples, TrainingConfig(epochs=1000, batch_size=256, seed=0))
    epochs = itertools.count()
    metrics = benchmark.pedantic(
        lambda: training.run_epoch(next(epochs), lambda step, metrics: None), rounds=5, warmup_rounds=2
    )
    assert np.isfinite(metrics.loss)
