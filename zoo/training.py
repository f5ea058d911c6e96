"""The epochs of a run, once for every trainer: order, validation, the best epoch, callbacks, the check for NaN."""

from __future__ import annotations

import inspect
import math
import time
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from zoo import weights
from zoo.blame import blaming
from zoo.checkpoints import Checkpoint, describe
from zoo.errors import DivergedError, PluginError, RunFolderError, SettingError, ZooWarning
from zoo.interrupts import HeldSignals, StopRequested
from zoo.listeners import Listeners
from zoo.metrics import evaluate
from zoo.records import CheckpointRecord, EpochRecord, Metrics
from zoo.sealed import FORMAT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeGuard

    import keras
    from numpy.typing import NDArray

    from zoo.checkpoints import Checkpoints
    from zoo.interfaces import Progress, RunSettings, Split, SteppedTraining, Trainer, Training


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

    def epoch_ended(self, record: EpochRecord, is_best: bool) -> None:
        """Say nothing."""


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """How the checkpoints of a training are kept.

    Args:
        checkpoints: Where.
        every: Commit one after so many steps of an epoch too; None for after each epoch only.
        resume: Go on from the newest one, if there is one.
    """

    checkpoints: Checkpoints
    every: int | None = None
    resume: bool = False


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
    keeping: Keeping | None = None,
) -> History:
    """Train a model in place and leave it with the weights of its best epoch.

    In the main thread, Ctrl-C and SIGTERM wait for the end of the step, and a checkpoint of it.

    Args:
        trainer: What knows how to train one epoch.
        model: The model, built and not yet compiled.
        split: What to train on and, if it has a validation part, what to choose the best epoch by.
        settings: Number of epochs, batch size, seed.
        title: What to call the trainer in messages.
        callbacks: Keras callbacks by plugin. They see every epoch, and the end of every step that the trainer tells of.
        progress: Is told how far it is.
        on_epoch: Is given the history after each epoch.
        keeping: How checkpoints are kept; None for none.

    Raises:
        DivergedError: A loss or a weight is NaN or infinite.
        PluginError: The trainer or a callback failed; the message says which.
        RunFolderError: A checkpoint cannot be written, or there are some and none is sound.
        StopRequested: A signal asked to end.
    """
    with HeldSignals() as signals:
        listeners = Listeners(callbacks or {}, model)
        epochs = _Epochs(trainer, model, split, settings, title, listeners, progress or Silent(), keeping, signals)
        return epochs.run(on_epoch)


def is_stepped(training: Training) -> TypeGuard[SteppedTraining]:
    """Return whether a training can go on in the middle of an epoch."""
    return "first_step" in inspect.signature(training.run_epoch).parameters


