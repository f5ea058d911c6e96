"""Our trainer `fit` beside stock ``keras.Model.fit``, epochs interleaved in one process.

Usage: python -m tests.benchmarks.stock_fit [EPOCHS]

Both train the reference network on the 55,000 training images of Fashion-MNIST with Adam at batch size 64, and test
the 5,000 validation images after each epoch: stock ``fit`` on float32 arrays with ``validation_data``, ours as the
cycle calls it. The first epoch of each compiles and does not count. On a virtual machine, wall time may depend on where
its host puts the threads; CPU time does much less.
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
import time
from collections.abc import Callable

import click
import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main(epochs: int) -> None:
    """Print wall and CPU seconds an epoch of both, and their ratio."""
    import keras
    from zoo_fashion.dataset import FashionMnist
    from zoo_fashion.model import build
    from zoo_keras.fit import Fit

    from zoo import RunSettings
    from zoo.examples import cut_validation, scale_pixels
    from zoo.metrics import evaluate

    split = cut_validation(FashionMnist().load(None), 5000)
    held_out = split.validation or split.test  # never the latter: the cut makes a validation part
    arrays = [
        (scale_pixels(images), keras.utils.to_categorical(labels, 10))
        for examples in (split.train, held_out)
        for images, labels in (examples[np.arange(len(examples))],)
    ]
    keras.utils.set_random_seed(0)
    stock = build((28, 28, 1), 10)
    stock.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    keras.utils.set_random_seed(0)
    model, trainer = build((28, 28, 1), 10), Fit()
    training = trainer.start(model, split.train, RunSettings(epochs=epochs, batch_size=64, seed=0))

    def stock_epoch(epoch: int) -> None:
        (images, labels), validation = arrays
        stock.fit(images, labels, 64, epochs=epoch + 1, initial_epoch=epoch, validation_data=validation, verbose=0)

    def our_epoch(epoch: int) -> None:
        training.run_epoch(epoch, lambda step, metrics: None)
        evaluate(trainer, model, held_out, 10)

    contenders: dict[str, Callable[[int], None]] = {"stock fit": stock_epoch, "zoo fit": our_epoch}
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for epoch in range(epochs + 1):
        for name, run in contenders.items():
            wall, cpu = time.perf_counter(), _cpu_seconds()
            run(epoch)
            seconds[name].append((time.perf_counter() - wall, _cpu_seconds() - cpu))
            click.echo(
                f"epoch {epoch}  {name:<9}  wall {seconds[name][-1][0]:6.2f} s  CPU {seconds[name][-1][1]:6.2f} s"
            )
    for summary, function in (("median", statistics.median), ("least", min)):
        ours, theirs = (
            [function(measured) for measured in zip(*seconds[name][1:], strict=True)]
            for name in ("zoo fit", "stock fit")
        )
        _tell(summary, "stock fit", *theirs)
        _tell(summary, "zoo fit", *ours)
        click.echo(f"{summary:<7}  ratio      wall {ours[0] / theirs[0]:6.2f}    CPU {ours[1] / theirs[1]:6.2f}")


def _tell(what: str, name: str, wall: float, cpu: float) -> None:
    click.echo(f"{what:<7}  {name:<9}  wall {wall:6.2f} s  CPU {cpu:6.2f} s")


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
