"""Starts worker processes of a service."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from zoo import ZooError
from zoo.utils import ChildProcess
from zoo_serve.metrics import SHARED_FOLDER

if TYPE_CHECKING:
    from zoo_serve.worker_messages import Job

_THREADS = "TF_NUM_INTRAOP_THREADS"


@dataclass(eq=False, kw_only=True)
class Worker:
    """A worker process.

    Args:
        process: The process.
        ending: Descriptor that can be read once the process has ended.
        link: Takes connections, and brings messages.
        has_loaded: Whether it has loaded the model.
        is_ready: Whether it takes connections.
        taken: Number of connections that it was handed.
        ended: Number of those that have ended.
    """

    process: ChildProcess
    ending: int
    link: socket.socket
    has_loaded: bool = False
    is_ready: bool = False
    taken: int = 0
    ended: int = 0

    @property
    def load(self) -> tuple[int, int]:
        """Number of its connections, then of all that it ever had: the smallest load is the next one's turn."""
        return self.taken - self.ended, self.taken


def start_worker(job: Job, folder: str, *, is_first: bool) -> Worker:
    """Start a worker.

    Args:
        job: What it has to do.
        folder: Folder through which workers share their metrics.
        is_first: Whether it says what all of them do.

    Raises:
        ZooError: There are too many processes or open files.
    """
    with contextlib.ExitStack() as theirs, contextlib.ExitStack() as on_failure:
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)  # some systems remove old temporary folders
            ours, link = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            on_failure.enter_context(ours)
            theirs.enter_context(link)
            file = theirs.enter_context(open(os.memfd_create("job"), "wb", buffering=0))
            file.write(msgspec.json.encode(msgspec.structs.replace(job, is_first=is_first)))
            # without standard error, its descriptor may be the listener's
            errors = theirs.enter_context(
                open(os.devnull if sys.stderr is None else 2, "wb", closefd=sys.stderr is None)
            )
            process = ChildProcess(
                "zoo_serve.worker", str(link.fileno()), str(file.fileno()), errors=errors,
                descriptors=[link.fileno(), file.fileno()],
                variables={SHARED_FOLDER: folder, _THREADS: os.environ.get(_THREADS, str(job.threads))},
            )  # fmt: skip
            on_failure.callback(process.end)
            ending = os.pidfd_open(process.pid)
        except OSError as error:
            raise ZooError(
                f"Cannot start a process: {error.strerror or error}. Raise the limits on processes and open files, "
                "or pass fewer --workers."
            ) from error
        on_failure.pop_all()
    ours.setblocking(False)
    return Worker(process=process, ending=ending, link=ours)


def how_it_ended(status: int) -> str:
    """Return how a process ended."""
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"
