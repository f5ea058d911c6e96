"""The sweep engine for a Ray cluster. A separate process talks to Ray, so a lost cluster does not end the sweep.

Ray ends the process that it runs in if it has not reached the head of its cluster for a minute.
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
"""Name of the log, in the sweep folder, of the process that talks to Ray."""

_FIRST_WORD = 90.0  # seconds after which to give up on a cluster that never responded
_SILENCE = 150.0  # seconds of silence after which to give up on a cluster that did; Ray itself gives up after 60
_ENDED = "the process that talks to Ray ended, as it does about a minute after the cluster is lost"
_MARGIN = 15.0  # seconds for the process to finish after the jobs have ended


def check_installed() -> None:
    """Raise `PluginError` unless Ray is installed."""
    if find_spec("ray") is None:
        raise missing_extra("A sweep on a cluster", "ray", "no module named 'ray'")


def connect(options: EngineOptions) -> ClusterEngine:
    """Connect to the Ray cluster of `zoo sweep --address` and return its engine."""
    return ClusterEngine(options)


class ClusterEngine:
    """Runs each job as a Ray task, in its own process on one of the cluster's machines.

    Args:
        options: The cluster, and the resources of a trial.

    Raises:
        ZooError: The cluster cannot be reached, or has no room for a single trial.
    """

    def __init__(self, options: EngineOptions) -> None:
        """Connect to the cluster."""
        self._address, self._jobs, self._room = options.address, options.jobs, 0
        self._under_way: set[str] = set()
        self._events: list[Event] = []
        self._log = options.folder / LOG
        try:
            check_reachable(options.address)
        except OSError as error:
            raise self._away(
                f"the connection failed ({error}); check the address, and that the cluster is running"
            ) from None
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
        """Number of jobs that the cluster currently has room for."""
        return min(self._room, self._jobs or self._room)

    def start(self, job: TrialJob) -> None:
        """Submit a task."""
        self._under_way.add(job.folder)
        self._send(Submit(job=job, variables=_variables()))

    def stop(self, folder: str) -> None:
        """Ask the task that works in a folder to end after its current step."""
        if folder in self._under_way:
            self._send(Stop(folder=folder))

    def poll(self) -> Sequence[Event]:
        """Return the events since the last call.

        Raises:
            ZooError: The cluster is lost, or what remains of it has no room for a trial.
        """
        self._hear(0.0)
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        """Stop all tasks, disconnect from the cluster, and leave no process behind."""
        try:
            for folder in self._under_way:
                self.stop(folder)
            self._process.finish(GRACE + _MARGIN)
        except ZooError:  # the process has already ended
            return
        finally:
            self._kill()

    def _send(self, message: ToRayProcess) -> None:
        try:
            self._process.send(msgspec.json.encode(message))
        except EOFError:
            raise self._away(_ENDED) from None

    def _hear(self, seconds: float) -> None:
        """Receive all messages from the process, waiting up to ``seconds`` for the first one."""
        while True:
            try:
                encoded = self._process.receive(seconds)
            except EOFError:
                raise self._away(_ENDED) from None
            if encoded is None:
                limit = _SILENCE if self._room else _FIRST_WORD
                if time.monotonic() - self._heard > limit:
                    raise self._away(f"it has not responded for {limit:.0f} s")
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
            more = f"; see {self._log} for details" if self._log.stat().st_size else ""
        return ZooError(f"The Ray cluster cannot be used: {why}{more}. Received: address={self._address!r}")

    def _kill(self) -> None:
        self._process.end()
        shutil.rmtree(self._place, ignore_errors=True)


def _start(log: Path) -> tuple[ChildProcess, Path]:
    """Start the process that talks to Ray, and return it with its current folder."""
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
            f"Cannot start the process that talks to Ray: {error.strerror or error}. Free some space, or remove what "
            f"blocks its log file. Received: log={str(log)!r}."
        ) from error


def _variables() -> dict[str, str]:
    from zoo_ray.sweep_task import is_passed_on

    return {name: value for name, value in os.environ.items() if is_passed_on(name)}
