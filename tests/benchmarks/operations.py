"""What each replaced operation of a training step is worth.

Usage: python -m tests.benchmarks.operations [--precision float32] [--batch-size 64] [--rounds 15]

The reference network with trainer `resident` and TensorFlow, traced once with each set of operations. They take turns,
forty steps each, so that a machine that becomes slower becomes so for all; "of Keras's" is the median over the rounds
of the ratio of two neighbors.
"""

from __future__ import annotations

import contextlib
import itertools
import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from unittest import mock

import click

if TYPE_CHECKING:
    from zoo import Training

STEPS = 40
KERAS = "Keras's"


def operations() -> dict[str, Callable[[], Any]]:
    """Return what is compared: each a context in which a step is traced."""
    from zoo_keras.bias_gradients import float32_bias_gradients
    from zoo_keras.operations import dropout_from_few_bits, pooling_before_activation, training_operations

    return {
        KERAS: contextlib.nullcontext,
        "float32 gradients of biases": float32_bias_gradients,
        "pooling before activation": pooling_before_activation,
        "dropout from few bits": dropout_from_few_bits,
        "all three": training_operations,
    }


def start(context: Callable[[], Any], batch_size: int) -> Callable[[], None]:
    """Return what trains `STEPS` steps with the operations of a context, already traced."""
    import keras
    import numpy as np
    from zoo_fashion.dataset import FashionMnist
    from zoo_fashion.model import build
    from zoo_keras import steps_tensorflow
    from zoo_keras.resident import Resident

    from zoo import ArrayExamples, TrainingConfig

    keras.utils.set_random_seed(0)
    examples = ArrayExamples(*FashionMnist().load(None).train[np.arange(batch_size * STEPS)])
    config = TrainingConfig(epochs=1_000_000, batch_size=batch_size, seed=0)
    training: Training = Resident().start(build((28, 28, 1), 10), examples, config)
    epochs = itertools.count()

    def run() -> None:
        if not np.isfinite(training.run_epoch(next(epochs), lambda step, metrics: None).loss):
            raise FloatingPointError("the loss is not finite")

    with mock.patch.object(steps_tensorflow, "training_operations", context):
        run()
    return run


@click.command(help=__doc__)
@click.option("--precision", default="float32", type=click.Choice(("float32", "mixed_bfloat16")), show_default=True)
@click.option("--batch-size", default=64, type=click.IntRange(min=1), show_default=True)
@click.option("--rounds", default=15, type=click.IntRange(min=1), show_default=True)
def main(precision: str, batch_size: int, rounds: int) -> None:
    """Measure all and print a table."""
    from zoo.utils.allocator import keep_freed_memory
    from zoo.utils.hardware import enable_onednn

    keep_freed_memory()
    enable_onednn()
    import keras

    keras.config.set_dtype_policy(precision)
    trainings = {name: start(context, batch_size) for name, context in operations().items()}
    milliseconds: dict[str, list[float]] = {name: [] for name in trainings}
    names = list(trainings)
    for number in range(rounds):
        begin = number % len(names)  # nobody always follows the same one
        for name in names[begin:] + names[:begin]:
            started = time.perf_counter()
            trainings[name]()
            milliseconds[name].append((time.perf_counter() - started) / STEPS * 1000)
    click.echo(f"{precision}, batches of {batch_size}, {rounds} rounds of {STEPS} steps\n")
    click.echo("| | ms a step | of Keras's |\n|---|---|---|")
    for name, values in milliseconds.items():
        ratio = statistics.median(ours / keras_s for ours, keras_s in zip(values, milliseconds[KERAS], strict=True))
        spread = f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"
        click.echo(f"| {name} | {spread} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
