"""Measure a model in a process of its own."""

from __future__ import annotations

import contextlib
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from zoo import ZooError
from zoo.utils import ChildProcess, HeldSignals
from zoo_bench.messages import Done, Evaluated, Failed, Loaded, Message, Peak, Timed

if TYPE_CHECKING:
    from zoo_bench.messages import Job

_MODULE = "zoo_bench.worker"
_ENDING = 10.0  # seconds that a process may take to end


@dataclass(kw_only=True)
class Measured:
    """What one process measured: as much as it did before it ended or failed."""

    loaded: Loaded | None = None
    timed: list[Timed] = field(default_factory=list)
    peak: Peak | None = None
    evaluated: Evaluated | None = None
    error: str | None = None

    def add(self, message: Message) -> bool:
        """Add a message, and return whether more will follow."""
        match message:
            case Loaded():
                self.loaded = message
            case Timed():
                self.timed.append(message)
            case Peak():
                self.peak = message
            case Evaluated():
                self.evaluated = message
            case Failed():
                self.error = message.error
        return not isinstance(message, Done | Failed)


def measure_once(job: Job, module: str = _MODULE) -> Measured:
    """Start a process, let it carry out a job and end it, also when this is interrupted.

    Args:
        job: The job; the time of the start is added.
        module: Module of the process.

    Raises:
        ZooError: No process can be started.
    """
    started, measured = time.monotonic(), Measured()
    process = None
    try:
        with HeldSignals():  # a signal must not arrive between the start of the process and its assignment
            process = ChildProcess(module, job.source)
        process.send(msgspec.json.encode(msgspec.structs.replace(job, started=started)))
        while measured.add(msgspec.json.decode(process.receive(None) or b"", type=Message)):
            pass
    except OSError as error:
        raise ZooError(
            f"Cannot start a process: {error.strerror or error}. Raise the limits on processes and open files, or end "
            f"other processes. Received: source={job.source!r}"
        ) from error
    except EOFError:  # it ended before it was done
        if process is not None:
            process.wait(_ENDING)
            measured.error = _death(process)
    finally:
        if process is not None:
            process.end()
    return measured


def _death(process: ChildProcess) -> str:
    """Return why a process ended."""
    status = process.end()
    how = f"ended with status {status}"
    if status < 0:
        with contextlib.suppress(ValueError):
            how = f"was killed by {signal.Signals(-status).name}"
    if status == -signal.SIGKILL:
        how += ", as the system does when memory runs out"
    said = f": {process.last_words}" if process.last_words else ""
    return f"Its process {how}{said}"
