"""The engine of a Ray cluster: a process of its own talks to Ray, so that a cluster that is lost takes nobody with it.

(Ray ends the process that it runs in when it has not reached the head of its cluster for a minute.)
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from importlib.util import find_spec
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import msgspec

from zoo import RunFolderError, ZooError, missing_extra
from zoo_ray.addresses import knock
from zoo_ray.processes import private_folder, start_module
from zoo_ray.sweeps.engine import GRACE, Ended, Event, Job, open_log
from zoo_ray.sweeps.messages import Begin, FromBridge, Room, Stop, Submit, ToBridge, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

LOG = "ray.log"
"""What the process that talks to Ray prints, in the folder of the sweep."""

_FIRST_WORD = 90.0  # seconds after which a cluster that has not answered at all is given up
_SILENCE = 150.0  # seconds without a word, when one is given up that has: Ray itself does so after 60
_ENDED = "the process that talks to Ray has ended, as it does a minute after the cluster was lost"
_MARGIN = 15.0  # seconds for what the bridge has to do after the jobs have ended


def check_installed() -> None:
    """Raise `zoo.PluginError` unless Ray is installed."""
    if find_spec("ray") is None:
        raise missing_extra("A sweep on a cluster", "ray", "no module named 'ray'")


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Which cluster, and what a trial takes of it.

    Args:
        address: Its address, ``HOST:PORT`` or ``auto``; ``local`` for one that is started here and ends with the sweep.
        cpus: Processors that a trial asks for.
        gpus: Graphics processors that a trial asks for.
        retries: How often a trial goes on after its process was killed or its machine lost.
    """

    address: str
    cpus: float
    gpus: float
    retries: int


class ClusterEngine:
    """Ray tasks, each in a process of its own on one of the machines of a cluster.

    Args:
        cluster: Which cluster.
        folder: Folder of the sweep, where a log is kept.
        jobs: The most jobs at a time, None for as many as the cluster has room for.
        on_wait: Is called while the cluster is waited for; may raise to give up.

    Raises:
        ZooError: The cluster cannot be reached, or has no room for a single trial.
    """

    def __init__(self, cluster: Cluster, folder: Path, jobs: int | None, on_wait: Callable[[], None]) -> None:
        """Reach the cluster."""
        self._address, self._jobs, self._room = cluster.address, jobs, 0
        self._under_way: set[str] = set()
        self._events: list[Event] = []
        self._lines: SimpleQueue[bytes] = SimpleQueue()
        self._log = folder / LOG
        try:
            knock(cluster.address)
        except OSError as error:
            raise self._away(f"nobody answers there, {error}") from None
        self._process, self._place = _start(self._log)
        self._heard = time.monotonic()
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self._send(Begin(address=cluster.address, cpus=cluster.cpus, gpus=cluster.gpus, retries=cluster.retries))
            while not self._room:
                on_wait()
                self._hear(0.05)
        except BaseException:
            self._kill()
            raise

    @property
    def slots(self) -> int:
        """How many jobs the cluster has room for now."""
        return min(self._room, self._jobs or self._room)

    def start(self, job: Job) -> None:
        """Submit a task."""
        self._under_way.add(job.folder)
        self._send(Submit(job=job, variables=_variables()))

    def stop(self, folder: str) -> None:
        """Ask the task that works in a folder to end after its step."""
        if folder in self._under_way:
            self._send(Stop(folder=folder))

    def poll(self) -> Sequence[Event]:
        """Return what has happened since the last call.

        Raises:
            ZooError: The cluster is away, or what is left of it has no room for a trial.
        """
        self._hear(0.0)
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        """Stop all tasks, leave the cluster, and leave no process behind."""
        try:
            for folder in self._under_way:
                self.stop(folder)
            if self._process.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    self._process.stdin.close()
            deadline = time.monotonic() + GRACE + _MARGIN
            while self._process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
        except ZooError:  # it has ended before: there is nobody to be told
            return
        finally:
            self._kill()

    def _read(self) -> None:
        if self._process.stdout is not None:
            for line in self._process.stdout:
                self._lines.put(line)
        self._lines.put(b"")

    def _send(self, message: ToBridge) -> None:
        try:
            if self._process.stdin is not None:
                self._process.stdin.write(msgspec.json.encode(message) + b"\n")
                self._process.stdin.flush()
        except OSError:
            raise self._away(_ENDED) from None

    def _hear(self, seconds: float) -> None:
        """Take in what the bridge says; wait so long for the first word."""
        while True:
            try:
                line = self._lines.get(timeout=seconds) if seconds else self._lines.get_nowait()
            except Empty:
                limit = _SILENCE if self._room else _FIRST_WORD
                if time.monotonic() - self._heard > limit:
                    raise self._away(f"it has not answered for {limit:.0f} s") from None
                return
            self._heard, seconds = time.monotonic(), 0.0
            if not line:
                raise self._away(_ENDED)
            message = msgspec.json.decode(line, type=FromBridge)
            if isinstance(message, Trouble):
                raise self._away(message.text)
            if isinstance(message, Room):
                self._room = message.trials or self._room
            else:
                if isinstance(message, Ended):
                    self._under_way.discard(message.folder)
                self._events.append(message)

    def _away(self, why: str) -> ZooError:
        more = ""
        with contextlib.suppress(OSError):
            more = f"; {self._log} may say more" if self._log.stat().st_size else ""
        return ZooError(f"The Ray cluster cannot be used: {why}{more}. Received: address={self._address!r}")

    def _kill(self) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        shutil.rmtree(self._place, ignore_errors=True)


def _start(log: Path) -> tuple[subprocess.Popen[bytes], Path]:
    """Start the process that talks to Ray, and return it with the folder that it is in."""
    try:
        with open_log(log) as errors:
            place = private_folder()
            try:
                pipe = subprocess.PIPE
                module = "zoo_ray.sweeps.bridge"
                return start_module(module, str(place), cwd=place, stdin=pipe, stdout=pipe, stderr=errors), place
            except BaseException:
                shutil.rmtree(place, ignore_errors=True)
                raise
    except OSError as error:
        raise RunFolderError(
            f"No process can be started for Ray: {error.strerror or error}. Make room, or put right what is in the "
            f"folder of the sweep. Received: log={str(log)!r}."
        ) from error


def _variables() -> dict[str, str]:
    from zoo_ray.sweeps.remote import is_passed_on

    return {name: value for name, value in os.environ.items() if is_passed_on(name)}
