"""The training loop that all trainers share: epochs, validation, best epoch, callbacks, checkpoints, signals."""

from __future__ import annotations

import contextlib
import math
import operator
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from zoo.errors import PluginError, SettingError
from zoo.interfaces import SteppedTraining
from zoo.models import weights
from zoo.runs import array_io
from zoo.runs.records import EpochRecord, Metrics
from zoo.training.callbacks import CallbackList
from zoo.training.checkpointing import Checkpointer, TrainingState
from zoo.training.epoch_logs import logs_of, modes_of_logs, values_of
from zoo.training.history import History
from zoo.training.metrics import evaluate
from zoo.training.nan_check import check_finite
from zoo.training.progress import NullProgress
from zoo.training.trainer import close_on_exit
from zoo.utils.plugin_errors import plugin_errors, plugin_of
from zoo.utils.signals import HeldSignals, StopRequested

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import keras
    from numpy.typing import NDArray

    from zoo.interfaces import Progress, Split, Trainer, Training, TrainingConfig
    from zoo.recipes.components import Component
    from zoo.runs.array_io import Layout
    from zoo.training.trackers import Trackers


def train(
    trainer: Trainer,
    model: keras.Model,
    split: Split,
    settings: TrainingConfig,
    *,
    title: str = "trainer",
    callbacks: Mapping[str, keras.callbacks.Callback] | None = None,
    progress: Progress | None = None,
    on_epoch: Callable[[History], None] = lambda _: None,
    checkpointer: Checkpointer | None = None,
    history: History | None = None,
    metrics: Sequence[Component] = (),
    trackers: Trackers | None = None,
) -> History:
    """Train a model in place and leave it with the weights of its best epoch.

    In the main thread, Ctrl-C and SIGTERM take effect at the end of the current step, after a checkpoint.

    Args:
        trainer: The trainer.
        model: The model, built and uncompiled.
        split: The data to train on. Its validation examples, if any, select the best epoch.
        settings: Number of epochs, batch size and seed.
        title: The trainer's name in messages.
        callbacks: Keras callbacks, by the qualified names of their entries. They are called at the beginning and end of
            training, of every epoch, of its validation, and of every step that the trainer reports.
        progress: Notified as training advances.
        on_epoch: Called with the history after each epoch.
        checkpointer: Commits checkpoints; None for no checkpoints.
        history: The history before the first epoch, with the validation metric that selects the best epoch; by
            default, the lowest loss does.
        metrics: Registered metrics to compute after each epoch, besides loss and accuracy.
        trackers: They receive the same events as callbacks, but cannot affect the run.

    Raises:
        DivergedError: A loss or a weight is NaN or infinite.
        PluginError: The trainer or a callback failed; the message says which.
        RunFolderError: A checkpoint cannot be written, or there are checkpoints but none is intact.
        SettingError: The trainer cannot commit checkpoints within an epoch, but they are requested.
        StopRequested: Ctrl-C or another signal requested a stop.
    """
    with HeldSignals() as signals, contextlib.ExitStack() as ending:
        with plugin_errors(title, "start"):
            started = trainer.start(model, split.train, settings)
            ending.enter_context(close_on_exit(started, title))
        epochs = _TrainingLoop(
            trainer=trainer,
            training=started,
            model=model,
            split=split,
            settings=settings,
            title=title,
            callbacks=CallbackList(
                callbacks or {},
                model,
                trackers,
                params={"epochs": settings.epochs, "steps": math.ceil(len(split.train) / settings.batch_size)},
                modes=modes_of_logs(metrics, split.validation is not None),
            ),
            progress=progress or NullProgress(),
            checkpointer=checkpointer,
            signals=signals,
            history=history or History(),
            metrics=tuple(metrics),
        )
        return epochs.run(on_epoch)


