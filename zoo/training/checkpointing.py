"""Save the state of a training in checkpoints, and read it back to resume."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.errors import ArtifactError, PluginError, RunFolderError, ZooWarning
from zoo.runs import array_io
from zoo.runs.checkpoints import Checkpoint, describe
from zoo.runs.record_io import FORMAT
from zoo.runs.records import CallbackRecord, CheckpointRecord
from zoo.utils.plugin_errors import plugin_errors, plugin_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from zoo.interfaces import Training
    from zoo.runs.array_io import Layout
    from zoo.runs.checkpoints import Checkpoints
    from zoo.training.history import History


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """The position of a training and everything needed to resume it.

    Args:
        history: The completed epochs.
        step: Number of completed steps in the next epoch.
        seconds: Wall seconds of that epoch so far.
        stopped: Whether a callback has requested a stop.
        state: The return value of `Training.state`.
        best: Weights of the best epoch, by name; empty if no epoch is completed.
        callbacks: The states of the callbacks, by qualified name.
    """

    history: History
    step: int
    seconds: float
    stopped: bool
    state: Mapping[str, NDArray[Any]]
    best: Mapping[str, NDArray[Any]]
    callbacks: dict[str, CallbackRecord]


@dataclass(frozen=True, kw_only=True)
class Checkpointer:
    """Commits the checkpoints of a training, and finds the one to resume from.

    Args:
        checkpoints: The checkpoints of the run.
        every: Number of steps between checkpoints within an epoch; None to commit after each epoch only.
        resume: Whether to resume from the newest checkpoint, if there is one.
        at_start: Whether to commit a checkpoint before the first step, because the initial weights cannot be computed
            again.
    """

    checkpoints: Checkpoints
    every: int | None = None
    resume: bool = False
    at_start: bool = False

    def commit(self, moment: TrainingState) -> None:
        """Commit a checkpoint.

        Raises:
            ArtifactError: The state contains something that cannot be stored.
            RunFolderError: The checkpoint cannot be written.
        """
        training = array_io.encode_arrays(moment.state)
        best = array_io.encode_arrays(moment.best) if moment.history.best_epoch else None
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
        """Return the names, shapes and types of a training's state.

        Raises:
            PluginError: The state cannot be stored.
        """
        with plugin_errors(title, "return its state"):
            state = training.state()
            try:
                array_io.encode_arrays(state)
            except ArtifactError as error:
                raise PluginError(
                    f"The state of {title} cannot be saved in a checkpoint: {error}", plugin=plugin_of(title)
                ) from error
            return array_io.layout_of_arrays(state)

    def newest(self, state: Layout, best: Layout, epochs: int, steps: int, start: History) -> TrainingState | None:
        """Return the state in the newest intact checkpoint that fits the run, or None if there is no checkpoint.

        Args:
            state: Names, shapes and types of the training's state.
            best: Names, shapes and types of the model's weights.
            epochs: Number of epochs of the run.
            steps: Number of steps per epoch; 1 if the training cannot resume within an epoch.
            start: The history before the first epoch.

        Raises:
            RunFolderError: There are checkpoints, but none can be used.
        """

        def read(checkpoint: Checkpoint, source: str) -> TrainingState:
            record, history = checkpoint.record, start
            for epoch in record.history:
                history = history.with_epoch(epoch)
            if record.step >= steps or record.epoch + (record.step > 0) > epochs:
                raise RunFolderError(
                    f"it is beyond the end of its epoch or run. Received: epoch={record.epoch}, step={record.step}"
                )
            if record.best_epoch != history.best_epoch:
                raise RunFolderError(
                    f"its best epoch does not match its history. Received: best_epoch={record.best_epoch}"
                )
            return TrainingState(
                history=history,
                step=record.step,
                seconds=record.seconds,
                stopped=record.stopped,
                state=array_io.decode(checkpoint.training, state, source),
                best={} if checkpoint.best is None else array_io.decode(checkpoint.best, best, source),
                callbacks=record.callbacks,
            )

        return self.checkpoints.newest(
            (array_io.size_limit(state), array_io.size_limit(best)),
            read,
            on_skip=lambda text: warnings.warn(text, ZooWarning, stacklevel=5),
        )
