"""The bookkeeping of a sweep: its folder, and ``sweep.json`` in it, written anew whenever something changes."""

from __future__ import annotations

import os
import shlex
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

import zoo
from zoo import open_run
from zoo.errors import RunFolderError
from zoo.runs import read_record, write_record
from zoo_sweep.records import FILE, FORMAT, Measure, SweepRecord, SweepSpec, TrialRecord, fault_of

if TYPE_CHECKING:
    from pathlib import Path

    from zoo import Run


class SweepStore:
    """A sweep's folder, which is locked by the caller, and its record.

    Args:
        folder: The folder.
        record: What ``sweep.json`` says.
    """

    def __init__(self, folder: Path, record: SweepRecord) -> None:
        """Hold both."""
        self.folder, self.record = folder, record

    @classmethod
    def new(cls, folder: Path, spec: SweepSpec, choose_by: Measure, trials: list[TrialRecord]) -> SweepStore:
        """Begin a sweep.

        Raises:
            RunFolderError: The folder holds one already, or cannot be written.
        """
        _check_no_sweep(folder)  # now that nobody else begins one
        started = datetime.now(UTC).isoformat(timespec="seconds")
        store = cls(folder, SweepRecord(format=FORMAT, started=started, spec=spec, choose_by=choose_by, trials=trials))
        store._write()
        return store

    @classmethod
    def open(cls, folder: Path) -> SweepStore:
        """Open the sweep in a folder.

        Raises:
            RunFolderError: There is none, or its record is not valid.
        """
        if not os.path.lexists(folder / FILE):
            what = f"holds no sweep: it has no {FILE}" if os.path.isdir(folder) else "is no folder that there is"
            raise RunFolderError(
                f"{folder} {what}. Give the folder that `zoo sweep` named. Received: resume={str(folder)!r}",
                path=folder,
            )
        record = read_record(folder / FILE, SweepRecord)
        if (fault := fault_of(record)) is not None:
            raise RunFolderError(
                f"{folder / FILE} is not a valid record: {fault}. Restore it from a copy. Received: "
                f"resume={str(folder)!r}",
                path=folder,
            )
        return cls(folder, record)

    def path_of(self, trial: TrialRecord) -> Path:
        """Return the run folder of a trial."""
        return self.folder / trial.folder

    def run_of(self, trial: TrialRecord) -> Run:
        """Return the run of a trial.

        Raises:
            RunFolderError: There is none, or its record is not valid.
        """
        return open_run(self.path_of(trial))

    def trial(self, number: int) -> TrialRecord:
        """Return a trial by its number."""
        return self.record.trials[number - 1]

    def note(self, trial: TrialRecord, value: float) -> TrialRecord:
        """Add the validation metric of one epoch more; it is written when the trial ends: until then its run has it."""
        trial = msgspec.structs.replace(trial, values=[*trial.values, value])
        self._put(trial)
        return trial

    def update(self, trial: TrialRecord, **changes: Any) -> TrialRecord:
        """Change what is known of a trial, or add it, write that, and return it as it is now."""
        trial = msgspec.structs.replace(trial, **changes)
        self._put(trial)
        self._write()
        return trial

    def set_best(self, configuration: int | None) -> None:
        """Write down which configuration is the best.

        Test figures of one that was the best before are dropped, and it is noted that they were read: figures of
        several, to choose among, would flatter.
        """
        tested = {trial.configuration for trial in self.record.trials if trial.test is not None} - {configuration}
        self.record = msgspec.structs.replace(
            self.record,
            best=configuration,
            tested_before=sorted({*self.record.tested_before, *tested}),
            trials=[
                msgspec.structs.replace(trial, test=None) if trial.configuration in tested else trial
                for trial in self.record.trials
            ],
        )
        self._write()

    def reset_unfinished(self) -> None:
        """Let everything that is not finished wait to be tried again."""
        self._let_wait("running", "failed", "lost")  # the cause may be gone

    def reset_running(self) -> None:
        """Let the trials that are under way wait, since their processes have been stopped."""
        if self.count("running"):
            self._let_wait("running")

    def _let_wait(self, *status: str) -> None:
        trials = [
            msgspec.structs.replace(trial, status="waiting", error=None, values=[]) if trial.status in status else trial
            for trial in self.record.trials
        ]
        self.record = msgspec.structs.replace(self.record, trials=trials)
        self._write()

    def count(self, *status: str) -> int:
        """Return how many trials have one of these statuses."""
        return sum(trial.status in status for trial in self.record.trials)

    @property
    def has_faults(self) -> bool:
        """Whether a trial failed or was lost, or could not be tested."""
        return any(trial.error is not None for trial in self.record.trials)

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to do."""
        record, search = self.record, self.record.spec.search
        if record.best is None or (search is not None and len(record.trials) < search.trials):
            return False
        is_tested = all(trial.test is not None for trial in record.trials if trial.configuration == record.best)
        return is_tested and self.count("trained", "pruned") == len(record.trials)

    def _put(self, trial: TrialRecord) -> None:
        trials = [*self.record.trials]
        trials[trial.number - 1 : trial.number] = [trial]
        self.record = msgspec.structs.replace(self.record, trials=trials)

    def _write(self) -> None:
        write_record(self.folder / FILE, self.record)


def ensure_empty(folder: Path) -> None:
    """Raise `RunFolderError` if a folder holds a sweep, or what a run of its own could be mixed up with."""
    _check_no_sweep(folder)
    zoo.runs.ensure_empty(folder)


def _check_no_sweep(folder: Path) -> None:
    if os.path.lexists(folder / FILE):
        raise RunFolderError(
            f"{folder} already holds a sweep, which is never overwritten: choose another folder, or go on with it "
            f"(zoo sweep --resume {shlex.quote(str(folder))}). Received: out={str(folder)!r}",
            path=folder,
        )