@dataclass(kw_only=True)
class _TrainingLoop:
    """The epochs of one training, and the current position."""

    trainer: Trainer
    training: Training
    model: keras.Model
    split: Split
    settings: TrainingConfig
    title: str
    callbacks: CallbackList
    progress: Progress
    checkpointer: Checkpointer | None
    signals: HeldSignals

    history: History
    metrics: tuple[Component, ...] = ()
    step: int = 0  # completed steps of the epoch after those in the history
    last_checkpoint_step: int = 0  # of the same epoch
    started: float = 0.0  # when that epoch began, by this process's performance counter
    best: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    wants_to_stop: bool = False  # whether a callback requested a stop, which takes effect at the end of the epoch
    callback_errors: list[BaseException] = field(default_factory=list)
    layout: Layout = field(default_factory=dict)  # names, shapes and types of the training's state

    def __post_init__(self) -> None:
        """Reject checkpoints within an epoch if the trainer cannot resume from them."""
        self.steps = math.ceil(len(self.split.train) / self.settings.batch_size)
        self.is_stepped = isinstance(self.training, SteppedTraining)
        if self.checkpointer is not None and self.checkpointer.every is not None and not self.is_stepped:
            raise SettingError(
                f"The {self.title} cannot resume within an epoch, so it saves checkpoints only after each epoch. "
                f"Omit checkpoint_every. Received: checkpoint_every={self.checkpointer.every}"
            )

    @property
    def epoch(self) -> int:
        """Number of the current or next epoch, from 1."""
        return len(self.history.epochs) + 1

    def run(self, on_epoch: Callable[[History], None]) -> History:
        """Train the remaining epochs, restore the best weights in the model and return the history."""
        self.model.stop_training = False  # a callback may set it
        self.callbacks.dispatch("on_train_begin")
        if self.checkpointer is not None:  # fail now, not after an epoch, if a state cannot be saved
            self.layout = self.checkpointer.layout_of(self.training, self.title)
            self.callbacks.state()
        if self.checkpointer is not None and self.checkpointer.resume:
            self._resume(self.checkpointer)
        if self.checkpointer is not None and self.checkpointer.at_start:
            self._commit((0, 0))
        self._note_stop()
        while self.epoch <= self.settings.epochs and (self.step or not (self.wants_to_stop and self.history.epochs)):
            train_metrics = self._run_epoch()
            record = self._complete_epoch(train_metrics)
            on_epoch(self.history)
            is_best = record.validation is not None and self.history.best_epoch == record.epoch
            self.progress.epoch_ended(record, is_best)
            self._check_signals()
        self.callbacks.dispatch("on_train_end", logs=logs_of(self.history.epochs[-1]))
        weights.restore(self.model, self.best)
        return self.history

    def _prepare_epoch(self) -> None:
        with plugin_errors(self.title, f"prepare epoch {self.epoch}"):
            self.training.prepare_epoch(self.epoch - 1)

    def _run_epoch(self) -> Metrics:
        """Train one epoch, or the rest of it."""
        epoch, first_step = self.epoch, self.step
        if not first_step:
            self.started = time.perf_counter()
            self._prepare_epoch()
            self.callbacks.dispatch("on_epoch_begin", epoch - 1)
        self.progress.epoch_started(epoch, self.settings.epochs, self.steps)
        self.callback_errors.clear()
        self.callbacks.dispatch("on_train_batch_begin", first_step)
        self._note_stop()
        try:
            with plugin_errors(self.title, f"train epoch {epoch}"):
                if first_step and isinstance(self.training, SteppedTraining):
                    train_metrics = self.training.run_epoch(epoch - 1, self._on_step, first_step=first_step)
                else:
                    train_metrics = self.training.run_epoch(epoch - 1, self._on_step)
        except PluginError:
            if not self.callback_errors:
                raise
        if self.callback_errors:  # even if the trainer caught the exception
            raise self.callback_errors[0]
        self.model.stop_training = self.wants_to_stop  # `Model.fit` resets it
        with plugin_errors(self.title, "return the metrics of an epoch"):
            return _plain(train_metrics)

    def _on_step(self, step: int, metrics: Metrics) -> None:
        with plugin_errors(self.title, "report a step"):
            step, metrics = operator.index(step), _plain(metrics)
        try:
            self.step = step
            check_finite((self.epoch, step), metrics)
            self.progress.step(step, metrics)
            logs = {"loss": metrics.loss, "accuracy": metrics.accuracy}
            self.callbacks.dispatch("on_train_batch_end", step - 1, logs=logs)
            self._note_stop()
            # after the last step, or if a callback requested a stop, complete the epoch first
            if step < self.steps and not self.wants_to_stop:
                if (
                    self.checkpointer
                    and self.checkpointer.every
                    and step - self.last_checkpoint_step >= self.checkpointer.every
                ):
                    self._commit((self.epoch, step))
                self._check_signals()
            if step < self.steps:
                self.callbacks.dispatch("on_train_batch_begin", step)
                self._note_stop()
        except BaseException as error:
            self.callback_errors.append(error)
            raise

    def _complete_epoch(self, train_metrics: Metrics) -> EpochRecord:
        """Validate, check, record and commit an epoch, and return its record."""
        epoch = self.epoch
        with self.training.averaged():
            validation, current = self._validate()
            seconds = time.perf_counter() - self.started
        check_finite((epoch, self.steps), train_metrics, validation, current)
        record = EpochRecord(epoch=epoch, train=train_metrics, validation=validation, seconds=seconds)
        added = self.callbacks.dispatch("on_epoch_end", epoch - 1, logs=logs_of(record))
        record = msgspec.structs.replace(record, logs=added)
        self.history = self.history.with_epoch(record)
        if self.history.best_epoch == epoch:
            self.best = current
        self.step = self.last_checkpoint_step = 0
        self.wants_to_stop = bool(self.model.stop_training)
        self._commit((epoch, self.steps))
        return record

    def _validate(self) -> tuple[Metrics | None, Mapping[str, NDArray[Any]]]:
        """Return the validation metrics, if there are validation examples, and the weights that have them."""
        if self.split.validation is None:
            return None, weights.snapshot(self.model)
        self.callbacks.dispatch("on_test_begin")
        with plugin_errors(self.title, "predict"):
            num_classes = len(self.split.class_names)
            metrics = evaluate(
                self.trainer, self.model, self.split.validation, num_classes, metrics=self.metrics
            ).metrics
        current = weights.snapshot(self.model)  # before a callback puts back other weights
        self.callbacks.dispatch("on_test_end", logs=values_of(metrics))
        return metrics, current

    def _note_stop(self) -> None:
        """Note that a callback requested a stop, and complete the epoch: `Model.fit` would cut it short."""
        self.wants_to_stop |= bool(self.model.stop_training)
        self.model.stop_training = False

    def _check_signals(self) -> None:
        """Commit a checkpoint and raise `StopRequested` if a signal requested a stop."""
        if self.signals.received is None:
            return
        where = f"after epoch {self.epoch - 1} of {self.settings.epochs}"
        if self.step:
            where = f"in epoch {self.epoch} of {self.settings.epochs}, "
            where += f"after step {self.step}" if self.is_stepped else "which will restart"
            if self.is_stepped:
                self._commit((self.epoch, self.step))
        raise StopRequested(self.signals.received, f"Stopped {where}.")

    def _commit(self, at: tuple[int, int]) -> None:
        if self.checkpointer is None:
            return
        with plugin_errors(self.title, "return its state"):
            state = self.training.state()
            check_finite(at, arrays=state)
            if array_io.layout_of_arrays(state) != self.layout:
                raise PluginError(
                    f"The state of {self.title} has other names, shapes or types than right after `start`, so it could "
                    "not be restored. Create everything that it contains in `start`, and never change its layout.",
                    plugin=plugin_of(self.title),
                )
        self.checkpointer.commit(
            TrainingState(
                history=self.history,
                step=self.step,
                seconds=time.perf_counter() - self.started if self.step else 0.0,
                stopped=self.wants_to_stop,
                state=state,
                best=self.best,
                callbacks=self.callbacks.state(),
            )
        )
        self.last_checkpoint_step = self.step

    def _resume(self, checkpointer: Checkpointer) -> None:
        """Restore the newest checkpoint, if there is one."""
        steps = self.steps if self.is_stepped else 1
        best = weights.layout_of(self.model)
        moment = checkpointer.newest(self.layout, best, self.settings.epochs, steps, self.history)
        if moment is None:
            self.progress.stage("no checkpoint: training from the start")
            return
        self.history, self.best = moment.history, moment.best
        self.step = self.last_checkpoint_step = moment.step
        self.started = time.perf_counter() - moment.seconds
        where = f"step {self.step} of epoch {self.epoch}" if self.step else f"epoch {self.epoch - 1}"
        is_begun = self.step or self.history.epochs
        self.progress.stage(f"resuming after {where}" if is_begun else "resuming from the start")
        if self.step:
            self._prepare_epoch()
            self.callbacks.dispatch("on_epoch_begin", self.epoch - 1)
        self.callbacks.restore(moment.callbacks)
        with plugin_errors(self.title, "restore its state"):
            self.training.restore(moment.state)
        self.wants_to_stop |= moment.stopped


def _plain(metrics: Metrics) -> Metrics:
    """Convert metrics to Python floats, whatever number types the trainer used."""
    return Metrics(loss=float(metrics.loss), accuracy=float(metrics.accuracy))
