"""HTTP connections: uvicorn's, with limits on their number, on the time of a request's head and of taking an answer."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

    from zoo_serve.limits import Limits
    from zoo_serve.metrics import ServiceMetrics
    from zoo_serve.request_log import RequestLog

_ANSWER = "HTTP/1.1 {}\r\nContent-Length: 0\r\nConnection: close\r\n{}\r\n"
_FULL = _ANSWER.format("503 Service Unavailable", "Retry-After: 1\r\n").encode()
_SLOW = _ANSWER.format("408 Request Timeout", "").encode()
_LARGE = _ANSWER.format("431 Request Header Fields Too Large", "").encode()


class _CorkedTransport:
    """A transport that joins what is written in one turn of the event loop: head and body of an answer.

    Once it is closed, the client has some seconds to take what it has not yet taken.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._transport, self._loop, self._seconds = transport, loop, seconds
        self._parts: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._loop.call_later(self._seconds, self._transport.abort)

    def get_write_buffer_size(self) -> int:
        return sum(map(len, self._parts)) + self._transport.get_write_buffer_size()

    def _flush(self) -> None:
        data = b"".join(self._parts)
        self._parts.clear()
        if data and not self._transport.is_closing():
            self._transport.write(data)


class Connection(H11Protocol):
    """A connection; see `connection_class`."""

    limits: ClassVar[Limits]
    metrics: ClassVar[ServiceMetrics]
    log: ClassVar[RequestLog]

    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Take a connection, or refuse it if too many are open."""
        if len(self.connections) >= self.limits.connections:
            self._report("too many connections", 503)
            self.transport = transport
            transport.write(_FULL)
            transport.close()
            return
        corked = _CorkedTransport(transport, self.loop, self.limits.read_timeout)
        super().connection_made(cast("asyncio.Transport", corked))
        self.timeout_keep_alive_task = self.loop.call_later(  # which uvicorn starts only after the first request
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def data_received(self, data: bytes) -> None:
        """Take bytes of a request."""
        super().data_received(data)
        self._watch_head()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection that ended."""
        for timer in (self._head_timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

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

    def send_400_response(self, msg: str) -> None:
        """Answer something that is not HTTP, or a head that is too large."""
        error = sys.exc_info()[1]  # uvicorn calls this while it handles the error
        if isinstance(error, h11.RemoteProtocolError) and error.error_status_hint == 431:
            self._report("large head", 431)
            self.transport.write(_LARGE)
            self.transport.close()
            return
        self._report("invalid HTTP", 400)
        super().send_400_response(msg)

    def _watch_head(self) -> None:
        """Run a timer while the rest of a request's head is awaited, which uvicorn does not."""
        is_begun = bool(self.conn.their_state is h11.IDLE and self.conn.trailing_data[0])
        if is_begun and self._head_timer is None and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self._head_timer = self.loop.call_later(self.limits.read_timeout, self._end_slow)
        elif not is_begun and self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _end_slow(self) -> None:
        if not self.transport.is_closing():
            self._report("slow request", 408)
            self.transport.write(_SLOW)
            self.transport.close()

    def _report(self, reason: str, status: int) -> None:
        self.metrics.count_refused(reason)
        self.log.add(f"connection ended: {reason} {status}")


def connection_class(limits: Limits, metrics: ServiceMetrics, log: RequestLog) -> type[Connection]:
    """Return the class of a service's connections.

    Args:
        limits: Limits of the service.
        metrics: Count connections that bring no valid request.
        log: Gets a line for each of them.
    """
    return type("Connection", (Connection,), {"limits": limits, "metrics": metrics, "log": log})
