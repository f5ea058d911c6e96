"""The parts of the cycle, timed with pytest-benchmark: pytest tests/benchmarks."""

from __future__ import annotations

import itertools
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
import pytest
from zoo_fashion.dataset import FashionMnist
from zoo_fashion.model import build
from zoo_keras.fit import Fit
from zoo_keras.resident import Resident

import zoo
from zoo import ArrayExamples, Metrics, Split, TrainingConfig
from zoo.training.metrics import evaluate

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

STEPS = 50


@pytest.fixture(scope="module")
def split() -> Split:
    return FashionMnist().load(None)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    return build((28, 28, 1), 10)


def test_load_data(benchmark: BenchmarkFixture) -> None:
    """Read, check and decode all four files."""

    def load() -> int:
        split = FashionMnist().load(None)
        return sum(len(examples[np.arange(len(examples))][1]) for examples in (split.train, split.test))

    assert benchmark(load) == 70_000


@pytest.mark.parametrize("trainer", [Fit(), Resident()], ids=["fit", "resident"])
@pytest.mark.parametrize("steps", [1, STEPS])
def test_training_steps(
    benchmark: BenchmarkFixture, split: Split, model: keras.Model, trainer: Fit | Resident, steps: int
) -> None:
    """An epoch of one step, and of fifty, at batch size 64, after one epoch that compiles."""
    examples = ArrayExamples(*split.train[np.arange(64 * steps)])
    training = trainer.start(model, examples, TrainingConfig(epochs=1000, batch_size=64, seed=0))
    epochs = itertools.count()

    def epoch() -> Metrics:
        return training.run_epoch(next(epochs), lambda step, metrics: None)

    epoch()
    metrics = benchmark.pedantic(epoch, rounds=5)
    assert np.isfinite(metrics.loss)


@pytest.mark.parametrize("dropout", [0.0, 0.05])
def test_what_dropout_costs(benchmark: BenchmarkFixture, split: Split, dropout: float) -> None:
    """Fifty steps of the trainer `resident` in bfloat16 at batch size 256, without dropout and with it."""
    trainer = Resident(precision="mixed_bfloat16")
    keras.config.set_dtype_policy(trainer.dtype_policy)
    try:
        model = build((28, 28, 1), 10, dropout=dropout, pool_first=True)
    finally:
        keras.config.set_dtype_policy("float32")
    examples = ArrayExamples(*split.train[np.arange(256 * STEPS)])
    training = trainer.start(model, examples, TrainingConfig(epochs=1000, batch_size=256, seed=0))
    epochs = itertools.count()
    metrics = benchmark.pedantic(
        lambda: training.run_epoch(next(epochs), lambda step, metrics: None), rounds=5, warmup_rounds=2
    )
    assert np.isfinite(metrics.loss)


def test_test_ten_thousand_images(benchmark: BenchmarkFixture, split: Split, model: keras.Model) -> None:
    """Predict and score the test split."""
    trainer = Fit()
    scores = benchmark.pedantic(lambda: evaluate(trainer, model, split.test, 10), rounds=3, warmup_rounds=1)
    assert scores.probabilities.shape == (10_000, 10)


def test_load_a_model(benchmark: BenchmarkFixture) -> None:
    """Build the network and read the weights that ship."""
    loaded = benchmark.pedantic(lambda: zoo.load("fashion-cnn"), rounds=5, warmup_rounds=1)
    assert loaded.model.count_params() == 356_234


def test_predict_one_image(benchmark: BenchmarkFixture, split: Split) -> None:
    """From uint8 pixels to probabilities."""
    loaded, (image, _) = zoo.load("fashion-cnn"), split.test[np.arange(1)]
    assert benchmark(lambda: loaded.predict(image)).shape == (1, 10)


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-c", "import click, pluggy"],
        [str(Path(sysconfig.get_path("scripts")) / "zoo"), "--help"],
        [str(Path(sysconfig.get_path("scripts")) / "zoo"), "list"],
        [sys.executable, "-c", "import keras"],
    ],
    ids=["import click, pluggy", "zoo --help", "zoo list", "import keras"],
)
def test_start_up(benchmark: BenchmarkFixture, command: list[str]) -> None:
    """The program beside its two smallest dependencies, and beside the one that it does not import."""
    done = benchmark.pedantic(
        lambda: subprocess.run(command, capture_output=True, check=True), rounds=10, warmup_rounds=1
    )
    assert done.returncode == 0
