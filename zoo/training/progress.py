"""Progress of a run: printed as lines, passed to a user-defined object, or ignored."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

from zoo.errors import SettingError
from zoo.utils.text import duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoo.interfaces import Progress
    from zoo.runs.records import EpochRecord, Metrics


class NullProgress:
    """Progress that is ignored."""

    def stage(self, text: str) -> None:
        """Do nothing."""

    def epoch_started(self, epoch: int, epochs: int, steps: int) -> None:
        """Do nothing."""

    def step(self, step: int, metrics: Metrics) -> None:
        """Do nothing."""

    def epoch_ended(self, record: EpochRecord, is_best: bool) -> None:
        """Do nothing."""


class _Partial:
    """Progress that calls the methods which a user-defined object has, and skips the others."""

    def __init__(self, watcher: object) -> None:
        self._watcher = watcher

    def _notify(self, event: str, *arguments: Any) -> None:
        method = getattr(self._watcher, event, None)
        if method is not None:
            method(*arguments)

    def stage(self, text: str) -> None:
        self._notify("stage", text)

    def epoch_started(self, epoch: int, epochs: int, steps: int) -> None:
        self._notify("epoch_started", epoch, epochs, steps)

    def step(self, step: int, metrics: Metrics) -> None:
        self._notify("step", step, metrics)

    def epoch_ended(self, record: EpochRecord, is_best: bool) -> None:
        self._notify("epoch_ended", record, is_best)


@contextlib.contextmanager
def shown(progress: object | None, monitor: str = "loss") -> Iterator[Progress]:
    """Provide a complete `Progress` for the ``progress`` argument of a public function.

    Args:
        progress: An object with any of the methods of `zoo.interfaces.Progress`; None prints lines in a notebook and
            nothing elsewhere.
        monitor: Validation metric that selects the best epoch, which such lines contain.

    Raises:
        SettingError: The object has none of these methods.
    """
    if progress is not None:
        methods = ("stage", "epoch_started", "step", "epoch_ended")
        if not any(hasattr(progress, name) for name in methods):
            raise SettingError(
                f"'progress' must have at least one of the methods {', '.join(methods)}. Received: {progress!r:.100}",
                name="progress",
                value=progress,
            )
        yield _Partial(progress)
    elif _is_notebook():
        yield Lines(sys.stdout, monitor=monitor)
    else:
        yield NullProgress()


def _is_notebook() -> bool:
    """Return whether this process is a notebook kernel."""
    shell = sys.modules.get("IPython")
    return "ipykernel" in sys.modules and shell is not None and shell.get_ipython() is not None


def epoch_line(record: EpochRecord, epochs: int, is_best: bool, monitor: str = "loss") -> str:
    """Return a line of text for an epoch, with the validation metric ``monitor`` if it has that."""
    validation = ""
    if record.validation is not None:
        validation = f"  validation {record.validation.loss:.4f} {record.validation.accuracy:.4f}"
        if monitor in record.validation.others:
            validation += f"  {monitor} {record.validation.others[monitor]:.4f}"
    return (
        f"epoch {record.epoch:>{len(str(epochs))}}/{epochs}  loss {record.train.loss:.4f}  "
        f"accuracy {record.train.accuracy:.4f}{validation}  {record.seconds:.1f} s{'  best' if is_best else ''}"
    )


class Lines:
    """Progress that prints a line for each stage and epoch, and more within a long epoch."""

    def __init__(self, stream: TextIO, every: float = 30.0, monitor: str = "loss") -> None:
        """Write to a stream; within an epoch, at most once in ``every`` seconds.

        The lines of epochs contain the validation metric ``monitor``.
        """
        self._stream = stream
        self._every = every
        self._monitor = monitor
        self._epoch = self._epochs = self._steps = 0
        self._seconds: list[float] = []
        self._told = 0.0
        self._is_gone = False

    def _say(self, text: str) -> None:
        if not self._is_gone:
            try:
                self._stream.write(f"{text}\n")
                self._stream.flush()
            except OSError:  # the reader is gone, which must not stop the run
                self._is_gone = True

    def stage(self, text: str) -> None:
        """Write the text."""
        self._say(text)

    def epoch_started(self, epoch: int, epochs: int, steps: int) -> None:
        """Remember the current epoch."""
        self._epoch, self._epochs, self._steps = epoch, epochs, steps
        self._told = time.monotonic()

    def step(self, step: int, metrics: Metrics) -> None:
        """Write a line if the last one is at least ``every`` seconds old."""
        if time.monotonic() - self._told >= self._every and step < self._steps:
            self._told = time.monotonic()
            self._say(
                f"epoch {self._epoch}/{self._epochs}  step {step}/{self._steps}  loss {metrics.loss:.4f}  "
                f"accuracy {metrics.accuracy:.4f}"
            )

    def epoch_ended(self, record: EpochRecord, is_best: bool) -> None:
        """Write a line with the epoch's metrics and the time left."""
        self._seconds.append(record.seconds)
        line = epoch_line(record, self._epochs, is_best, self._monitor)
        if left := self._epochs - record.epoch:
            line += f"  {duration(left * sum(self._seconds) / len(self._seconds))} left"
        self._say(line)

    def close(self) -> None:
        """Do nothing: lines need no cleanup."""
