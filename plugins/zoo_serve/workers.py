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
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from prometheus_client.multiprocess import mark_process_dead

from zoo import ZooError
from zoo.utils import HeldSignals
from zoo_serve.main import announce
from zoo_serve.request_log import RequestLog
from zoo_serve.server import handling_signals
from zoo_serve.worker_messages import CONNECTION, LONGEST, Ended, Failed, FromWorker, Ready
from zoo_serve.worker_process import how_it_ended, start_worker

if TYPE_CHECKING:
    import types
    from collections.abc import Iterator

    from zoo_serve.worker_messages import Job
    from zoo_serve.worker_process import Worker

_ENDING = 5.0  # seconds that a worker may take to end, besides those for the requests under way
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds between workers that replace others; doubled while they fail
_RETRY = 0.05  # seconds until a connection that no worker could take is handed over again


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
        self._workers: list[Worker] = []
        self._selector = selectors.DefaultSelector()
        self._log = RequestLog(sys.stderr)  # whose reader may be slow, or gone
        self._folder = tempfile.mkdtemp(prefix="zoo-serve-")  # of the metrics
        self._is_announced = self._is_accepting = False
        self._held: socket.socket | None = None  # a connection that no worker could take yet
        self._pause, self._next_start = _FIRST_PAUSE, 0.0
        self._received: signal.Signals | None = None

    def serve(self) -> None:
        """Serve until a signal comes.

        Raises:
            ZooError: A worker cannot be started or cannot load the model.
        """
        try:
            with self._selector, self._log:
                self._listener.setblocking(False)
                for _ in range(self._count):
                    with HeldSignals():  # none must arrive between the start of a process and its assignment
                        self._start()
                while not self._is_announced:
                    self._wait(None)
                with self._signals():
                    while self._received is None:
                        self._start_missing()
                        self._wait(self._seconds_until_next())
                    if not self._job.is_quiet:
                        self._log.add(f"stopping on {self._received.name}: answering the requests under way")
                    self._stop()
        finally:
            for worker in self._workers:
                worker.process.end()
                worker.link.close()
                os.close(worker.ending)
            shutil.rmtree(self._folder, ignore_errors=True)

    def _wait(self, seconds: float | None) -> None:
        """Wait until something happens, but at most that long, and see to it."""
        for key, _ in self._selector.select(seconds):
            key.data()
        if self._held is not None and self._hand_over(self._held):
            self._held = None
            self._accept_or_wait()

    def _start(self) -> None:
        """Start a worker.

        Raises:
            ZooError: There are too many processes or open files.
        """
        worker = start_worker(self._job, self._folder, is_first=not self._workers)
        self._workers.append(worker)
        self._selector.register(worker.link, selectors.EVENT_READ, partial(self._hear, worker))
        self._selector.register(worker.ending, selectors.EVENT_READ, partial(self._remove, worker))

    def _hear(self, worker: Worker) -> None:
        """Receive the messages of a worker."""
        while worker in self._workers and worker.link.fileno() >= 0:
            try:
                message = worker.link.recv(LONGEST)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            if not message:  # it is about to end
                self._selector.unregister(worker.link)
                worker.link.close()
                worker.is_ready = False
                self._accept_or_wait()
                return
            self._note(worker, msgspec.json.decode(message, type=FromWorker))

    def _note(self, worker: Worker, message: FromWorker) -> None:
        """Take note of a message.

        Raises:
            ZooError: The model cannot be loaded, and never could.
        """
        match message:
            case Ended(count=count):
                worker.ended = count
            case Failed(error=error):
                if not self._is_announced:
                    raise ZooError(error)
                self._log.add(f"worker process {worker.process.pid} failed: {error}")
            case Ready():
                worker.has_loaded = worker.is_ready = True
                self._pause = _FIRST_PAUSE
                if not self._is_announced and all(each.is_ready for each in self._workers):
                    self._is_announced = True
                    announce(f"{message.title}, in {self._count} worker processes", message.name, self._listener)
                self._accept_or_wait()

    def _remove(self, worker: Worker) -> None:
        """Remove a worker that has ended.

        Raises:
            ZooError: No worker was ready yet.
        """
        self._hear(worker)  # what it said last
        if worker.link.fileno() >= 0:  # another process that it started still has it
            self._selector.unregister(worker.link)
            worker.link.close()
        self._selector.unregister(worker.ending)
        os.close(worker.ending)
        self._workers.remove(worker)
        pid, how = worker.process.pid, "ended"
        with contextlib.suppress(OSError):  # too many files are open to look at its processes
            how = how_it_ended(worker.process.end())
        if not self._is_announced:
            raise ZooError(f"Worker process {pid} {how} before it had loaded the model.")
        mark_process_dead(pid, self._folder)  # type: ignore[no-untyped-call]  # it has no types
        if not worker.has_loaded:  # another one would hardly fare better
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            self._next_start = time.monotonic() + self._pause
        self._log.add(f"worker process {pid} {how}: starting another one")
        self._accept_or_wait()

    def _start_missing(self) -> None:
        """Start a worker if one is missing and due."""
        if len(self._workers) < self._count and (now := time.monotonic()) >= self._next_start:
            self._next_start = now + self._pause
            try:
                self._start()
            except ZooError as error:
                self._log.add(str(error))

    def _seconds_until_next(self) -> float | None:
        """Return the seconds until something is due that nothing else tells, or None."""
        if self._held is not None:
            return _RETRY
        if len(self._workers) < self._count:
            return max(0.0, self._next_start - time.monotonic())
        return None

    def _accept_or_wait(self) -> None:
        """Accept connections while a worker is ready for them."""
        is_ready = self._is_announced and self._held is None and any(worker.is_ready for worker in self._workers)
        if is_ready and not self._is_accepting:
            self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        elif self._is_accepting and not is_ready:
            self._selector.unregister(self._listener)
        self._is_accepting = is_ready

    def _accept(self) -> bool:
        """Accept a connection, and return whether there was one."""
        for worker in list(self._workers):
            self._hear(worker)  # connections that have ended meanwhile
        if not self._is_accepting:
            return False
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return False
        except OSError as error:
            if not isinstance(error, ConnectionError):  # no descriptor or memory is left
                time.sleep(_RETRY)
            return False
        if not self._hand_over(connection):
            self._held = connection
            self._accept_or_wait()
        return True

    def _hand_over(self, connection: socket.socket) -> bool:
        """Hand a connection to the worker that has the fewest, and return whether one could take it."""
        for worker in sorted((each for each in self._workers if each.is_ready), key=lambda each: each.load):
            with contextlib.suppress(OSError):  # it has just ended, or its link is full
                socket.send_fds(worker.link, [CONNECTION], [connection.fileno()])
                worker.taken += 1
                connection.close()
                return True
        return False

    def _stop(self) -> None:
        """Accept no more connections, and let the workers answer the requests under way."""
        for _ in range(socket.SOMAXCONN):
            if not self._accept():  # no more clients are connected already
                break
        self._listener.close()
        if self._held is not None:
            self._held.close()
        ready = [worker for worker in self._workers if worker.is_ready]  # others have no requests
        for worker in ready:
            with contextlib.suppress(OSError):
                worker.link.shutdown(socket.SHUT_WR)  # rather than close it, which loses what was handed over
        end = time.monotonic() + self._job.limits.timeout + _ENDING
        for worker in ready:
            if not worker.process.wait(max(0.0, end - time.monotonic())):
                self._log.add(f"worker process {worker.process.pid} does not end: killing it")

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Stop on the first signal, and end at once on the second, until the block ends."""

        def note(number: int, _: types.FrameType | None) -> None:
            if self._received is not None:
                for worker in self._workers:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(worker.process.pid, signal.SIGKILL)
                shutil.rmtree(self._folder, ignore_errors=True)
                os._exit(128 + number)
            self._received = signal.Signals(number)

        reading, writing = socket.socketpair()
        with reading, writing:
            for end in (reading, writing):
                end.setblocking(False)
            self._selector.register(reading, selectors.EVENT_READ, partial(reading.recv, 64))
            # a handler alone wakes no select
            before = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
            try:
                with handling_signals(note):
                    yield
            finally:
                signal.set_wakeup_fd(before)
