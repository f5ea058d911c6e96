"""The store of a sweep: its folder with ``sweep.json``, which is rewritten whenever a trial starts or ends."""

from __future__ import annotations

import os
import shlex
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

import zoo
from zoo import open_run
from zoo.errors import RunFolderError
from zoo.runs import OUT_OF_FOLD, read_record, write_record
from zoo_sweep.cross_validation import read_joined
from zoo_sweep.records import FILE, FORMAT, SweepRecord, SweepSpec, TrialRecord, fault_of

if TYPE_CHECKING:
    from pathlib import Path

    from zoo import Run
    from zoo.runs import OutOfFold
    from zoo_sweep.measure import Measure


class SweepStore:
    """A sweep folder, which the caller has locked, and its record.

    Args:
        folder: The sweep folder.
        record: Content of ``sweep.json``.
    """

    def __init__(self, folder: Path, record: SweepRecord) -> None:
        """Store the folder and the record."""
        self.folder, self.record = folder, record

    @classmethod
    def new(cls, folder: Path, spec: SweepSpec, measure: Measure, trials: list[TrialRecord]) -> SweepStore:
        """Create a sweep.

        Raises:
            RunFolderError: The folder already contains a sweep, or cannot be written.
        """
        _check_no_sweep(folder)  # checked again now that the folder is locked
        started = datetime.now(UTC).isoformat(timespec="seconds")
        record = SweepRecord(
            format=FORMAT, started=started, spec=spec, choose_by=measure.name, mode=measure.mode, trials=trials
        )
        store = cls(folder, record)
        store._write()
        return store

    @classmethod
    def open(cls, folder: Path) -> SweepStore:
        """Open the sweep in a folder.

        Raises:
            RunFolderError: The folder contains no sweep, or its record is invalid.
        """
        if not os.path.lexists(folder / FILE):
            what = f"is not a sweep folder: it has no {FILE}" if os.path.isdir(folder) else "is not an existing folder"
            raise RunFolderError(
                f"{folder} {what}. Pass the folder that `zoo sweep` printed. Received: resume={str(folder)!r}",
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
            RunFolderError: There is no run, or its record is invalid.
        """
        return open_run(self.path_of(trial))

    def out_of_fold(self) -> OutOfFold | None:
        """Return the predictions of all folds of the best configuration; None without folds or before they are joined.

        Raises:
            ZooError: The file is damaged or cannot be read.
        """
        best = [trial for trial in self.record.trials if trial.configuration == self.record.best and trial.fold]
        if not best or not os.path.lexists(self.folder / OUT_OF_FOLD):
            return None
        return read_joined(self.folder, self.run_of(best[0]))

    def trial(self, number: int) -> TrialRecord:
        """Return a trial by its number."""
        return self.record.trials[number - 1]

    def note(self, trial: TrialRecord, value: float) -> TrialRecord:
        """Add a validation metric of one more epoch. It is written when the trial ends; until then, its run has it."""
        trial = msgspec.structs.replace(trial, values=[*trial.values, value])
        self._put(trial)
        return trial

    def update(self, trial: TrialRecord, **changes: Any) -> TrialRecord:
        """Change or add a trial, write the record, and return the updated trial."""
        trial = msgspec.structs.replace(trial, **changes)
        self._put(trial)
        self._write()
        return trial

    def set_best(self, configuration: int | None) -> None:
        """Record the best configuration.

        Drop the test results of a previous best, and record that they were read: choosing among multiple test results
        would bias the reported one.
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
        """Mark all unfinished trials as waiting, so that they are tried again."""
        self._let_wait("running", "failed", "lost")  # the cause of a failure may be gone

    def reset_running(self) -> None:
        """Mark running trials as waiting, after their processes have been stopped."""
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
        """Return the number of trials with one of these statuses."""
        return sum(trial.status in status for trial in self.record.trials)

    @property
    def has_faults(self) -> bool:
        """Whether any trial failed, was lost or could not be tested."""
        return any(trial.error is not None for trial in self.record.trials)

    @property
    def is_finished(self) -> bool:
        """Whether all trials and tests are complete."""
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
    """Raise `RunFolderError` if a folder contains a sweep, or anything that could be mistaken for part of one."""
    _check_no_sweep(folder)
    zoo.runs.ensure_empty(folder)


def _check_no_sweep(folder: Path) -> None:
    if os.path.lexists(folder / FILE):
        raise RunFolderError(
            f"{folder} already holds a sweep, which is never overwritten. Choose another folder, or resume the sweep "
            f"with `zoo sweep --resume {shlex.quote(str(folder))}`. Received: out={str(folder)!r}",
            path=folder,
        )
