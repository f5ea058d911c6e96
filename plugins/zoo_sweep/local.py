"""The engine that needs nothing: processes on this machine, as many at a time as is asked for."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from zoo.errors import RunFolderError
from zoo.utils import start_module
from zoo_sweep.engine import GRACE, LOG, Ended, Event, Restarted, TrialJob, open_log

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(kw_only=True)
class _Worker:
    job: TrialJob
    process: subprocess.Popen[bytes]
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
            with contextlib.suppress(ProcessLookupError):  # `terminate` would wait for one that has ended
                os.kill(worker.process.pid, signal.SIGTERM)

    def poll(self) -> Sequence[Event]:
        """Return what has happened since the last call."""
        events: list[Event] = []
        for folder, worker in list(self._workers.items()):
            if not _has_ended(worker.process):
                if worker.stop_by is not None and time.monotonic() > worker.stop_by:
                    _kill(worker.process)
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
                if worker.process.returncode is None:  # else it is gone, and its number may be another's
                    _kill(worker.process)
                    _release(worker.process)

    def _end(self, worker: _Worker) -> Event:
        """Return what became of a process that has ended, after starting another if it was killed."""
        job = worker.job
        _kill(worker.process)  # what it may have started itself
        said = _release(worker.process)
        why = _death(worker.process.returncode)
        with contextlib.suppress(msgspec.DecodeError):
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


def _start(job: TrialJob) -> subprocess.Popen[bytes]:
    folder = Path(job.folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open_log(folder / LOG) as log:
            pipe = subprocess.PIPE
            process = start_module("zoo_sweep.worker", job.folder, stdin=pipe, stdout=pipe, stderr=log)
    except OSError as error:
        raise RunFolderError(
            f"No process can be started: {error.strerror or error}. Make room, or put right what is in its folder. "
            f"Received: folder={str(folder)!r}.",
            path=folder,
        ) from error
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):  # it has ended already, which is seen at the next look
            process.stdin.write(msgspec.json.encode(job) + b"\n")
            process.stdin.flush()
    return process


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Return whether a process has ended, and leave it there: until it is waited for its group is its own."""
    found = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return found is not None


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that was not waited for yet, and all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _release(process: subprocess.Popen[bytes]) -> bytes:
    """Wait for a process that has ended, and return what it said."""
    said = b""
    process.wait()
    if process.stdout is not None:
        said = process.stdout.read()
        process.stdout.close()
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    return said


def _death(status: int) -> str:
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"
