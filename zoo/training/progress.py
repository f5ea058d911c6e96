"""Progress of a run: as lines of text, as whatever an object of the user's does, or not at all."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

from zoo.utils.text import duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoo.interfaces import Progress
    from zoo.runs.records import EpochRecord, Metrics


class NullProgress:
    """Progress that nobody watches."""

    def stage(self, text: str) -> None:
        """Do nothing."""

    def epoch_started(self, epoch: int, epochs: int, steps: int) -> None:
        """Do nothing."""

    def step(self, step: int, metrics: Metrics) -> None:
        """Do nothing."""

    def epoch_ended(self, record: EpochRecord, is_best: bool) -> None:
        """Do nothing."""


class _Partial:
    """Progress that calls those methods that an object has."""

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
def shown(progress: object | None) -> Iterator[Progress]:
    """Give complete progress for what a caller in code has given.

    Args:
        progress: An object with any of the methods of `zoo.interfaces.Progress`; None for lines in a notebook, and for
            nothing elsewhere.
    """
    if progress is not None:
        yield _Partial(progress)
    elif _is_notebook():
        yield Lines(sys.stdout)
    else:
        yield NullProgress()


def _is_notebook() -> bool:
    """Return whether this is the kernel of a notebook."""
    shell = sys.modules.get("IPython")
    return "ipykernel" in sys.modules and shell is not None and shell.get_ipython() is not None


def epoch_line(record: EpochRecord, epochs: int, is_best: bool) -> str:
    """Return one epoch as a line of text."""
    validation = ""
    if record.validation is not None:
        validation = f"  validation {record.validation.loss:.4f} {record.validation.accuracy:.4f}"
    return (
        f"epoch {record.epoch:>{len(str(epochs))}}/{epochs}  loss {record.train.loss:.4f}  "
        f"accuracy {record.train.accuracy:.4f}{validation}  {record.seconds:.1f} s{'  best' if is_best else ''}"
    )


class Lines:
    """A line for each stage and each epoch, and one in between when an epoch takes long."""

    def __init__(self, stream: TextIO, every: float = 30.0) -> None:
        """Write to a stream; within an epoch once in so many seconds."""
        self._stream = stream
        self._every = every
        self._epoch = self._epochs = self._steps = 0
        self._seconds: list[float] = []
        self._told = 0.0
        self._is_gone = False

    def _say(self, text: str) -> None:
        if not self._is_gone:
            try:
                self._stream.write(f"{text}\n")
                self._stream.flush()
            except OSError:  # nobody reads any more: no reason to stop the work
                self._is_gone = True

    def stage(self, text: str) -> None:
        """Write the text."""
        self._say(text)

    def epoch_started(self, epoch: int, epochs: int, steps: int) -> None:
        """Note which epoch it is."""
        self._epoch, self._epochs, self._steps = epoch, epochs, steps
        self._told = time.monotonic()

    def step(self, step: int, metrics: Metrics) -> None:
        """Write a line if none was written for long."""
        if time.monotonic() - self._told >= self._every and step < self._steps:
            self._told = time.monotonic()
            self._say(
                f"epoch {self._epoch}/{self._epochs}  step {step}/{self._steps}  loss {metrics.loss:.4f}  "
                f"accuracy {metrics.accuracy:.4f}"
            )

    def epoch_ended(self, record: EpochRecord, is_best: bool) -> None:
        """Write a line with the epoch's metrics and the time that is left."""
        self._seconds.append(record.seconds)
        line = epoch_line(record, self._epochs, is_best)
        if left := self._epochs - record.epoch:
            line += f"  {duration(left * sum(self._seconds) / len(self._seconds))} left"
        self._say(line)

    def close(self) -> None:
        """Do nothing: lines need no end."""
