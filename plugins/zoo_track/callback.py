"""The callback that hands what happens in a run to a process of the tracker's own.

Another process, since the libraries of trackers take long to import and to answer: the run waits for neither, and
nothing of theirs, threads or random numbers, is in it.
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
_SECONDS_AT_END = {"tested": 30.0, "trained": 30.0}  # to take the files; a run that was stopped is not held up
_SECONDS_WHEN_STOPPED = 5.0


class Tracking(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """Tells a tracker of a run.

    Args:
        run: The run.
        writer: Where the tracker's `Writer` is.
    """

    def __init__(self, run: RunContext, writer: str) -> None:
        """Hold what the tracker is told first; its process is started when training begins."""
        super().__init__()
        self._run = run
        self._writer = writer
        self._process: WorkerProcess | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002  # Keras's signature
        """Start the tracker's process and tell it of the run."""
        self._process = WorkerProcess(self._writer)
        settings = {
            name: list(value) if isinstance(value, tuple) else value for name, value in self._run.settings.items()
        }
        self._tell(Start(run=self._run.id, path=str(self._run.path), recipe=self._run.recipe, settings=settings))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Tell of an epoch."""
        self._tell(Epoch(epoch=epoch + 1, metrics={name: float(value) for name, value in (logs or {}).items()}))

    def on_run_end(self, run: Run) -> None:
        """Tell of the end of the run, or of its failure, and wait a while for the tracker to take it."""
        record = run.record
        metrics = {"best_epoch": float(record.best_epoch)} if record.best_epoch else {}
        if record.test is not None:
            metrics |= {"test_loss": record.test.loss, "test_accuracy": record.test.accuracy}
        # a link in a stranger's folder could lead to a file that is nobody's business
        files = [str(path) for name in _FILES if (path := run.path / name).is_file() and not path.is_symlink()]
        self._tell(End(status=record.status, epochs=len(record.history), metrics=metrics, files=files))
        if self._process is not None:
            self._process.finish(_SECONDS_AT_END.get(record.status, _SECONDS_WHEN_STOPPED))

    def _tell(self, message: Message) -> None:
        if self._process is not None:
            self._process.send(msgspec.json.encode(message))