class _Epochs:
    """The epochs of one training, and where it is in them."""

    def __init__(
        self,
        trainer: Trainer,
        model: keras.Model,
        split: Split,
        settings: RunSettings,
        title: str,
        listeners: Listeners,
        progress: Progress,
        keeping: Keeping | None,
        signals: HeldSignals,
    ) -> None:
        self._trainer, self._model, self._split, self._settings = trainer, model, split, settings
        self._title, self._listeners, self._progress = title, listeners, progress
        self._keeping, self._signals = keeping, signals
        with blaming(title, "start"):
            self._training = trainer.start(model, split.train, settings)
        self._steps = math.ceil(len(split.train) / settings.batch_size)
        self._is_stepped = is_stepped(self._training)
        self._history = History(epochs=(), best_epoch=0, validation=None)
        self._step = 0  # steps done of the epoch after those in the history
        self._committed_step = 0
        self._started = time.perf_counter()  # of that epoch
        self._best: dict[str, NDArray[Any]] = {}
        self._best_bytes: bytes | None = None
        self._not_the_trainer_s: list[BaseException] = []
        if keeping is not None and keeping.every is not None and not self._is_stepped:
            raise SettingError(
                f"The {title} cannot go on in the middle of an epoch, so it has checkpoints after each epoch only: "
                f"leave checkpoint_every out. Received: checkpoint_every={keeping.every}"
            )

    @property
    def _epoch(self) -> int:
        """Number of the epoch that is next or under way, from 1."""
        return len(self._history.epochs) + 1

    def run(self, on_epoch: Callable[[History], None]) -> History:
        """Train all epochs that are left and put the best weights into the model."""
        self._model.stop_training = False  # a callback may set it
        self._listeners.tell("on_train_begin")
        if self._keeping is not None and self._keeping.resume:
            self._resume(self._keeping.checkpoints)
        while self._epoch <= self._settings.epochs and not self._model.stop_training:
            seen = self._run_epoch()
            record, is_best = self._complete_epoch(seen)
            on_epoch(self._history)
            self._progress.epoch_ended(record, is_best)
            self._check_signals()
        self._listeners.tell("on_train_end", _logs(self._history.epochs[-1]))
        weights.restore(self._model, self._best)
        return self._history

    def _run_epoch(self) -> Metrics:
        """Train an epoch, or what is left of one."""
        epoch, first_step = self._epoch, self._step
        if not first_step:
            self._started = time.perf_counter()
            self._listeners.tell("on_epoch_begin", epoch - 1)
        self._progress.epoch_started(epoch, self._settings.epochs, self._steps)
        try:
            with blaming(self._title, f"train epoch {epoch}"):
                if first_step and is_stepped(self._training):
                    return self._training.run_epoch(epoch - 1, self._on_step, first_step=first_step)
                return self._training.run_epoch(epoch - 1, self._on_step)
        except PluginError:
            if self._not_the_trainer_s:
                raise self._not_the_trainer_s[0] from None
            raise

    def _on_step(self, step: int, metrics: Metrics) -> None:
        try:
            self._step = step
            self._check_finite((self._epoch, step), {"the training loss": metrics.loss})
            self._progress.step(step, metrics)
            logs = {"loss": metrics.loss, "accuracy": metrics.accuracy}
            self._listeners.tell("on_train_batch_end", step - 1, logs)
            if step < self._steps:  # after the last one, the epoch is completed first
                if self._keeping and self._keeping.every and step - self._committed_step >= self._keeping.every:
                    self._commit()
                self._check_signals()
        except BaseException as error:
            self._not_the_trainer_s.append(error)
            raise

    def _complete_epoch(self, seen: Metrics) -> tuple[EpochRecord, bool]:
        """Validate, check, record and commit an epoch; return its record and whether it is the best so far."""
        validation, epoch = None, self._epoch
        if self._split.validation is not None:
            with blaming(self._title, "predict"):
                num_classes = len(self._split.class_names)
                validation = evaluate(self._trainer, self._model, self._split.validation, num_classes).metrics
        seconds = time.perf_counter() - self._started
        current = weights.snapshot(self._model)
        losses = {"the training loss": seen.loss, "the validation loss": validation.loss if validation else 0.0}
        self._check_finite((epoch, self._steps), losses, current)
        record = EpochRecord(epoch=epoch, train=seen, validation=validation, seconds=seconds)
        best = self._history.validation
        is_best = validation is not None and (best is None or validation.loss < best.loss)
        if is_best or validation is None:
            self._best, self._best_bytes = current, None
            self._history = replace(self._history, best_epoch=epoch, validation=validation)
        self._history = replace(self._history, epochs=(*self._history.epochs, record))
        self._step = self._committed_step = 0
        self._listeners.tell("on_epoch_end", epoch - 1, _logs(record))
        self._commit()
        return record, is_best

    def _check_signals(self) -> None:
        """Commit what there is and raise `StopRequested` if a signal asked to end."""
        if self._signals.received is None:
            return
        if self._step and self._is_stepped:
            self._commit()
        where = f"after epoch {self._epoch - 1}"
        if self._step:
            where = f"in epoch {self._epoch} " + (
                f"after step {self._step}" if self._is_stepped else "(it begins anew)"
            )
        raise StopRequested(self._signals.received, f"Stopped {where} of {self._settings.epochs}.")

    def _commit(self) -> None:
        if self._keeping is None:
            return
        with blaming(self._title, "give its state"):
            state = self._training.state()
            training = weights.encode_arrays(state)
        at = (self._epoch, self._step) if self._step else (self._epoch - 1, self._steps)
        self._check_finite(at, {}, weights.snapshot(self._model) | state)
        if self._best and self._best_bytes is None:
            self._best_bytes = weights.encode_arrays(self._best)
        record = CheckpointRecord(
            format=FORMAT,
            run=self._keeping.checkpoints.run_id,
            epoch=len(self._history.epochs),
            step=self._step,
            seconds=time.perf_counter() - self._started if self._step else 0.0,
            stopped=bool(self._model.stop_training),
            history=list(self._history.epochs),
            best_epoch=self._history.best_epoch,
            callbacks=self._listeners.state(),
            training=describe(training),
            best=None if self._best_bytes is None else describe(self._best_bytes),
        )
        self._keeping.checkpoints.commit(Checkpoint(record=record, training=training, best=self._best_bytes))
        self._committed_step = self._step

    def _resume(self, checkpoints: Checkpoints) -> None:
        """Go back to where the newest checkpoint was made."""
        with blaming(self._title, "give its state"):
            layout = weights.layout_of_arrays(self._training.state())
        best_layout = weights.layout_of(self._model)
        limits = weights.size_limit(layout), weights.size_limit(best_layout)
        checkpoint = checkpoints.newest(limits, on_skip=lambda text: warnings.warn(text, ZooWarning, stacklevel=4))
        if checkpoint is None:
            return
        record, source = checkpoint.record, f"The checkpoint in {checkpoints.folder}"
        if record.epoch > self._settings.epochs or record.step >= (self._steps if self._is_stepped else 1):
            raise RunFolderError(
                f"{source} is further than the run can be. Received: epoch={record.epoch}, step={record.step}"
            )
        state = weights.decode(checkpoint.training, layout, source)
        if checkpoint.best is not None:
            self._best = weights.decode(checkpoint.best, best_layout, source)
            self._best_bytes = checkpoint.best
        best = record.history[record.best_epoch - 1].validation if record.best_epoch else None
        self._history = History(epochs=tuple(record.history), best_epoch=record.best_epoch, validation=best)
        self._step = self._committed_step = record.step
        self._started = time.perf_counter() - record.seconds
        self._model.stop_training = record.stopped
        where = f"step {record.step} of epoch {self._epoch}" if record.step else f"epoch {record.epoch}"
        self._progress.stage(f"going on after {where}")
        self._listeners.restore(record.callbacks)
        with blaming(self._title, "restore its state"):
            self._training.restore(state)

    @staticmethod
    def _check_finite(
        at: tuple[int, int], losses: Mapping[str, float], arrays: Mapping[str, NDArray[Any]] | None = None
    ) -> None:
        """Raise `DivergedError` if something is NaN or infinite: one in a kernel can leave the losses finite."""
        import numpy as np

        what = [name for name, value in losses.items() if not math.isfinite(value)]
        what += [f"weight {name!r}" for name, array in (arrays or {}).items() if not np.isfinite(array).all()]
        if what:
            raise DivergedError(
                f"Training diverged in epoch {at[0]}, step {at[1]}: {what[0]} is NaN or infinite. Try a "
                "lower learning rate, and check the data."
            )


def _logs(record: EpochRecord) -> dict[str, float]:
    logs = {"loss": record.train.loss, "accuracy": record.train.accuracy}
    if record.validation is not None:
        logs |= {"val_loss": record.validation.loss, "val_accuracy": record.validation.accuracy}
    return logs
