"""HTTP connections: uvicorn's, with limits on their number, on the time of a request's head and of taking an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from zoo_serve.corked_transport import CorkedTransport
from zoo_serve.heads import HEAD_END, KnownHead
from zoo_serve.limits import MAX_HEAD
from zoo_serve.messages import HEAD
from zoo_serve.repeats import Exchange

if TYPE_CHECKING:
    import asyncio

    from zoo_serve.limits import Limits
    from zoo_serve.metrics import ServiceMetrics
    from zoo_serve.repeats import Repeats
    from zoo_serve.request_log import RequestLog

_ANSWER = "HTTP/1.1 {}\r\nContent-Length: 0\r\nConnection: close\r\n{}\r\n"
_FULL = _ANSWER.format("503 Service Unavailable", "Retry-After: 1\r\n").encode()
_SLOW = _ANSWER.format("408 Request Timeout", "").encode()
_INVALID = _ANSWER.format("400 Bad Request", "").encode()
_LARGE = _ANSWER.format("431 Request Header Fields Too Large", "").encode()
_HOLD = 0.005  # seconds that a known head waits for its body: many clients send them one after the other
_PART = 2048  # bytes that are parsed at once of a body in chunks, after which other requests may follow


class ConnectionEnds(Protocol):
    """Takes note of connections that end."""

    def connection_ended(self) -> None:
        """Note that a connection has ended."""


class Connection(HttpToolsProtocol):
    """A connection; see `connection_class`.

    One request is parsed at a time: what a client sends before it has the answer waits unparsed, so that many small
    requests at once take no more memory than their bytes.
    """

    limits: ClassVar[Limits]
    metrics: ClassVar[ServiceMetrics]
    log: ClassVar[RequestLog]
    ends: ClassVar[ConnectionEnds]
    repeats: ClassVar[Repeats]

    recent: tuple[bytes, KnownHead] | None = None
    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    _held_timer: asyncio.TimerHandle | None = None
    _held = b""  # a known head, and what has come of its body
    _head = b""  # of the request, if it came in one part
    _data = b""  # received, and parsed up to `_at`
    _at = 0
    _unfinished = 0  # bytes parsed since a head ended or a part of a body came: of a head, or between chunks
    _is_in_message = False  # whether a request has begun of which the parser has not seen the end
    _is_in_body = False
    _body_left = 0  # bytes of a body whose length is declared
    _is_unparsed = False  # whether the body follows a request for another protocol, where the parser stops

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Take a connection, or refuse it if too many are open."""
        if len(self.connections) >= self.limits.connections:
            self._report("too many connections", 503)
            self.transport = transport
            transport.write(_FULL)
            transport.close()
            return
        corked = CorkedTransport(transport, self.loop, self.limits.read_timeout)
        super().connection_made(cast("asyncio.Transport", corked))
        self.timeout_keep_alive_task = self.loop.call_later(  # which uvicorn starts only after the first request
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def data_received(self, data: bytes) -> None:
        """Take bytes of requests: look whether they repeat a head, and parse them if not."""
        held = self._take_held()
        data = held + data
        if not self._data and self._is_idle():
            self._unset_keepalive_if_required()
            if (exchange := self.repeats.begin(self, data)) is not None:
                self.cycle = exchange  # type: ignore[assignment]  # it is what uvicorn needs of one
                return
            if not held and self.repeats.awaits_body(self, data):
                self._held, self._held_timer = data, self.loop.call_later(_HOLD, self._release)
                return
        self._read(data)

    def _take_held(self) -> bytes:
        held, self._held = self._held, b""
        if self._held_timer is not None:
            self._held_timer.cancel()
            self._held_timer = None
        return held

    def _release(self) -> None:
        """Parse what was held, so that it is treated as any other request whose body is late."""
        self._read(self._take_held())

    def _read(self, data: bytes) -> None:
        if self._data:
            data = self._data[self._at :] + data
        self._data, self._at = data, 0
        if data:
            self._unset_keepalive_if_required()
        while self._at < len(self._data) and not self.transport.is_closing():
            if self._is_under_way() and not self._is_in_body:
                # until that request is answered; its cycle resumes what is paused by `flow`, as it takes its body
                self.flow.resume_reading()
                self.transport.pause_reading()
                break
            self._parse(self._next_part())
        else:
            self._data = b""
        self._watch_head()

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._is_in_message = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; fields after a body are not headers of the request."""
        if not self._is_in_body:
            super().on_header(name, value.rstrip(b" \t"))  # RFC 9110, 5.5

    def on_headers_complete(self) -> None:
        """Start the request.

        Raises:
            ValueError: The request is not valid HTTP/1.1 or 1.0; the parser turns this into its own error.
        """
        found = dict(self.headers)
        coded = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        hosts = sum(name == b"host" for name, _ in self.headers)
        version = self.parser.get_http_version()
        if version not in ("1.1", "1.0") or hosts > 1 or (version == "1.1" and not hosts):
            raise ValueError("another version of HTTP, or not one Host")
        if coded not in ([], [b"chunked"]) or len(self.url) > MAX_HEAD:
            raise ValueError("a body in another code, or a long URL")
        self._is_in_body, self._unfinished = True, 0
        self._body_left = int(found.get(b"content-length", 0))
        if self.parser.should_upgrade():
            if coded:
                raise ValueError("a body in chunks for another protocol")
            self._is_unparsed = self._body_left > 0
        self.scope["state"][HEAD] = self._head
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._unfinished = 0
        if self._body_left:
            self._body_left -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request."""
        if not self._is_unparsed:
            self._is_in_message, self._is_in_body, self._unfinished = False, False, 0
            # a field after the body may have asked to close, and then the parser takes nothing more
            self.cycle.keep_alive = self.cycle.keep_alive and self.parser.should_keep_alive()
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Parse what the client has sent meanwhile, or wait for the next request."""
        if self._is_in_body and not self.pipeline:  # it was answered without its body, and no timer waits for the rest
            self.transport.close()
        super().on_response_complete()
        if not self.transport.is_closing():
            self.transport.resume_reading()
        self._read(b"")

    def shutdown(self) -> None:
        """End once the request under way is answered."""
        if self._held:
            self._release()
        super().shutdown()

    def end_exchange(self, answer: bytes) -> None:
        """Send the answer of an exchange, and go on as after any other."""
        cast("CorkedTransport", self.transport).write_now(answer)
        if not self.cycle.keep_alive:
            self.transport.close()
        if self._data:
            self.on_response_complete()
        else:  # the client has sent nothing meanwhile
            super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection that ended."""
        for timer in (self._head_timer, self._write_timer, self._held_timer):
            if timer is not None:
                timer.cancel()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)
        if isinstance(self.cycle, Exchange):
            self.cycle.client_left()
        self.ends.connection_ended()

    def pause_writing(self) -> None:
        """Wait until the client has taken what was written, but not forever."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.limits.read_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        """Write again."""
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _is_idle(self) -> bool:
        """Return whether the next byte is the first one of a request."""
        return not (self._unfinished or self._is_in_message or self._is_under_way() or self.transport.is_closing())

    def _is_under_way(self) -> bool:
        """Return whether a request is not answered yet."""
        return self.cycle is not None and not self.cycle.response_complete

    def _next_part(self) -> bytes | memoryview:
        """Return what to parse next: the rest of a head, or a part of a body, but hardly ever more than one request."""
        rest = len(self._data) - self._at
        if self._is_in_body:
            size = min(self._body_left or _PART, rest)
        else:
            end = self._data.find(HEAD_END, self._at)
            size = rest if end < 0 else end + len(HEAD_END) - self._at
            self._head = b"" if end < 0 or self._unfinished else self._data[self._at : self._at + size]
        return self._data if size == len(self._data) else memoryview(self._data)[self._at : self._at + size]

    def _parse(self, part: bytes | memoryview) -> None:
        self._at += len(part)
        self._unfinished += len(part)
        try:
            if self._is_unparsed:
                self.on_body(bytes(part))
                if not self._body_left:
                    self._is_unparsed = False
                    self.on_message_complete()
            else:
                self.parser.feed_data(part)
        except httptools.HttpParserUpgrade as upgrade:  # no other protocol is spoken: continue with HTTP
            self._at += upgrade.args[0] - len(part)
        except httptools.HttpParserError:
            self._refuse("invalid HTTP", 400, _INVALID)
        if self._unfinished > MAX_HEAD:
            self._refuse("large head", 431, _LARGE)

    def _watch_head(self) -> None:
        """Run a timer while the rest of a request's head is awaited, which uvicorn does not."""
        is_in_head = (self._is_in_message or self._unfinished > 0) and not self._is_in_body
        is_begun = is_in_head and not self._is_under_way()
        if is_begun and self._head_timer is None and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self._head_timer = self.loop.call_later(self.limits.read_timeout, self._refuse, "slow request", 408, _SLOW)
        elif not is_begun and self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, reason: str, status: int, answer: bytes) -> None:
        """End the connection, with an answer unless one is being sent."""
        if self.transport.is_closing():
            return
        self._report(reason, status)
        if not (self._is_under_way() and self.cycle.response_started):
            self.transport.write(answer)
        self.transport.close()

    def _report(self, reason: str, status: int) -> None:
        self.metrics.count_refused(reason)
        self.log.add(f"connection ended: {reason} {status}")


def connection_class(
    limits: Limits, metrics: ServiceMetrics, log: RequestLog, ends: ConnectionEnds, repeats: Repeats
) -> type[Connection]:
    """Return the class of a service's connections.

    Args:
        limits: Limits of the service.
        metrics: Count connections that bring no valid request.
        log: Gets a line for each of them.
        ends: Takes note of each connection that has ended.
        repeats: Answers requests that repeat the head of an earlier one.
    """
    known = {"limits": limits, "metrics": metrics, "log": log, "ends": ends, "repeats": repeats}
    return type("Connection", (Connection,), known)
