"""The epochs of a run, once for every trainer: order, validation, the best epoch, callbacks, the check for NaN."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from zoo import weights
from zoo.blame import blaming
from zoo.errors import DivergedError, PluginError
from zoo.metrics import evaluate
from zoo.records import EpochRecord, Metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import keras
    import numpy as np
    from numpy.typing import NDArray

    from zoo.interfaces import Progress, RunSettings, Split, Trainer


@dataclass(frozen=True, kw_only=True)
class History:
    """What training came to.

    Args:
        epochs: A record for each epoch.
        best_epoch: Number, from 1, of the epoch with the lowest validation loss; without validation, the last.
        validation: Validation metrics of that epoch.
    """

    epochs: tuple[EpochRecord, ...]
    best_epoch: int
    validation: Metrics | None

    @property
    def seconds(self) -> float:
        """Wall seconds of all epochs, their validation included."""
        return sum(record.seconds for record in self.epochs)


class Silent:
    """Progress that nobody watches."""

    def stage(self, text: str) -> None:
        """Say nothing."""

    def epoch_started(self, epoch: int, epochs: int, steps: int) -> None:
        """Say nothing."""

    def step(self, step: int, metrics: Metrics) -> None:
        """Say nothing."""

    def epoch_ended(self, record: EpochRecord) -> None:
        """Say nothing."""


class _Listeners:
    """The callbacks of all plugins; one that fails stops the run with the name of its plugin."""

    def __init__(self, callbacks: Mapping[str, Sequence[keras.callbacks.Callback]], model: keras.Model) -> None:
        import keras

        self._lists = {
            plugin: keras.callbacks.CallbackList(list(several), model=model) for plugin, several in callbacks.items()
        }

    def tell(self, event: str, *arguments: Any) -> None:
        for plugin, callbacks in self._lists.items():
            with blaming(f"callbacks of plugin {plugin!r}", f"do {event}"):
                getattr(callbacks, event)(*arguments)


def train(
    trainer: Trainer,
    model: keras.Model,
    split: Split,
    settings: RunSettings,
    *,
    title: str = "trainer",
    callbacks: Mapping[str, Sequence[keras.callbacks.Callback]] | None = None,
    progress: Progress | None = None,
    on_epoch: Callable[[History], None] = lambda _: None,
) -> History:
    """Train a model in place and leave it with the weights of its best epoch.

    Args:
        trainer: What knows how to train one epoch.
        model: The model, built and not yet compiled.
        split: What to train on and, if it has a validation part, what to choose the best epoch by.
        settings: Number of epochs, batch size, seed.
        title: What to call the trainer in messages.
        callbacks: Keras callbacks by plugin. They see every epoch, and the end of every step that the trainer tells of.
        progress: Is told how far it is.
        on_epoch: Is given the history after each epoch.

    Raises:
        DivergedError: A loss or a weight is NaN or infinite.
        PluginError: The trainer or a callback failed; the message says which.
    """
    progress = progress or Silent()
    listeners = _Listeners(callbacks or {}, model)
    steps = math.ceil(len(split.train) / settings.batch_size)
    history = History(epochs=(), best_epoch=0, validation=None)
    best: dict[str, NDArray[Any]] = {}
    not_the_trainer_s: list[Exception] = []

    def on_step(step: int, metrics: Metrics) -> None:
        try:
            progress.step(step, metrics)
            listeners.tell("on_train_batch_end", step - 1, {"loss": metrics.loss, "accuracy": metrics.accuracy})
        except Exception as error:
            not_the_trainer_s.append(error)
            raise

    with blaming(title, "start"):
        training = trainer.start(model, split.train, settings)
    model.stop_training = False  # a callback may set it
    listeners.tell("on_train_begin")
    for epoch in range(1, settings.epochs + 1):
        listeners.tell("on_epoch_begin", epoch - 1)
        progress.epoch_started(epoch, settings.epochs, steps)
        started = time.perf_counter()
        try:
            with blaming(title, f"train epoch {epoch}"):
                seen = training.run_epoch(epoch - 1, on_step)
        except PluginError:
            if not_the_trainer_s:
                raise not_the_trainer_s[0] from None
            raise
        validation = None
        if split.validation is not None:
            with blaming(title, "predict"):
                validation = evaluate(trainer, model, split.validation, len(split.class_names)).metrics
        seconds = time.perf_counter() - started
        current = weights.snapshot(model)
        _check_finite(epoch, seen, validation, current)
        record = EpochRecord(epoch=epoch, train=seen, validation=validation, seconds=seconds)
        if validation is None or history.validation is None or validation.loss < history.validation.loss:
            best = current
            history = replace(history, best_epoch=epoch, validation=validation)
        history = replace(history, epochs=(*history.epochs, record))
        listeners.tell("on_epoch_end", epoch - 1, _logs(record))
        on_epoch(history)
        progress.epoch_ended(record)
        if model.stop_training:
            break
    listeners.tell("on_train_end", _logs(history.epochs[-1]))
    weights.restore(model, best)
    return history


def _logs(record: EpochRecord) -> dict[str, float]:
    logs = {"loss": record.train.loss, "accuracy": record.train.accuracy}
    if record.validation is not None:
        logs |= {"val_loss": record.validation.loss, "val_accuracy": record.validation.accuracy}
    return logs


def _check_finite(
    epoch: int, seen: Metrics, validation: Metrics | None, arrays: dict[str, NDArray[np.floating[Any]]]
) -> None:
    import numpy as np

    values = {"the training loss": seen.loss, "the validation loss": validation.loss if validation else 0.0}
    what = [name for name, value in values.items() if not math.isfinite(value)]
    # a NaN in one kernel can leave the loss finite
    what += [f"weight {name!r}" for name, array in arrays.items() if not np.isfinite(array).all()]
    if what:
        raise DivergedError(
            f"Training diverged in epoch {epoch}: {what[0]} is NaN or infinite. Try a lower learning rate, and check "
            "the data."
        )
