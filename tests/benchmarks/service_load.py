"""Load on ``zoo serve``, from one thread that costs little: on two cores, a generator takes time from the service."""

from __future__ import annotations

import gc
import itertools
import json
import random
import re
import select
import socket
import statistics
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


def make_images(shape: tuple[int, ...], count: int) -> NDArray[np.uint8]:
    """Return random images."""
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


def make_request(name: str, images: NDArray[np.uint8]) -> bytes:
    """Return a request for the probabilities of images, as it is sent."""
    tensor = {
        "name": "images", "shape": list(images.shape), "datatype": "UINT8",
        "parameters": {"binary_data_size": images.nbytes},
    }  # fmt: skip
    content = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    head = (
        f"POST /v2/models/{name}/infer HTTP/1.1\r\nHost: 127.0.0.1\r\nInference-Header-Content-Length: "
        f"{len(content)}\r\nContent-Length: {len(content) + images.nbytes}\r\n\r\n"
    )
    return head.encode() + content + images.tobytes()


class _Connection:
    """A connection that never blocks, with one request under way at a time."""

    def __init__(self, port: int, request: bytes, poll: select.epoll) -> None:
        self.due = 0.0
        self.is_right = False
        self._request, self._poll = memoryview(request), poll
        self._unsent, self._answer, self._size = memoryview(b""), b"", 0
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self.number = self._socket.fileno()
        poll.register(self.number, select.EPOLLIN)

    def ask(self, due: float) -> None:
        self.due, self._answer, self._size = due, b"", 0
        self._unsent = self._request[self._socket.send(self._request) :]
        if self._unsent:
            self._poll.modify(self.number, select.EPOLLIN | select.EPOLLOUT)

    def go_on(self, events: int) -> bool:
        """Send and receive what is possible, and return whether the answer is complete.

        Raises:
            ConnectionResetError: The service ended the connection.
        """
        if events & select.EPOLLOUT and self._unsent:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
            if not self._unsent:
                self._poll.modify(self.number, select.EPOLLIN)
        if not events & ~select.EPOLLOUT:
            return False
        if not (part := self._socket.recv(1 << 18)):
            raise ConnectionResetError("the service ended the connection")
        self._answer += part
        if not self._size and (end := self._answer.find(b"\r\n\r\n")) >= 0:
            found = _LENGTH.search(self._answer, 0, end)
            self._size = end + 4 + (int(found[1]) if found else 0)
            self.is_right = self._answer.startswith(b"HTTP/1.1 200 ")
        return 0 < self._size <= len(self._answer)

    def close(self) -> None:
        self._socket.close()


def load(
    port: int,
    name: str,
    shape: tuple[int, ...],
    size: int,
    seconds: float,
    clients: int,
    rate: float,
    *,
    is_even: bool = False,
) -> Any:
    """Send requests and return what came of them.

    Args:
        port: Port of the service.
        name: Name of the model.
        shape: Shape of an image.
        size: Images in a request.
        seconds: How long.
        clients: Number of connections.
        rate: Requests in a second; 0 to send the next one when the one before is answered. The latency counts from the
            time at which a request was due, also if no connection was free then.
        is_even: Whether all intervals between requests are the same; else they are random, as of many users.
    """
    poll = select.epoll()
    request = make_request(name, make_images(shape, size))
    opened = [_Connection(port, request, poll) for _ in range(clients)]
    latencies, right = _run(opened, poll, seconds, rate, is_even)
    taken = time.perf_counter() - latencies.pop()
    for connection in opened:
        connection.close()
    ranks = statistics.quantiles(latencies, n=100, method="inclusive")
    return {
        "images_per_s": right * size / taken, "requests_per_s": right / taken, "requests": len(latencies),
        "median_ms": 1000 * ranks[49], "p99_ms": 1000 * ranks[98], "failed": len(latencies) - right,
    }  # fmt: skip


def _run(
    opened: list[_Connection], poll: select.epoll, seconds: float, rate: float, is_even: bool
) -> tuple[list[float], int]:
    """Return the seconds of each request, followed by the time of the start, and the number of right answers."""
    free, by_number = deque(opened), {each.number: each for each in opened}
    latencies: list[float] = []
    right = 0
    gc.disable()  # which would stop the generator for a while
    started = time.perf_counter()
    due = _due_times(started, started + seconds, rate, is_even)
    following = next(due, None)
    while following is not None or len(free) < len(opened):
        while free and following is not None and following <= time.perf_counter():
            free.popleft().ask(following if rate else time.perf_counter())
            following = next(due, None)
        pause = max(0.0, following - time.perf_counter()) if free and following is not None else None
        select.select([poll], [], [], pause)  # since `poll` itself waits for whole milliseconds
        for number, events in poll.poll(0):
            connection = by_number[number]
            if connection.go_on(events):
                latencies.append(time.perf_counter() - connection.due)
                right += connection.is_right
                free.append(connection)
    return [*latencies, started], right


def _due_times(start: float, end: float, rate: float, is_even: bool) -> Iterator[float]:
    """Yield the times of requests until the end: at even or random intervals, or always now."""
    if not rate:
        while (now := time.perf_counter()) < end:
            yield now
        return
    draw = random.Random(0)
    gaps = (1 / rate if is_even else draw.expovariate(rate) for _ in itertools.count())
    yield from itertools.takewhile(lambda due: due < end, itertools.accumulate(gaps, initial=start))


def waiting_line() -> float:
    """Return the 99 % over the median of a perfect service at half load, where requests come at random times.

    Each request takes the same time, alone.
    """
    draw = random.Random(0)
    times, free, now = [], 0.0, 0.0
    for _ in range(200_000):
        now += draw.expovariate(0.5)
        free = max(free, now) + 1.0
        times.append(free - now)
    ranks = statistics.quantiles(times, n=100)
    return ranks[98] / ranks[49]
