"""A plugin file with what the tests of sweeps train, since trials have processes of their own: tiny, on real images."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo import ArrayExamples, Dataset, Entry, Recipe, RunContext, Split, hookimpl
from zoo.utils import HeldSignals

READS = "ZOO_TESTS_READS"
"""Names the file in which processes that read test images write their numbers."""

GATES = "ZOO_TESTS_GATES"
"""Names the folder in which a file with the name of a trial's folder lets that trial go on."""

_LONGEST = 600.0  # seconds that a trial is held


class _Watched(ArrayExamples):
    """Test images that write down who reads them."""

    def __getitem__(self, indices: Any) -> Any:
        if READS in os.environ:
            with open(os.environ[READS], "a", encoding="utf-8") as file:
                file.write(f"{os.getpid()}\n")
        return super().__getitem__(indices)


@dataclass(frozen=True, kw_only=True)
class Slice(Dataset):
    """The first images of Fashion-MNIST, with settings for what befalls the process of a trial.

    Args:
        hold: Where `GATES` is set, a trial is held after each step of this epoch, from 1, until its gate is there, or
            it is asked to stop: so it is in the middle for as long as a test wants.
        dies: A trial with so many hidden units and seed 1 is killed in its second epoch, as if by `kill -9`.
        times: How often.
        fails: One with so many, and that seed, fails.
    """

    hold: int = 0
    dies: int = 0
    times: int = 1
    fails: int = 0

    def load(self, data_dir: Path | None) -> Split:
        import numpy as np
        from zoo_fashion.dataset import FashionMnist

        whole = FashionMnist().load(data_dir)
        return Split(
            train=ArrayExamples(*whole.train[np.arange(260)]),
            test=_Watched(*whole.test[np.arange(100)]),
            class_names=whole.class_names,
            digests=whole.digests,
        )


def build(input_shape: tuple[int, int, int], num_classes: int, *, units: int = 8, widths: tuple[int, ...] = ()) -> Any:
    from keras import Input, Sequential, layers

    hidden = [layers.Dense(width, "relu") for width in (units, *widths)]
    return Sequential([Input(input_shape), layers.Flatten(), *hidden, layers.Dense(num_classes, "softmax")])


@hookimpl
def register_datasets() -> list[Entry]:
    return [Entry(name="sweep-slice", target=Slice, summary="360 real images.")]


@hookimpl
def register_models() -> list[Entry]:
    return [Entry(name="sweep-net", target=build, summary="One hidden layer, or several.")]


@hookimpl
def register_recipes() -> list[Recipe]:
    return [
        Recipe(
            name="tiny",
            summary="A hidden layer on a slice of Fashion-MNIST.",
            dataset="sweep-slice",
            model="sweep-net",
            trainer="fit",
            epochs=3,
            batch_size=32,
            validation=100,
            callbacks=("fails-on-demand",),
        )
    ]


def hold(name: str) -> None:
    """Wait until a trial may go on."""
    gate, deadline = Path(os.environ[GATES], name), time.monotonic() + _LONGEST
    while not gate.exists() and not is_asked_to_stop():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nobody made {gate}")
        time.sleep(0.02)


def is_asked_to_stop() -> bool:
    """Return whether a signal is noted that will have its effect after the step."""
    held = [getattr(signal.getsignal(number), "__self__", None) for number in (signal.SIGINT, signal.SIGTERM)]
    return any(isinstance(each, HeldSignals) and each.received is not None for each in held)


def fails_on_demand(run: RunContext) -> Any:
    import keras

    class FailsOnDemand(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
        epoch = 0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.epoch = epoch

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if GATES in os.environ and self.epoch + 1 == run.settings["dataset.hold"]:
                hold(run.path.name)
            if self.epoch != 1 or run.settings["seed"] != 1:
                return
            if run.settings["model.units"] == run.settings["dataset.fails"]:
                raise ValueError("these units bring bad luck")
            deaths = len(list(run.path.glob("death-*")))
            if run.settings["model.units"] == run.settings["dataset.dies"] and deaths < run.settings["dataset.times"]:
                (run.path / f"death-{deaths}").touch()
                os.kill(os.getpid(), signal.SIGKILL)

    return FailsOnDemand()


@hookimpl
def register_callbacks() -> list[Entry]:
    return [Entry(name="fails-on-demand", target=fails_on_demand, summary="Fails and dies as the dataset says.")]
