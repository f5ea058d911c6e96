"""The engine of a Ray cluster: a process of its own talks to Ray, so that a cluster that is lost takes nobody with it.

(Ray ends the process that it runs in when it has not reached the head of its cluster for a minute.)
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING

import msgspec
from zoo_sweep import GRACE, Ended, EngineOptions, Event, TrialJob, open_log

from zoo import ZooError
from zoo.errors import RunFolderError
from zoo.utils import ChildProcess, missing_extra
from zoo_ray.addresses import check_reachable
from zoo_ray.addresses import is_address as is_address
from zoo_ray.processes import private_folder
from zoo_ray.sweep_messages import Begin, Capacity, ClusterLost, FromRayProcess, Stop, Submit, ToRayProcess

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LOG = "ray.log"
"""What the process that talks to Ray prints, in the folder of the sweep."""

_FIRST_WORD = 90.0  # seconds after which a cluster that has not answered at all is given up
_SILENCE = 150.0  # seconds without a word, when one is given up that has: Ray itself does so after 60
_ENDED = "the process that talks to Ray has ended, as it does a minute after the cluster was lost"
_MARGIN = 15.0  # seconds for what the process has to do after the jobs have ended


def check_installed() -> None:
    """Raise `zoo.PluginError` unless Ray is installed."""
    if find_spec("ray") is None:
        raise missing_extra("A sweep on a cluster", "ray", "no module named 'ray'")


def connect(options: EngineOptions) -> ClusterEngine:
    """Return the engine of a Ray cluster, once it answers: what `zoo sweep --address` asks for."""
    return ClusterEngine(options)


class ClusterEngine:
    """Ray tasks, each in a process of its own on one of the machines of a cluster.

    Args:
        options: Which cluster, and what a trial takes of it.

    Raises:
        ZooError: The cluster cannot be reached, or has no room for a single trial.
    """

    def __init__(self, options: EngineOptions) -> None:
        """Reach the cluster."""
        self._address, self._jobs, self._room = options.address, options.jobs, 0
        self._under_way: set[str] = set()
        self._events: list[Event] = []
        self._log = options.folder / LOG
        try:
            check_reachable(options.address)
        except OSError as error:
            raise self._away(f"nobody answers there, {error}") from None
        self._process, self._place = _start(self._log)
        self._heard = time.monotonic()
        try:
            self._send(Begin(address=options.address, cpus=options.cpus, gpus=options.gpus, retries=options.retries))
            while not self._room:
                options.on_wait()
                self._hear(0.05)
        except BaseException:
            self._kill()
            raise

    @property
    def slots(self) -> int:
        """How many jobs the cluster has room for now."""
        return min(self._room, self._jobs or self._room)

    def start(self, job: TrialJob) -> None:
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
            self._process.finish(GRACE + _MARGIN)
        except ZooError:  # it has ended before: there is nobody to be told
            return
        finally:
            self._kill()

    def _send(self, message: ToRayProcess) -> None:
        try:
            self._process.send(msgspec.json.encode(message))
        except EOFError:
            raise self._away(_ENDED) from None

    def _hear(self, seconds: float) -> None:
        """Take in what the process says; wait so long for the first word."""
        while True:
            try:
                encoded = self._process.receive(seconds)
            except EOFError:
                raise self._away(_ENDED) from None
            if encoded is None:
                limit = _SILENCE if self._room else _FIRST_WORD
                if time.monotonic() - self._heard > limit:
                    raise self._away(f"it has not answered for {limit:.0f} s")
                return
            self._heard, seconds = time.monotonic(), 0.0
            message = msgspec.json.decode(encoded, type=FromRayProcess)
            if isinstance(message, ClusterLost):
                raise self._away(message.text)
            if isinstance(message, Capacity):
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
        self._process.end()
        shutil.rmtree(self._place, ignore_errors=True)


def _start(log: Path) -> tuple[ChildProcess, Path]:
    """Start the process that talks to Ray, and return it with the folder that it is in."""
    try:
        with open_log(log) as errors:
            place = private_folder()
            try:
                return ChildProcess("zoo_ray.sweep_process", str(place), errors=errors, folder=place), place
            except BaseException:
                shutil.rmtree(place, ignore_errors=True)
                raise
    except OSError as error:
        raise RunFolderError(
            f"No process can be started for Ray: {error.strerror or error}. Make room, or put right what is in the "
            f"folder of the sweep. Received: log={str(log)!r}."
        ) from error


def _variables() -> dict[str, str]:
    from zoo_ray.sweep_task import is_passed_on

    return {name: value for name, value in os.environ.items() if is_passed_on(name)}
