"""What of a training is kept in its checkpoints, and a training brought back to where one was made."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from zoo import weights
from zoo.blame import blaming
from zoo.checkpoints import Checkpoint, describe
from zoo.errors import ArtifactError, PluginError, RunFolderError, ZooWarning
from zoo.records import CallbackRecord, CheckpointRecord, EpochRecord, Metrics
from zoo.sealed import FORMAT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from zoo.checkpoints import Checkpoints
    from zoo.interfaces import BestBy, Training
    from zoo.weights import Layout


@dataclass(frozen=True, kw_only=True)
class History:
    """What training came to.

    Args:
        epochs: A record for each epoch.
        best_by: Validation metric that the best epoch is chosen by.
        best_epoch: Its number, from 1; without validation, that of the last.
        validation: Validation metrics of that epoch.
    """

    epochs: tuple[EpochRecord, ...] = ()
    best_by: BestBy = "loss"
    best_epoch: int = 0
    validation: Metrics | None = None

    @property
    def seconds(self) -> float:
        """Wall seconds of all epochs, their validation included."""
        return sum(record.seconds for record in self.epochs)

    def with_epoch(self, record: EpochRecord) -> History:
        """Return the history with one epoch more."""
        best, new = self.validation, record.validation
        longer = replace(self, epochs=(*self.epochs, record))
        if new is None or best is None or self._badness(new) < self._badness(best):
            return replace(longer, best_epoch=record.epoch, validation=new)
        return longer

    def _badness(self, metrics: Metrics) -> tuple[float, ...]:
        return (metrics.loss,) if self.best_by == "loss" else (-metrics.accuracy, metrics.loss)


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Where a training is.

    Args:
        history: The epochs that are done.
        step: Steps that are done of the next.
        seconds: Wall seconds of that epoch so far.
        stopped: Whether a callback has asked to stop.
        state: What `Training.state` returned.
        best: Weights of the best epoch, by name; none if no epoch is done.
        callbacks: What the callbacks keep, by plugin.
    """

    history: History
    step: int
    seconds: float
    stopped: bool
    state: Mapping[str, NDArray[Any]]
    best: Mapping[str, NDArray[Any]]
    callbacks: dict[str, list[CallbackRecord]]


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

    def commit(self, moment: Moment) -> None:
        """Commit a checkpoint.

        Raises:
            ArtifactError: The state holds what cannot be stored.
            RunFolderError: It cannot be written.
        """
        training = weights.encode_arrays(moment.state)
        best = weights.encode_arrays(moment.best) if moment.history.best_epoch else None
        record = CheckpointRecord(
            format=FORMAT,
            run=self.checkpoints.run_id,
            epoch=len(moment.history.epochs),
            step=moment.step,
            seconds=moment.seconds,
            stopped=moment.stopped,
            history=list(moment.history.epochs),
            best_epoch=moment.history.best_epoch,
            callbacks=moment.callbacks,
            training=describe(training),
            best=None if best is None else describe(best),
        )
        self.checkpoints.commit(Checkpoint(record=record, training=training, best=best))

    def layout_of(self, training: Training, title: str) -> Layout:
        """Return the shapes and types of a training's state.

        Raises:
            PluginError: It cannot be kept.
        """
        with blaming(title, "give its state"):
            state = training.state()
            try:
                weights.encode_arrays(state)
            except ArtifactError as error:
                raise PluginError(f"The state of {title} cannot be kept: {error}") from error
            return weights.layout_of_arrays(state)

    def newest(self, state: Layout, best: Layout, epochs: int, steps: int, best_by: BestBy) -> Moment | None:
        """Return the moment of the newest checkpoint that is sound and fits, None if there is no checkpoint.

        Args:
            state: Shapes and types of the training's state.
            best: Shapes and types of the model's weights.
            epochs: Epochs of the run.
            steps: Steps of an epoch, 1 if the training cannot go on within one.
            best_by: Validation metric that the best epoch is chosen by.

        Raises:
            RunFolderError: There are checkpoints, and none can be used.
        """

        def read(checkpoint: Checkpoint, source: str) -> Moment:
            record, history = checkpoint.record, History(best_by=best_by)
            for epoch in record.history:
                history = history.with_epoch(epoch)
            if record.step >= steps or record.epoch + (record.step > 0) > epochs:
                raise RunFolderError(
                    f"it is further than the run can be. Received: epoch={record.epoch}, step={record.step}"
                )
            if record.best_epoch != history.best_epoch:
                raise RunFolderError(
                    f"its best epoch is not that of its history. Received: best_epoch={record.best_epoch}"
                )
            return Moment(
                history=history,
                step=record.step,
                seconds=record.seconds,
                stopped=record.stopped,
                state=weights.decode(checkpoint.training, state, source),
                best={} if checkpoint.best is None else weights.decode(checkpoint.best, best, source),
                callbacks=record.callbacks,
            )

        return self.checkpoints.newest(
            (weights.size_limit(state), weights.size_limit(best)),
            read,
            on_skip=lambda text: warnings.warn(text, ZooWarning, stacklevel=5),
        )
