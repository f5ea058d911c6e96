"""The engine that runs jobs in processes on this machine."""

from __future__ import annotations

import contextlib
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from zoo.errors import RunFolderError
from zoo.utils import ChildProcess
from zoo_sweep.engine import GRACE, LOG, Ended, Event, Restarted, TrialJob, open_log

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(kw_only=True)
class _Worker:
    job: TrialJob
    process: ChildProcess
    retries: int
    stop_by: float | None = None  # when to kill it, if it was asked to stop
    said: bytes | None = None  # its outcome

    def hear(self) -> None:
        """Receive the outcome, if there is one yet; what was not sent yet is sent."""
        with contextlib.suppress(EOFError):
            self.said = self.said or self.process.receive(0)


class LocalEngine:
    """Runs jobs in processes on this machine, and restarts those that are killed.

    Args:
        slots: Maximum number of parallel processes.
        retries: How often the process of a job is restarted after it was killed.
    """

    def __init__(self, slots: int, retries: int) -> None:
        """Create the engine without starting a process."""
        self._slots, self._retries = slots, retries
        self._workers: dict[str, _Worker] = {}

    @property
    def slots(self) -> int:
        """Maximum number of parallel jobs."""
        return self._slots

    def start(self, job: TrialJob) -> None:
        """Start the process of a job.

        Raises:
            RunFolderError: The process cannot be started, or its run folder or log cannot be created.
        """
        self._workers[job.folder] = _Worker(job=job, process=_start(job), retries=self._retries)

    def stop(self, folder: str) -> None:
        """Ask the process that works in a folder to end after its current step."""
        worker = self._workers.get(folder)
        if worker is not None and worker.stop_by is None:
            worker.stop_by = time.monotonic() + GRACE
            worker.process.interrupt()

    def poll(self) -> Sequence[Event]:
        """Return the events since the last call."""
        events: list[Event] = []
        for folder, worker in list(self._workers.items()):
            worker.hear()
            is_late = worker.stop_by is not None and time.monotonic() > worker.stop_by
            if not worker.process.has_ended and not is_late:
                continue
            events.append(event := self._end(worker))
            if isinstance(event, Ended):
                del self._workers[folder]
        return events

    def close(self) -> None:
        """Stop all processes. Kill those that do not end in time, and all of them if this is interrupted."""
        try:
            for folder in self._workers:
                self.stop(folder)
            while self._workers:
                self.poll()
                time.sleep(0.02)
        finally:
            for worker in self._workers.values():
                worker.process.end()

    def _end(self, worker: _Worker) -> Event:
        """End a process and return its outcome, after starting another one if it was killed."""
        job = worker.job
        worker.hear()
        why = _death(worker.process.end())
        if worker.said is not None:
            ended = msgspec.json.decode(worker.said, type=Ended)
            if ended.how != "stopped" or worker.stop_by is not None:
                return ended
            why = "was stopped, but not by the sweep"
        if worker.stop_by is not None:
            return Ended(folder=job.folder, how="stopped")
        if worker.retries:
            worker.retries -= 1
            try:
                worker.process, worker.said = _start(job), None
            except RunFolderError as error:
                return Ended(folder=job.folder, how="failed", error=f"Its process {why}. {error}")
            return Restarted(folder=job.folder, why=why)
        tries = "" if not self._retries else f", {self._retries + 1} times in total"
        return Ended(
            folder=job.folder,
            how="lost",
            error=f"Its process {why}{tries}. See {Path(job.folder) / LOG} for details.",
        )


def _start(job: TrialJob) -> ChildProcess:
    folder = Path(job.folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        log = open_log(folder / LOG)
    except OSError as error:
        raise RunFolderError(
            f"Cannot write the log of the trial: {error.strerror or error}. Free some space, or remove what blocks its "
            f"folder or its log. Received: folder={str(folder)!r}.",
            path=folder,
        ) from error
    with log:
        try:
            process = ChildProcess("zoo_sweep.worker", job.folder, errors=log)
        except OSError as error:
            raise RunFolderError(
                f"Cannot start a process for the trial: {error.strerror or error}. Run fewer trials at a time "
                f"(--jobs), or raise the limits on processes and open files. Received: folder={str(folder)!r}.",
                path=folder,
            ) from error
    with contextlib.suppress(EOFError):  # the process has already ended, which the next poll detects
        process.send(msgspec.json.encode(job))
    return process


def _death(status: int) -> str:
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"
