"""The callback that passes the events of a run to the tracker's process.

The tracker has a process of its own because tracking libraries are slow to import and to respond. The run does not wait
for them, and their threads and random numbers do not affect it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import msgspec

from zoo_track.messages import End, Epoch, Message, Start
from zoo_track.worker_process import WorkerProcess

if TYPE_CHECKING:
    from zoo import Run, RunContext

_FILES = (
    "run.json",
    "history.csv",
    "curves.png",
    "predictions.png",
    "test-predictions.safetensors",
    "model.safetensors",
)
_SECONDS_AT_END = {"tested": 30.0, "trained": 30.0}  # for the tracker to take the files; less if the run was stopped
_SECONDS_WHEN_STOPPED = 5.0


class Tracking(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """Reports a run to a tracker.

    Args:
        run: The run.
        writer: Import path of the tracker's `Writer`.
    """

    def __init__(self, run: RunContext, writer: str) -> None:
        """Store the description of the run; the tracker's process starts when training begins."""
        super().__init__()
        self._run = run
        self._writer = writer
        self._process: WorkerProcess | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002  # Keras's signature
        """Start the tracker's process and report the run."""
        self._process = WorkerProcess(self._writer)
        settings = {
            name: list(value) if isinstance(value, tuple) else value for name, value in self._run.settings.items()
        }
        self._tell(Start(run=self._run.id, path=str(self._run.path), recipe=self._run.recipe, settings=settings))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Report an epoch."""
        self._tell(Epoch(epoch=epoch + 1, metrics={name: float(value) for name, value in (logs or {}).items()}))

    def on_run_end(self, run: Run) -> None:
        """Report the end of the run, or its failure, and wait a limited time for the tracker to process it."""
        record = run.record
        metrics = {"best_epoch": float(record.best_epoch)} if record.best_epoch else {}
        if record.test is not None:
            metrics |= {"test_loss": record.test.loss, "test_accuracy": record.test.accuracy}
        # a link in an untrusted run folder could lead to a private file
        files = [str(path) for name in _FILES if (path := run.path / name).is_file() and not path.is_symlink()]
        self._tell(End(status=record.status, epochs=len(record.history), metrics=metrics, files=files))
        if self._process is not None:
            self._process.finish(_SECONDS_AT_END.get(record.status, _SECONDS_WHEN_STOPPED))

    def _tell(self, message: Message) -> None:
        if self._process is not None:
            self._process.send(msgspec.json.encode(message))
