"""The log: one line a request on standard error, written by a thread so that a slow reader stops no request."""

from __future__ import annotations

import contextlib
import os
import queue
import select
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from zoo.utils import printable
from zoo_serve.messages import OTHER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from zoo_serve.heads import KnownHead
    from zoo_serve.messages import Request
    from zoo_serve.metrics import ServiceMetrics

_LONGEST_PATH = 200
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_PAUSE = 0.05  # seconds in which lines are collected: each write takes time from the thread that answers
_MOST_WAITING = 10_000  # lines; more are dropped and counted
_AT_ONCE = select.PIPE_BUF  # bytes that a write puts into a pipe without those of other processes in between


class RequestLog:
    """Writes lines to a stream.

    Args:
        stream: The stream; None to write nothing.
    """

    def __init__(self, stream: TextIO | None) -> None:
        """Create the log, without its thread yet."""
        self._stream, self._descriptor = stream, _descriptor_of(stream)
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()  # a signal handler may put lines too
        self._dropped = 0
        self._thread = threading.Thread(target=self._work, name="zoo-serve-log", daemon=True)

    @property
    def is_open(self) -> bool:
        """Whether lines are written."""
        return self._stream is not None

    def __enter__(self) -> Self:
        """Start the thread that writes."""
        if self._stream is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Write what is left, for at most two seconds."""
        if self._stream is not None:
            self._lines.put(None)
            self._thread.join(2.0)

    def add_request(self, method: str, path: str, status: int, seconds: float, images: int, note: str = "") -> None:
        """Write a line about a request.

        Args:
            method: Its method.
            path: Its path as it was sent, of any content.
            status: Status code of the answer.
            seconds: Seconds from its head to the end of the answer.
            images: Number of images in it.
            note: Why it was refused, if it was.
        """
        shown = f"{method:.10} {path[:_LONGEST_PATH]}{'...' * (len(path) > _LONGEST_PATH)}"
        counted = f" {images} image{'s' * (images != 1)}" if images else ""
        self.add(f"{shown} {status} {1000 * seconds:.1f} ms{counted}{f' ({note})' if note else ''}")

    def add(self, text: str) -> None:
        """Write a line with the current time; control characters in it are removed."""
        if self._stream is None:
            return
        line = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}Z {printable(text)}"
        if self._lines.qsize() < _MOST_WAITING:
            self._lines.put(line)
        else:
            self._dropped += 1

    def _work(self) -> None:
        while (line := self._lines.get()) is not None:
            lines = [line]
            time.sleep(_PAUSE)
            with contextlib.suppress(queue.Empty):
                while len(lines) < _MOST_WAITING and (line := self._lines.get_nowait()) is not None:
                    lines.append(line)
            if self._dropped:
                lines.append(f"{self._dropped} lines were dropped, because they were written too slowly")
                self._dropped = 0
            with contextlib.suppress(OSError, ValueError):  # nobody reads any more
                for part in _parts(lines):
                    self._write(part)
            if line is None:
                return

    def _write(self, text: str) -> None:
        if self._descriptor is None:
            print(text, end="", file=self._stream, flush=True)
            return
        content = memoryview(text.encode(errors="backslashreplace"))
        while content:
            content = content[os.write(self._descriptor, content) :]


class Recorder:
    """Takes note of every request, in the metrics and in the log.

    Args:
        metrics: The metrics.
        log: The log.
    """

    def __init__(self, metrics: ServiceMetrics, log: RequestLog) -> None:
        """Store both."""
        self._metrics, self._log = metrics, log

    def record(self, request: Request | KnownHead, images: int, status: int, seconds: float, note: str = "") -> None:
        """Record a request.

        Args:
            request: The request, or its head.
            images: As for `RequestLog.add_request`, as are ``status``, ``seconds`` and ``note``.
            status: Status code.
            seconds: Seconds.
            note: Why it was refused.
        """
        method = request.method if request.method in _METHODS else OTHER
        self._metrics.count_request(request.route, method, status, seconds)
        if self._log.is_open:
            path = request.raw_path.decode("ascii", "backslashreplace")
            self._log.add_request(request.method, path, status, seconds, images, note)


def _descriptor_of(stream: TextIO | None) -> int | None:
    """Return the descriptor of a stream, if it has one.

    A thread that waits in the stream itself would hold its lock, for which Python waits when the process ends.
    """
    try:
        return None if stream is None else stream.fileno()
    except (OSError, ValueError):
        return None


def _parts(lines: list[str]) -> Iterator[str]:
    """Yield lines, as many at a time as one write takes."""
    part, size = "", 0
    for line in lines:
        length = len(line.encode(errors="backslashreplace")) + 1
        if part and size + length > _AT_ONCE:
            yield part
            part, size = "", 0
        part, size = f"{part}{line}\n", size + length
    yield part
