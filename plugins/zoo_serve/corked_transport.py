"""A transport that joins small writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio


class CorkedTransport:
    """A transport that joins what is written in one turn of the event loop: head and body of an answer.

    Once it is closed, the client has some seconds to take what it has not yet taken.

    Args:
        transport: The transport that writes.
        loop: Its event loop.
        seconds: Time for the client.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        """Store the transport."""
        self._transport, self._loop, self._seconds = transport, loop, seconds
        self._parts: list[bytes] = []

        # bound once, since every request needs them
        self.is_closing = transport.is_closing
        self.pause_reading, self.resume_reading = transport.pause_reading, transport.resume_reading

    def __getattr__(self, name: str) -> Any:
        """Return what else the transport has."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write at the end of the turn."""
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def write_now(self, data: bytes) -> None:
        """Write at once, unless something is to be written before."""
        if self._parts or self._transport.is_closing():
            self.write(data)
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Write what is left, and close."""
        self._flush()
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._loop.call_later(self._seconds, self._transport.abort)

    def get_write_buffer_size(self) -> int:
        """Return the number of bytes that are not sent yet."""
        return sum(map(len, self._parts)) + self._transport.get_write_buffer_size()

    def _flush(self) -> None:
        data = b"".join(self._parts)
        self._parts.clear()
        if data and not self._transport.is_closing():
            self._transport.write(data)
