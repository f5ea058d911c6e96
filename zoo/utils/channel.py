"""Messages between two processes, over pipes."""

from __future__ import annotations

import contextlib
import os
import select
import struct
import threading
import time

VARIABLE = "ZOO_CHANNEL"
"""Environment variable that tells a child process its two descriptors."""

_LENGTH = struct.Struct("<Q")
_CHUNK = 1 << 20


class Channel:
    """Messages between two processes: bytes of any length, each preceded by its length in 8 bytes.

    Sending never blocks: data that the pipe has no room for is buffered and sent by later calls. One thread may receive
    while another sends; the sender must then call `flush`, since a `receive` that waits does not notice new data.

    Args:
        reading: File descriptor to read messages from.
        writing: File descriptor to write messages to.
        limit: Maximum length of a received message in bytes, if the other process is not trusted.
    """

    def __init__(self, reading: int, writing: int, *, limit: int | None = None) -> None:
        """Take ownership of two file descriptors."""
        self._reading, self._writing, self._limit = reading, writing, limit
        self._received, self._unsent = bytearray(), bytearray()
        self._sending, self._is_broken = threading.Lock(), False
        for descriptor in (reading, writing):
            os.set_blocking(descriptor, False)

    @classmethod
    def to_parent(cls) -> Channel:
        """Open the channel to the parent, once, in a process started by `ChildProcess`.

        Raises:
            EOFError: `ChildProcess` did not start this process.
        """
        try:
            reading, writing = map(int, os.environ.pop(VARIABLE, "").split(","))
        except ValueError:
            raise EOFError("This process has no channel to a parent.") from None
        for descriptor in (reading, writing):
            os.set_inheritable(descriptor, False)
        return cls(reading, writing)

    def send(self, message: bytes) -> None:
        """Send a message, now or with a later call.

        Raises:
            EOFError: The other process has ended or closed its end.
        """
        with self._sending:
            self._unsent += _LENGTH.pack(len(message)) + message
            self._push()

    def flush(self, seconds: float | None = None) -> bool:
        """Send all buffered messages, and return whether that took at most ``seconds``; None waits without limit.

        Raises:
            EOFError: The other process has ended or closed its end.
        """
        deadline = _deadline(seconds)
        while True:
            with self._sending:
                self._push()
                if not self._unsent:
                    return True
            if not _wait(deadline, writing=self._writing):
                return False

    def receive(self, seconds: float | None = None) -> bytes | None:
        """Return the next message, or None if there is none within ``seconds``; None waits without limit.

        Raises:
            EOFError: The other process has ended or closed its end, or its message is too long.
        """
        deadline = _deadline(seconds)
        while (message := self._next()) is None:
            if not _wait(deadline, reading=self._reading, writing=self._writing if self._unsent else None):
                return None
            with contextlib.suppress(EOFError), self._sending:  # it may have sent something before it ended
                self._push()
            with contextlib.suppress(BlockingIOError):
                data = os.read(self._reading, _CHUNK)
                if not data:
                    raise EOFError("The other process closed its end of the channel.")
                self._received += data
        return message

    def end(self) -> None:
        """Close the channel for sending. Messages can still be received."""
        if self._writing >= 0:
            os.close(self._writing)
            self._writing = -1

    def close(self) -> None:
        """Close both file descriptors."""
        self.end()
        if self._reading >= 0:
            os.close(self._reading)
            self._reading = -1

    def _next(self) -> bytes | None:
        if len(self._received) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._received)
        if self._limit is not None and length > self._limit:
            raise EOFError(f"The other process sends a message of more than {self._limit} bytes.")
        if len(self._received) < (end := _LENGTH.size + length):
            return None
        message = bytes(self._received[_LENGTH.size : end])
        del self._received[:end]
        return message

    def _push(self) -> None:
        """Write what the pipe has room for; the lock is held."""
        try:
            while self._unsent:
                del self._unsent[: os.write(self._writing, self._unsent)]
        except BlockingIOError:
            return
        except OSError:  # the reader is gone, or the channel is closed
            self._is_broken = True
            self._unsent.clear()
        if self._is_broken:
            raise EOFError("The other process closed its end of the channel.")


def _wait(deadline: float | None, *, reading: int | None = None, writing: int | None = None) -> bool:
    """Wait until a descriptor can be read or written; return whether one can."""
    poll = select.poll()  # `select.select` accepts no descriptors above 1023
    if reading is not None:
        poll.register(reading, select.POLLIN)
    if writing is not None:
        poll.register(writing, select.POLLOUT)
    milliseconds = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
    return bool(poll.poll(milliseconds))


def _deadline(seconds: float | None) -> float | None:
    return None if seconds is None else time.monotonic() + seconds
