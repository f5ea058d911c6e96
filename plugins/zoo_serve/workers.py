"""A service of several processes: this one accepts connections, and hands each to the worker that has the fewest."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import socket
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import click
import msgspec
from prometheus_client.multiprocess import mark_process_dead

from zoo import ZooError
from zoo.utils import ChildProcess, HeldSignals
from zoo_serve.main import announce
from zoo_serve.metrics import SHARED_FOLDER
from zoo_serve.request_log import RequestLog
from zoo_serve.server import SIGNALS
from zoo_serve.worker_messages import CONNECTION, LONGEST, Ended, Failed, FromWorker, Ready

if TYPE_CHECKING:
    import types
    from collections.abc import Iterator

    from zoo_serve.limits import Limits
    from zoo_serve.worker_messages import Job

_ENDING = 5.0  # seconds that a worker may take to end, besides those for the requests under way
_BETWEEN = 1.0  # seconds between the starts of workers that replace others
_PAUSE = 0.1  # seconds until connections are accepted again when they cannot be


@dataclass(eq=False, kw_only=True)
class _Worker:
    """A worker process.

    Args:
        process: The process.
        link: Takes connections, and brings messages.
        is_ready: Whether it has loaded the model.
        taken: Number of connections that it was handed.
        ended: Number of those that have ended.
    """

    process: ChildProcess
    link: socket.socket
    is_ready: bool = False
    taken: int = 0
    ended: int = 0

    @property
    def connections(self) -> int:
        """Number of connections that it has."""
        return self.taken - self.ended


def share(limits: Limits, workers: int) -> Limits:
    """Return the limits of one of several workers, which are together those of the service."""
    return replace(
        limits,
        queue=max(limits.max_images, -(-limits.queue // workers)),
        connections=-(-limits.connections // workers),
    )


class Workers:
    """The worker processes of a service.

    A worker that ends is replaced, once the service listens. The connections that it had are lost; new ones go to the
    others, or wait until a worker is ready.

    Args:
        job: What each of them has to do.
        count: Number of workers.
        listener: Socket that listens.
    """

    def __init__(self, job: Job, count: int, listener: socket.socket) -> None:
        """Start no process yet."""
        self._job, self._count, self._listener = job, count, listener
        self._workers: list[_Worker] = []
        self._selector = selectors.DefaultSelector()
        self._is_announced = self._is_accepting = False
        self._next_start = 0.0  # time before which no worker is replaced
        self._received: signal.Signals | None = None

    def serve(self) -> None:
        """Serve until a signal comes.

        Raises:
            ZooError: A worker cannot be started or cannot load the model, and no other one is ready.
        """
        with (
            tempfile.TemporaryDirectory(prefix="zoo-serve-", ignore_cleanup_errors=True) as metrics,
            self._selector,
            RequestLog(None if self._job.is_quiet else sys.stderr) as log,
        ):
            try:
                self._listener.setblocking(False)
                for _ in range(self._count):
                    with HeldSignals():  # none must arrive between the start of a process and its assignment
                        self._start(metrics)
                while not self._is_announced:
                    self._wait()
                with self._signals(metrics):
                    while self._received is None:
                        self._wait(self._replace_missing(metrics))
                    log.add(f"stopping on {self._received.name}: answering the requests under way")
                    self._stop()
            finally:
                for worker in self._workers:
                    worker.link.close()
                    worker.process.end()

    def _wait(self, seconds: float | None = None) -> None:
        """Wait until something happens, but at most that long, and see to it."""
        for key, _ in self._selector.select(seconds):
            key.data()

    def _start(self, metrics: str) -> None:
        """Start a worker."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        variables = {SHARED_FOLDER: metrics, "TF_NUM_INTRAOP_THREADS": str(self._job.threads)}
        with theirs, open(2, "wb", closefd=False) as errors:
            try:
                process = ChildProcess(
                    "zoo_serve.worker", str(theirs.fileno()), errors=errors, descriptors=[theirs.fileno()],
                    variables=variables,
                )  # fmt: skip
            except OSError as error:
                ours.close()
                raise ZooError(
                    f"Cannot start a process: {error.strerror or error}. Raise the limits on processes and open files, "
                    f"or pass fewer --workers. Received: --workers {self._count}"
                ) from error
        ours.setblocking(False)
        worker = _Worker(process=process, link=ours)
        self._workers.append(worker)
        self._selector.register(ours, selectors.EVENT_READ, partial(self._hear, worker, metrics))
        with contextlib.suppress(EOFError):  # it has ended, which the link tells
            process.send(msgspec.json.encode(msgspec.structs.replace(self._job, is_first=worker is self._workers[0])))

    def _hear(self, worker: _Worker, metrics: str) -> None:
        """Receive a message of a worker."""
        try:
            message = worker.link.recv(LONGEST)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            self._remove(worker, metrics)
            return
        match msgspec.json.decode(message, type=FromWorker):
            case Ended(count=count):
                worker.ended = count
            case Ready() as ready:
                worker.is_ready = True
                if not self._is_announced and all(each.is_ready for each in self._workers):
                    self._is_announced = True
                    announce(ready.title, ready.name, self._listener)
                self._accept_or_wait()
            case Failed(error=error):
                self._check_others(worker, error)
                click.echo(f"Worker process {worker.process.pid} failed: {error}", err=True)

    def _remove(self, worker: _Worker, metrics: str) -> None:
        """Remove a worker that has ended."""
        self._selector.unregister(worker.link)
        worker.link.close()
        self._workers.remove(worker)
        worker.process.wait(_ENDING)
        pid, how = worker.process.pid, _ending(worker.process.end())
        mark_process_dead(pid, metrics)  # type: ignore[no-untyped-call]  # it has no types
        self._check_others(worker, f"Worker process {pid} {how} before it had loaded the model.")
        click.echo(f"Worker process {pid} {how}: starting another one.", err=True)
        self._accept_or_wait()

    def _check_others(self, worker: _Worker, error: str) -> None:
        """Raise `ZooError` if a worker has failed to load the model, and no other one is there to answer requests."""
        if not worker.is_ready and not (self._is_announced and any(each.is_ready for each in self._workers)):
            raise ZooError(error)

    def _replace_missing(self, metrics: str) -> float | None:
        """Start a worker if one is missing, at most one a second; return the seconds until the next one is due."""
        now = time.monotonic()
        if len(self._workers) < self._count and now >= self._next_start:
            self._next_start = now + _BETWEEN
            try:
                self._start(metrics)
            except ZooError as error:
                click.echo(str(error), err=True)
        return max(0.0, self._next_start - now) if len(self._workers) < self._count else None

    def _accept_or_wait(self) -> None:
        """Accept connections while a worker is ready for them."""
        is_ready = self._is_announced and any(worker.is_ready for worker in self._workers)
        if is_ready and not self._is_accepting:
            self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        elif self._is_accepting and not is_ready:
            self._selector.unregister(self._listener)
        self._is_accepting = is_ready

    def _accept(self) -> None:
        """Accept a connection, and hand it to the worker that has the fewest."""
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError:  # no descriptor or memory is left
            time.sleep(_PAUSE)
            return
        with connection:
            ready = (worker for worker in self._workers if worker.is_ready)
            for worker in sorted(ready, key=lambda worker: worker.connections):
                with contextlib.suppress(OSError):  # it has just ended, or has not taken those before
                    socket.send_fds(worker.link, [CONNECTION], [connection.fileno()])
                    worker.taken += 1
                    return

    def _stop(self) -> None:
        """Accept no more connections, and let the workers answer the requests under way."""
        self._listener.close()
        for worker in self._workers:
            worker.link.close()
        end = time.monotonic() + self._job.limits.timeout + _ENDING
        for worker in self._workers:
            worker.process.wait(end - time.monotonic())

    @contextlib.contextmanager
    def _signals(self, metrics: str) -> Iterator[None]:
        """Stop on the first signal, and end at once on the second, until the block ends."""

        def note(number: int, _: types.FrameType | None) -> None:
            if self._received is not None:
                for worker in self._workers:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(worker.process.pid, signal.SIGKILL)
                shutil.rmtree(metrics, ignore_errors=True)
                os._exit(128 + number)
            self._received = signal.Signals(number)

        reading, writing = socket.socketpair()
        with reading, writing:
            for end in (reading, writing):
                end.setblocking(False)
            self._selector.register(reading, selectors.EVENT_READ, partial(reading.recv, 64))
            before = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)  # since `select` goes on
            earlier = {
                number: signal.signal(number, note)
                for number in SIGNALS
                if signal.getsignal(number) not in (signal.SIG_IGN, None)
            }
            try:
                yield
            finally:
                for number, handler in earlier.items():
                    signal.signal(number, handler)
                signal.set_wakeup_fd(before)


def _ending(status: int) -> str:
    """Return how a process ended."""
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"
