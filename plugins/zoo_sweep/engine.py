"""What carries trials out: a small protocol, and the messages of those that implement it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

LOG = "trial.log"
"""What the processes of a trial print, in its run folder."""

GRACE = 30.0
"""Seconds that a process has to end its step and to commit a checkpoint after it was asked to stop."""


def open_log(path: Path) -> BinaryIO:
    """Open a log to write at its end; a link, which may lead anywhere, or a pipe in its place is refused.

    Raises:
        OSError: It cannot be opened.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return open(os.open(path, flags, 0o666), "ab", buffering=0)


class TrialJob(msgspec.Struct, frozen=True, kw_only=True):
    """A run to be trained, or gone on with, or tested; all that a process needs to know.

    Args:
        folder: Its run folder, absolute. Every machine that works on it sees it under this path.
        work: Train and save, or load and test.
        recipe: Name of the recipe.
        changes: What is changed of it, as `zoo.train` takes it.
        checkpoint_every: As `zoo.train` takes it.
        track: Names of trackers.
        data_dir: Folder of the data set, absolute.
        plugin_files: Files that were given with ``--plugin``, absolute.
        place: Current folder of the sweep, absolute, which names of files in settings may be relative to.
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
    """A job ended.

    Args:
        folder: Which.
        how: ``done``; ``failed`` by itself; ``stopped`` since it was asked to; ``lost``: killed too often.
        error: Why, on one line, if it failed or was lost.
    """

    folder: str
    how: Literal["done", "failed", "stopped", "lost"]
    error: str | None = None


class Restarted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The process of a job was killed, and another goes on with it.

    Args:
        folder: Which.
        why: What became of the process.
    """

    folder: str
    why: str


Event = Ended | Restarted


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """What an engine of a cluster is made of.

    Args:
        address: The cluster's address, as the engine reads it.
        cpus: Processors that a trial asks for.
        gpus: Graphics processors that a trial asks for.
        retries: How often a trial is resumed after its process was killed or its machine lost.
        folder: Folder of the sweep, where a log may be kept.
        jobs: The most jobs at a time, None for as many as the cluster has room for.
        on_wait: Is called while the cluster is waited for; may raise to give up.
    """

    address: str
    cpus: float
    gpus: float
    retries: int
    folder: Path
    jobs: int | None
    on_wait: Callable[[], None]


class Engine(Protocol):
    """Carries out jobs, each in a process of its own."""

    @property
    def slots(self) -> int:
        """How many jobs it takes at a time, 1 or more."""
        ...

    def start(self, job: TrialJob) -> None:
        """Begin a job."""
        ...

    def stop(self, folder: str) -> None:
        """Ask the job in a folder to end after its step, with a checkpoint; after `GRACE` it is killed."""
        ...

    def poll(self) -> Sequence[Event]:
        """Return what has happened since the last call, without waiting.

        Raises:
            ZooError: The engine itself is gone; jobs are where their last checkpoints are.
        """
        ...

    def close(self) -> None:
        """Stop all jobs, and leave no process behind."""
        ...
