"""Progress of a run on standard error: a live bar on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any, Protocol

from zoo.interfaces import Progress
from zoo.training.progress import Lines, NullProgress, epoch_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoo.runs.records import EpochRecord, Metrics

_NARROWEST = 60


class Display(Progress, Protocol):
    """A `zoo.interfaces.Progress` that can be closed."""

    def close(self) -> None:
        """Restore the terminal."""


def make_display(quiet: bool, monitor: str = "loss") -> Display:
    """Return a suitable display: a bar needs a terminal that is wide enough, and ``NO_COLOR`` unset.

    Args:
        quiet: Show nothing.
        monitor: Validation metric that selects the best epoch, which is shown for each epoch.
    """
    if quiet:
        return _Quiet()
    stream = sys.stderr
    if stream is None or stream.closed:  # as under some process supervisors
        return _Quiet()
    is_plain = not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") in ("dumb", "unknown")
    if is_plain or _columns() < _NARROWEST:
        return Lines(sys.stderr, monitor=monitor)
    return _Guarded(_Bar(monitor))


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:
        return 80


class _Quiet(NullProgress):
    def close(self) -> None: ...


class _Guarded:
    """Forwards to a display until its terminal goes away; after that it shows nothing, and the work continues."""

    def __init__(self, display: Display) -> None:
        self._display = display

    def _tell(self, what: str, *arguments: Any) -> None:
        try:
            getattr(self._display, what)(*arguments)
        except OSError:
            self._display = _Quiet()

    def stage(self, text: str) -> None:
        self._tell("stage", text)

    def epoch_started(self, epoch: int, epochs: int, steps: int) -> None:
        self._tell("epoch_started", epoch, epochs, steps)

    def step(self, step: int, metrics: Metrics) -> None:
        self._tell("step", step, metrics)

    def epoch_ended(self, record: EpochRecord, is_best: bool) -> None:
        self._tell("epoch_ended", record, is_best)

    def close(self) -> None:
        self._tell("close")


class _Bar:
    """A live bar for all epochs, with a line above it for each finished epoch."""

    def __init__(self, monitor: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

        self._monitor = monitor
        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[metrics]}"),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._task = self._progress.add_task("", total=None, metrics="", visible=False)
        self._status = self._console.status("")
        self._epoch = self._epochs = self._steps = 0

    def stage(self, text: str) -> None:
        self._progress.stop()
        self._status.update(text)
        self._status.start()

    def epoch_started(self, epoch: int, epochs: int, steps: int) -> None:
        self._epoch, self._epochs, self._steps = epoch, epochs, steps
        self._status.stop()
        self._progress.update(
            self._task,
            description=f"epoch {epoch}/{epochs}",
            total=epochs * steps,
            completed=(epoch - 1) * steps,
            visible=True,
        )
        self._progress.start()

    def step(self, step: int, metrics: Metrics) -> None:
        self._progress.update(
            self._task,
            completed=(self._epoch - 1) * self._steps + step,
            metrics=f"loss {metrics.loss:.4f} accuracy {metrics.accuracy:.4f}",
        )

    def epoch_ended(self, record: EpochRecord, is_best: bool) -> None:
        self._progress.console.print(epoch_line(record, self._epochs, is_best, self._monitor), markup=False)

    def close(self) -> None:
        self._status.stop()
        self._progress.stop()


@contextlib.contextmanager
def show_progress(quiet: bool, monitor: str = "loss") -> Iterator[Display]:
    """Show progress on standard error: a bar on a terminal, lines elsewhere, nothing if ``quiet``.

    Args:
        quiet: Show nothing.
        monitor: Validation metric that selects the best epoch, which is shown for each epoch.
    """
    display = make_display(quiet, monitor)
    try:
        yield display
    finally:
        display.close()
