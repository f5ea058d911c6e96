"""The protocol of the engines that run trials, and their messages."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

LOG = "trial.log"
"""Name of the log of a trial's processes, in its run folder."""

GRACE = 30.0
"""Seconds for a process to finish its step and save a checkpoint after it was asked to stop."""


def open_log(path: Path) -> BinaryIO:
    """Open a log file for appending. Links, which may lead anywhere, and pipes are refused.

    Raises:
        OSError: The log cannot be opened.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return open(os.open(path, flags, 0o666), "ab", buffering=0)


class TrialJob(msgspec.Struct, frozen=True, kw_only=True):
    """A run to train, resume or test: everything that a process needs to know.

    Args:
        folder: Absolute path of the run folder, the same on every machine that works on it.
        work: ``train``: train (or resume) and save. ``test``: load and test.
        recipe: Name of the recipe.
        changes: Changes to the recipe: keyword arguments of `zoo.train`.
        checkpoint_every: Steps between checkpoints, as for `zoo.train`.
        track: Names of trackers.
        data_dir: Absolute path of the dataset's folder.
        plugin_files: Absolute paths of files passed with ``--plugin``.
        place: Absolute path of the sweep's current folder, to which file names in settings may be relative.
    """

    folder: str
    work: Literal["train", "test"]
    recipe: str
    changes: dict[str, Any]
    checkpoint_every: int | None = None
    track: list[str] = []
    data_dir: str | None = None
    plugin_files: list[str] = []
    place: str = ""


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A job has ended.

    Args:
        folder: Run folder of the job.
        how: ``done``; ``failed`` with an error; ``stopped`` on request; ``lost``: killed too often.
        error: The reason, on one line, if it failed or was lost.
    """

    folder: str
    how: Literal["done", "failed", "stopped", "lost"]
    error: str | None = None


class Restarted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The process of a job was killed, and a new one continues the job.

    Args:
        folder: Run folder of the job.
        why: What happened to the process: ``"was killed by SIGKILL"``.
    """

    folder: str
    why: str


Event = Ended | Restarted


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """Options for connecting to a cluster.

    Args:
        address: The cluster's address, in a form that the engine defines.
        cpus: CPUs that a trial requests.
        gpus: GPUs that a trial requests.
        retries: How often a trial is resumed after its process was killed or its machine was lost.
        folder: The sweep folder, where the engine may write a log.
        jobs: Maximum number of parallel jobs; None for as many as the cluster has room for.
        on_wait: Callback to call repeatedly while waiting for the cluster; it may raise an exception to give up.
    """

    address: str
    cpus: float
    gpus: float
    retries: int
    folder: Path
    jobs: int | None
    on_wait: Callable[[], None]


class Engine(Protocol):
    """Runs jobs, each in its own process."""

    @property
    def slots(self) -> int:
        """Maximum number of parallel jobs, at least 1."""
        ...

    def start(self, job: TrialJob) -> None:
        """Start a job."""
        ...

    def stop(self, folder: str) -> None:
        """Ask the job in a folder to save a checkpoint after its current step and end; kill it after `GRACE`."""
        ...

    def poll(self) -> Sequence[Event]:
        """Return the events since the last call, without waiting.

        Raises:
            ZooError: The engine itself failed. Jobs can be resumed from their last checkpoints.
        """
        ...

    def close(self) -> None:
        """Stop all jobs and leave no process behind."""
        ...
