"""The runner of a sweep: it starts, follows and prunes trials, and tests the best configuration."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from zoo.errors import RunFolderError
from zoo_sweep.cross_validation import join_folds
from zoo_sweep.engine import Ended, Restarted, TrialJob
from zoo_sweep.selection import best_of
from zoo_sweep.trials import changes_of, resolve, with_fold

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zoo import Registry
    from zoo.runs import RunRecord
    from zoo.utils import HeldSignals
    from zoo_sweep.display import Display
    from zoo_sweep.engine import Engine
    from zoo_sweep.records import TrialRecord
    from zoo_sweep.search_algorithm import Source
    from zoo_sweep.store import SweepStore

_PAUSE = 0.1  # seconds between checks of the run folders


@dataclass(kw_only=True)
class SweepRunner:
    """Runs a sweep.

    Args:
        store: Record of the sweep.
        registry: Registry to look up names in.
        source: Source of trials.
        engine: Engine that runs the trials.
        display: Display of the progress.
        signals: Signals that request the end.
        common: A job with the fields that all jobs share: dataset folder, plugin files, current folder.
    """

    store: SweepStore
    registry: Registry
    source: Source
    engine: Engine
    display: Display
    signals: HeldSignals
    common: TrialJob
    _running: dict[str, int] = field(default_factory=dict)  # run folder: number of the trial
    _pruned: set[str] = field(default_factory=set)
    _seen: dict[str, tuple[int, int]] = field(default_factory=dict)  # inode and time of each run.json last read

    def run(self) -> None:
        """Train all trials, choose the best configuration, and test it.

        Raises:
            ZooError: The engine failed, or the folder cannot be written.
            StopRequested: A signal requested the end.
        """
        while self._start_some() or self._running:
            self.signals.check()
            self._look()
            time.sleep(_PAUSE)
        self.store.set_best(best_of(self.store.record))
        self._join_folds()
        self._test()

    def _join_folds(self) -> None:
        """Write the predictions of all folds of the best configuration, each for images it was not trained on."""
        record = self.store.record
        chosen = [trial for trial in record.trials if trial.configuration == record.best and trial.fold is not None]
        if chosen:
            join_folds([self.store.run_of(trial) for trial in chosen], self.store.folder)

    def _start_some(self) -> bool:
        """Start trials while slots are free; return whether any was started."""
        has_started = False
        while len(self._running) < self.engine.slots and (trial := self.source.next()) is not None:
            self._start(trial)
            has_started = True
        return has_started

    def _start(self, trial: TrialRecord) -> None:
        if (fault := self._fault_of_folder(trial)) is not None:
            self._settle(trial, "failed", fault)
            return
        path = str(self.store.path_of(trial).absolute())
        self.engine.start(self._job(trial, "train"))
        self._running[path] = trial.number
        self.display.started(self.store.update(trial, status="running"))

    def _fault_of_folder(self, trial: TrialRecord) -> str | None:
        """Return why a trial cannot use its folder, because something else is there, or None if it can."""
        path = self.store.path_of(trial)
        if path.is_symlink():  # it could lead anywhere
            return f"{path} is a symbolic link, not a folder. Move the folder itself there, or remove the link."
        found = self._record_of(trial)
        spec = self.store.record.spec
        settings = with_fold(spec, trial.settings, trial.fold)
        config = resolve(spec, self.registry, trial.recipe, settings, trial.seed)
        if found is not None and found.recipe != config.to_record():
            return f"{path} contains a run with other settings than those of this trial. Delete or move that folder."
        return None

    def _job(self, trial: TrialRecord, work: str) -> TrialJob:
        spec = self.store.record.spec
        return msgspec.structs.replace(
            self.common,
            folder=str(self.store.path_of(trial).absolute()),
            work=work,
            recipe=trial.recipe,
            changes={**changes_of(spec), "settings": with_fold(spec, trial.settings, trial.fold), "seed": trial.seed},
            checkpoint_every=spec.checkpoint_every,
            track=spec.track,
        )

    def _look(self) -> None:
        """Process the events and new epochs of the running trials."""
        events = self.engine.poll()
        for number in self._running.values():
            self._follow(self.store.trial(number))
        for event in events:
            trial = self.store.trial(self._running[event.folder])
            if isinstance(event, Ended):
                del self._running[event.folder]
                self._settle(trial, event.how, event.error)
            else:
                self._say_restarted(trial, event)

    def _say_restarted(self, trial: TrialRecord, event: Restarted) -> None:
        record = self._record_of(trial)
        if record is None:
            how = "starting from the beginning"
        elif record.status == "trained":
            how = "already trained"
        else:
            how = f"resuming from its last checkpoint ({len(record.history)} of {trial.epochs} epochs done)"
        self.display.say(trial, f"its process {event.why}: restarted, {how}")

    def _follow(self, trial: TrialRecord) -> TrialRecord:
        """Record a trial's epochs since the last check; ask it to stop if it should be pruned."""
        path = str(self.store.path_of(trial).absolute())
        record = None if path in self._pruned else self._record_of(trial, path)
        for epoch in record.history[len(trial.values) :] if record is not None else ():
            if epoch.validation is None:
                break
            value = epoch.validation.value(self.store.record.choose_by)
            trial = self.store.note(trial, value)
            self.display.epoch(trial, epoch)
            if self.source.should_prune(trial):
                self._pruned.add(path)
                self.engine.stop(path)
                break
        return trial

    def _record_of(self, trial: TrialRecord, path: str | None = None) -> RunRecord | None:
        """Return the record of a trial's run, or None if there is none; with ``path``, None if it has not changed.

        An invalid record counts as none, because the process of the trial reports the fault.
        """
        file = self.store.path_of(trial) / "run.json"
        with contextlib.suppress(OSError, RunFolderError):
            found = file.stat()
            if path is not None and self._seen.get(path) == (found.st_ino, found.st_mtime_ns):
                return None
            record = self.store.run_of(trial).record
            if path is not None:
                self._seen[path] = (found.st_ino, found.st_mtime_ns)
            return record
        return None

    def _settle(self, trial: TrialRecord, how: str, error: str | None) -> None:
        """Record the outcome of a trial."""
        path = str(self.store.path_of(trial).absolute())
        record = self._record_of(trial)
        seconds = record.seconds.train if record is not None else 0.0
        if path in self._pruned:
            self._pruned.remove(path)
            trial = self.store.update(trial, status="pruned", seconds=seconds)
        elif how == "stopped":
            trial = self.store.update(trial, status="waiting", seconds=seconds)
        elif how == "done" and record is not None:
            trial = self.store.update(
                trial,
                status="trained",
                validation=record.validation,
                best_epoch=record.best_epoch,
                seconds=seconds,
            )
        else:
            unread = f"Its process left no readable run in {path}. Resume the sweep to train it again."
            status = "lost" if how == "lost" else "failed"
            trial = self.store.update(
                trial,
                status=status,
                error=error or unread,
                seconds=seconds,
            )
        self.source.ended(trial)
        self.display.ended(trial)

    def _test(self) -> None:
        """Test the runs of the best configuration, and no others."""
        best = self.store.record.best
        chosen = [trial for trial in self.store.record.trials if trial.configuration == best and trial.test is None]
        self._running = {}
        for trial in self._as_slots_come_free(chosen):
            self.display.stage(f"testing {trial.label}, {trial.repetition}")
            self.engine.start(self._job(trial, "test"))
            self._running[str(self.store.path_of(trial).absolute())] = trial.number

    def _as_slots_come_free(self, trials: Iterable[TrialRecord]) -> Iterable[TrialRecord]:
        """Yield trials as slots become free, then wait until all that were started have ended."""
        left = list(trials)
        while left or self._running:
            self.signals.check()
            while left and len(self._running) < self.engine.slots:
                yield left.pop(0)
            for event in self.engine.poll():
                trial = self.store.trial(self._running[event.folder])
                if isinstance(event, Restarted):
                    self._say_restarted(trial, event)
                else:
                    del self._running[event.folder]
                    test = self.store.run_of(trial).test_metrics if event.how == "done" else None
                    error = None if event.how == "done" else f"Testing failed: {event.error}"
                    self.store.update(trial, test=test, error=error)
            time.sleep(_PAUSE)
