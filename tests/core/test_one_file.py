"""A plugin of one file that changes how a model learns: trained, killed and resumed to the same bits."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PLUGIN = '''
"""How a model learns, in one file."""

from zoo import Entry, hookimpl


def momentum_sgd(learning_rate=0.05, momentum=0.9):
    import keras

    return keras.optimizers.SGD(learning_rate, momentum)


def halving(learning_rate, epochs, steps_per_epoch, every: int = 1):
    return lambda step: learning_rate * 0.5 ** (step // (every * steps_per_epoch))


def speckle(image_shape, deviation=0.1):
    import keras

    return keras.layers.GaussianNoise(deviation)


def mean_confidence(probabilities, labels):
    return probabilities.max(axis=1).mean()


@hookimpl
def register_optimizers():
    return [Entry(name="momentum-sgd", target=momentum_sgd, summary="SGD with momentum.")]


@hookimpl
def register_schedules():
    return [Entry(name="halving", target=halving, summary="Half the rate after every few epochs.")]


@hookimpl
def register_augmentations():
    return [Entry(name="speckle", target=speckle, summary="Noise.")]


@hookimpl
def register_metrics():
    return [Entry(name="confidence", target=mean_confidence, summary="Mean confidence.")]
'''
LONGEST = 120


def command(plugin: Path, out: Path) -> list[str]:
    """Return the command that starts or resumes a run with everything that the plugin registers."""
    chosen = ["--optimizer", "momentum-sgd", "--schedule", "halving", "--augment", "shift,speckle"]
    measured = ["--metric", "confidence", "--monitor", "confidence", "--set", "augmentation.shift.pixels=1"]
    small = ["--set", "model.widths=4,4,4", "--set", "model.dense_width=8", "--epochs", "4"]
    run = ["run", "fashion-cnn", "--dataset", "digits", *chosen, *measured, *small, "--out", str(out), "--resume"]
    return [sys.executable, "-m", "zoo", "--plugin", str(plugin), *run]


def result(out: Path) -> tuple[Any, ...]:
    """Return what must be the same in each run."""
    record = json.loads((out / "run.json").read_bytes())
    epochs = [(epoch["train"], epoch["validation"]) for epoch in record["history"]]
    return record["model_sha256"], record["best_epoch"], record["test"], epochs, record["recipe"]


@pytest.mark.slow
def test_killed_and_resumed_to_the_same_bits(tmp_path: Path) -> None:
    plugin, whole, killed = tmp_path / "my_learning.py", tmp_path / "whole", tmp_path / "killed"
    plugin.write_text(PLUGIN)
    subprocess.run(command(plugin, whole), check=True, capture_output=True, timeout=LONGEST)
    with subprocess.Popen(command(plugin, killed), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if line.startswith("epoch 2/"))
        process.send_signal(signal.SIGKILL)
    assert not (killed / "model.safetensors").exists()
    subprocess.run(command(plugin, killed), check=True, capture_output=True, timeout=LONGEST)
    assert result(killed) == result(whole)

    record = json.loads((whole / "run.json").read_bytes())
    recipe = record["recipe"]
    assert recipe["optimizer"]["plugin"] == "my-learning"
    assert recipe["optimizer"]["settings"] == {"learning_rate": 0.05, "momentum": 0.9}
    assert recipe["schedule"]["settings"] == {"every": 1}
    assert [(one["name"], one["settings"]) for one in recipe["augmentations"]] == [
        ("shift", {"pixels": 1}),
        ("speckle", {"deviation": 0.1}),
    ]
    assert recipe["monitor"] == "confidence"
    assert set(record["test"]["others"]) == {"confidence"}
    assert record["plugins"]["my-learning"]["version"].startswith("sha256:")
