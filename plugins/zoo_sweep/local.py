"""The engine that needs nothing: processes on this machine, as many at a time as is asked for."""

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
    stop_by: float | None = None  # when it is killed, if it was asked to stop


class LocalEngine:
    """Processes on this machine; one that is killed is started again.

    Args:
        slots: How many at a time.
        retries: How often the process of a job is started again after it was killed.
    """

    def __init__(self, slots: int, retries: int) -> None:
        """Start nothing yet."""
        self._slots, self._retries = slots, retries
        self._workers: dict[str, _Worker] = {}

    @property
    def slots(self) -> int:
        """How many at a time."""
        return self._slots

    def start(self, job: TrialJob) -> None:
        """Start a process.

        Raises:
            RunFolderError: The run folder or the log in it cannot be made.
        """
        self._workers[job.folder] = _Worker(job=job, process=_start(job), retries=self._retries)

    def stop(self, folder: str) -> None:
        """Ask the process that works in a folder to end after its step."""
        worker = self._workers.get(folder)
        if worker is not None and worker.stop_by is None:
            worker.stop_by = time.monotonic() + GRACE
            worker.process.interrupt()

    def poll(self) -> Sequence[Event]:
        """Return what has happened since the last call."""
        events: list[Event] = []
        for folder, worker in list(self._workers.items()):
            is_late = worker.stop_by is not None and time.monotonic() > worker.stop_by
            if not worker.process.has_ended and not is_late:
                continue
            events.append(event := self._end(worker))
            if isinstance(event, Ended):
                del self._workers[folder]
        return events

    def close(self) -> None:
        """Stop all processes; those that do not end in time, or if this is interrupted, are killed."""
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
        """End a process and return what became of it, after starting another if it was killed."""
        job, said = worker.job, None
        with contextlib.suppress(EOFError):
            said = worker.process.receive(0)
        why = _death(worker.process.end())
        if said is not None:
            ended = msgspec.json.decode(said, type=Ended)
            if ended.how != "stopped" or worker.stop_by is not None:
                return ended
            why = "was told to stop, and not by the sweep"
        if worker.stop_by is not None:
            return Ended(folder=job.folder, how="stopped")
        if worker.retries:
            worker.retries -= 1
            try:
                worker.process = _start(job)
            except RunFolderError as error:
                return Ended(folder=job.folder, how="failed", error=f"Its process {why}. {error}")
            return Restarted(folder=job.folder, why=why)
        tries = "once" if not self._retries else f"{self._retries + 1} times"
        return Ended(
            folder=job.folder,
            how="lost",
            error=f"Its process {why}, {tries} in all: {Path(job.folder) / LOG} may say more.",
        )


def _start(job: TrialJob) -> ChildProcess:
    folder = Path(job.folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open_log(folder / LOG) as log:
            process = ChildProcess("zoo_sweep.worker", job.folder, errors=log)
    except OSError as error:
        raise RunFolderError(
            f"No process can be started: {error.strerror or error}. Make room, or put right what is in its folder. "
            f"Received: folder={str(folder)!r}.",
            path=folder,
        ) from error
    with contextlib.suppress(EOFError):  # it has ended already, which is seen at the next look
        process.send(msgspec.json.encode(job))
    return process


def _death(status: int) -> str:
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"
