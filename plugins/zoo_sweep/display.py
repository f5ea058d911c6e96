"""Progress of a sweep on standard error: live bars on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Protocol

import click

if TYPE_CHECKING:
    from rich.progress import TaskID

    from zoo import Metrics
    from zoo.runs import EpochRecord
    from zoo_sweep.records import TrialRecord

_NARROWEST = 60


class Display(Protocol):
    """Receives the progress of a sweep."""

    def stage(self, text: str) -> None:
        """Report the start of a stage that may take a while."""
        ...

    def say(self, trial: TrialRecord, text: str) -> None:
        """Report an event of a trial."""
        ...

    def started(self, trial: TrialRecord) -> None:
        """Report that a trial starts or resumes."""
        ...

    def epoch(self, trial: TrialRecord, record: EpochRecord) -> None:
        """Report that a trial has completed an epoch."""
        ...

    def ended(self, trial: TrialRecord) -> None:
        """Report the outcome of a trial."""
        ...

    def close(self) -> None:
        """Restore the terminal."""
        ...


def make_display(total: int, quiet: bool, done: int = 0, choose_by: str = "loss") -> Display:
    """Return a suitable display: bars need a terminal that is wide enough, and ``NO_COLOR`` unset.

    Args:
        total: Total number of trials.
        quiet: Show nothing.
        done: Number of trials that are already done.
        choose_by: Validation metric that the sweep chooses by, which is shown if it is not loss or accuracy.
    """
    stream = sys.stderr
    if quiet or stream is None or stream.closed:
        return _Silent()
    is_plain = not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") in ("dumb", "unknown")
    return _Lines(total, choose_by) if is_plain or _columns() < _NARROWEST else _Bars(total, choose_by, done)


def outcome_line(trial: TrialRecord, choose_by: str = "loss") -> str:
    """Return the outcome of a trial as text, with the validation metric ``choose_by``."""
    if trial.status == "trained" and trial.validation is not None:
        figures = f"loss {trial.validation.loss:.4f}  accuracy {trial.validation.accuracy:.4f}"
        return f"trained  validation {figures}{_further(trial.validation, choose_by)}  {trial.seconds:.1f} s"
    if trial.status == "pruned":
        return f"pruned after epoch {len(trial.values)}"
    return f"{trial.status}: {trial.error}" if trial.error else trial.status


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:
        return 80


class _Silent:
    def stage(self, text: str) -> None: ...

    def say(self, trial: TrialRecord, text: str) -> None: ...

    def started(self, trial: TrialRecord) -> None: ...

    def epoch(self, trial: TrialRecord, record: EpochRecord) -> None: ...

    def ended(self, trial: TrialRecord) -> None: ...

    def close(self) -> None: ...


class _Lines:
    """Prints one line per event."""

    def __init__(self, total: int, choose_by: str) -> None:
        self._total, self._choose_by = total, choose_by

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):  # no reader is left; the work continues
            click.echo(text, err=True)

    def stage(self, text: str) -> None:
        self._write(text)

    def say(self, trial: TrialRecord, text: str) -> None:
        self._write(f"trial {trial.number}/{self._total}  {trial.label}  {trial.repetition}  {text}")

    def started(self, trial: TrialRecord) -> None:
        self.say(trial, "started")

    def epoch(self, trial: TrialRecord, record: EpochRecord) -> None:
        self.say(trial, _epoch_text(trial, record, self._choose_by))

    def ended(self, trial: TrialRecord) -> None:
        self.say(trial, outcome_line(trial, self._choose_by))

    def close(self) -> None: ...


class _Bars(_Lines):
    """A live bar for all trials and one for each running trial, with a line above them for each event."""

    def __init__(self, total: int, choose_by: str, done: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        super().__init__(total, choose_by)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[metrics]}", markup=False),
            TimeElapsedColumn(),
            console=Console(stderr=True, highlight=False),
            transient=True,
        )
        self._all = self._progress.add_task("trials", total=total, completed=done, metrics="")
        self._tasks: dict[int, TaskID] = {}
        self._progress.start()

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._progress.console.print(text, markup=False)

    def started(self, trial: TrialRecord) -> None:
        self._tasks[trial.number] = self._progress.add_task(
            f"{trial.label} {trial.repetition}", total=trial.epochs, metrics=""
        )

    def epoch(self, trial: TrialRecord, record: EpochRecord) -> None:
        if trial.number in self._tasks:
            metrics = _epoch_text(trial, record, self._choose_by).partition("validation ")[2]
            self._progress.update(self._tasks[trial.number], completed=record.epoch, metrics=metrics)

    def ended(self, trial: TrialRecord) -> None:
        if trial.number in self._tasks:
            self._progress.remove_task(self._tasks.pop(trial.number))
        self._progress.advance(self._all)
        super().ended(trial)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._progress.stop()


def _epoch_text(trial: TrialRecord, record: EpochRecord, choose_by: str) -> str:
    text = f"epoch {record.epoch}/{trial.epochs}"
    if record.validation is not None:
        text += f"  validation {record.validation.loss:.4f} {record.validation.accuracy:.4f}"
        text += _further(record.validation, choose_by)
    return text


def _further(metrics: Metrics, name: str) -> str:
    """Return a metric as text if it is not loss or accuracy, which are shown anyway."""
    return f"  {name} {metrics.others[name]:.4f}" if name in metrics.others else ""
