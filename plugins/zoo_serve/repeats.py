"""Requests that begin like an earlier one, byte for byte: only their images are read.

A program that classifies one image after another sends the same head each time. What a head decides was decided for
the first of these requests: that it is valid HTTP, which endpoint it is for, that the guard lets it in, and where its
images are. To parse and check it again would take longer than a small model takes for the image.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import time
from typing import TYPE_CHECKING, Protocol

from starlette.exceptions import HTTPException
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from zoo_serve import tensors
from zoo_serve.heads import HEAD_END, LONGEST_HEAD, KnownHead, known_head
from zoo_serve.messages import CLIENT_LEFT, SAFETY_HEADERS, Answer, error_answer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from uvicorn.protocols.http.flow_control import FlowControl
    from uvicorn.server import ServerState

    from zoo_serve.engine import Engine
    from zoo_serve.messages import Request
    from zoo_serve.request_log import Recorder
    from zoo_serve.tensors import InferRequest

    Headers = tuple[tuple[bytes, bytes], ...]

MOST_HEADS = 1024
"""Maximum number of heads that are remembered."""


class ExchangeConnection(Protocol):
    """What an exchange needs of its connection."""

    loop: asyncio.AbstractEventLoop
    flow: FlowControl
    server_state: ServerState
    recent: tuple[bytes, KnownHead] | None  # the known head that came last

    def end_exchange(self, answer: bytes) -> None:
        """Send an answer, and wait for the next request."""


class Repeats:
    """Remembers the heads of requests for arrays of pixels, and answers requests that repeat one.

    The rest is left to the application: a body that comes in more than two parts or is not valid, a full queue, a
    client that takes no answers.

    Args:
        engine: What computes.
        recorder: Takes note of every request.
    """

    def __init__(self, engine: Engine, recorder: Recorder) -> None:
        """Start without any head."""
        self.engine, self.recorder = engine, recorder
        self._known: dict[bytes, KnownHead] = {}  # by their digests, since heads have keys

    def learn(self, request: Request) -> None:
        """Remember the head of a request that was answered with probabilities, if `known_head` allows it."""
        if (known := known_head(request)) is not None:
            digest = _digest(request.head)
            if digest not in self._known and len(self._known) >= MOST_HEADS:
                self._known.pop(next(iter(self._known)))
            self._known[digest] = known

    def awaits_body(self, connection: ExchangeConnection, data: bytes) -> bool:
        """Return whether data are a known head whose body has not wholly come. The arguments are those of `begin`."""
        head, start = self._look_up(connection, data)
        return head is not None and len(data) - start < head.length

    def begin(self, connection: ExchangeConnection, data: bytes) -> Exchange | None:
        """Begin to answer what a connection received, or return None if that is not one whole request of a known head.

        Args:
            connection: A connection without a request under way.
            data: All that it received since the request before.
        """
        head, start = self._look_up(connection, data)
        if head is None or len(data) - start != head.length or connection.flow.write_paused:
            return None
        engine = self.engine
        if not (engine.bodies.has_room(head.length) and engine.batcher.has_room(1)):
            return None
        try:
            shape, most = engine.served.model.input_shape, engine.limits.max_images
            asked = tensors.decode(data[start:], head.json_length, shape, most)
        except HTTPException:
            return None
        return Exchange(self, connection, head, asked) if engine.batcher.has_room(len(asked.images)) else None

    def _look_up(self, connection: ExchangeConnection, data: bytes) -> tuple[KnownHead | None, int]:
        """Return the head that data begin with, if it is known, and where the body starts."""
        if connection.recent is not None and data.startswith(connection.recent[0]):
            return connection.recent[1], len(connection.recent[0])
        if (end := data.find(HEAD_END, 0, LONGEST_HEAD)) < 0:
            return None, 0
        start = end + len(HEAD_END)
        digest = _digest(data[:start])
        if (head := self._known.pop(digest, None)) is not None:
            self._known[digest] = head  # last, so that heads that come only once are forgotten before it
            connection.recent = data[:start], head
        return head, start


_NOBODY_WAITS = asyncio.Event()


class Exchange:
    """A request with a known head, from its body to the end of the answer; uvicorn asks it what it asks its own cycles.

    Args:
        repeats: Where its head is known.
        connection: Where the request came from.
        head: What its head says.
        asked: What its body says.
    """

    __slots__ = (
        "_asked", "_connection", "_head", "_job", "_repeats", "_started", "_timer", "disconnected", "held",
        "keep_alive", "message_event", "response_complete", "response_started",
    )  # fmt: skip

    def __init__(self, repeats: Repeats, connection: ExchangeConnection, head: KnownHead, asked: InferRequest) -> None:
        """Have the images computed."""
        self._repeats, self._connection, self._head, self._asked = repeats, connection, head, asked
        self._started = time.perf_counter()
        self.disconnected = self.response_started = self.response_complete = False
        self.keep_alive = True
        self.message_event = _NOBODY_WAITS
        self.held = 0
        engine = repeats.engine
        engine.bodies.hold(self, head.length)
        engine.batcher.admit(len(asked.images))
        self._timer = connection.loop.call_later(engine.limits.timeout, self._expire)
        self._job = engine.batcher.submit(asked.images, self._done)

    def client_left(self) -> None:
        """Give up, since the connection has ended."""
        if not self.response_complete:
            self._repeats.engine.batcher.forget(self._job)
            self._end(CLIENT_LEFT, "the client left")

    def _done(self, found: NDArray[np.float32] | Exception) -> None:
        if isinstance(found, Exception):
            self._fail(found)
            return
        try:
            body, json_length = tensors.encode(self._asked, found, self._repeats.engine.served.name)
        except Exception as error:
            self._fail(error)
            return
        defaults = tuple(self._connection.server_state.default_headers)
        self._send(_good_head(defaults, len(body), json_length, self.keep_alive) + body, 200)

    def _expire(self) -> None:
        engine = self._repeats.engine
        engine.batcher.forget(self._job)
        self._fail(engine.too_late())

    def _fail(self, error: Exception) -> None:
        answer, note = error_answer(error)
        defaults = tuple(self._connection.server_state.default_headers)
        self._send(_head(defaults, answer, keep_alive=self.keep_alive) + answer.body, answer.status, note)

    def _send(self, data: bytes, status: int, note: str = "") -> None:
        self.response_started = True
        self._end(status, note)
        self._connection.end_exchange(data)

    def _end(self, status: int, note: str) -> None:
        self._timer.cancel()
        del self._timer, self._job  # they refer to this: a reference cycle keeps its images until Python collects it
        self.response_complete = True
        engine = self._repeats.engine
        engine.batcher.release(len(self._asked.images))
        engine.bodies.release(self)
        seconds = time.perf_counter() - self._started
        self._repeats.recorder.record(self._head, len(self._asked.images), status, seconds, note)


@functools.lru_cache(256)
def _good_head(defaults: Headers, length: int, json_length: int | None, keep_alive: bool) -> bytes:
    """Return the head of an answer with probabilities; the same for a second, since it has the time."""
    return _head(defaults, tensors.answer_of(bytes(length), json_length), keep_alive=keep_alive)


def _head(defaults: Headers, answer: Answer, *, keep_alive: bool) -> bytes:
    """Return the head of an answer, as uvicorn writes it."""
    closing = [] if keep_alive else [(b"connection", b"close")]
    headers = [*defaults, *answer.headers, *SAFETY_HEADERS, *closing]
    return b"".join((STATUS_LINE[answer.status], *(b"%b: %b\r\n" % each for each in headers), b"\r\n"))


def _digest(head: bytes) -> bytes:
    return hashlib.sha256(head).digest()
