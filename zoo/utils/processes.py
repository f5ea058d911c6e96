"""Processes of ours, and the messages between them and the process that started them."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO

_LENGTH = struct.Struct("<Q")
_CHUNK = 1 << 20
_TAIL = 5000  # bytes of what a process printed that are looked through for its last words
_KILLING = 30.0  # seconds after which processes that do not die are left to the system
_LOG_OF_TENSORFLOW = re.compile(r"I\d{4,} |WARNING: All log messages before absl")  # information, of no use here


class Channel:
    """Messages between two processes: bytes of any length, each after its length in 8 bytes.

    Sending never waits: what the other side has no room for yet is kept, and handed over in later calls. One thread may
    receive while another sends.

    Args:
        reading: Descriptor that messages come from.
        writing: Descriptor that messages go to.
    """

    def __init__(self, reading: int, writing: int) -> None:
        """Take over two descriptors."""
        self._reading, self._writing = reading, writing
        self._received, self._unsent = bytearray(), bytearray()
        self._sending = threading.Lock()
        for descriptor in (reading, writing):
            os.set_blocking(descriptor, False)

    @classmethod
    def to_parent(cls) -> Channel:
        """Return the channel to the `ChildProcess` that this process is.

        What is printed from now on goes to standard error, and standard input is empty.
        """
        reading, writing = os.dup(0), os.dup(1)
        os.dup2(2, 1)
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        return cls(reading, writing)

    def send(self, message: bytes) -> None:
        """Hand a message over, now or with a later call.

        Raises:
            EOFError: The other process has ended, or listens no longer.
        """
        with self._sending:
            self._unsent += _LENGTH.pack(len(message)) + message
            self._push()

    def flush(self, seconds: float | None = None) -> bool:
        """Return whether all messages were handed over within so many seconds; None waits as long as it takes.

        Raises:
            EOFError: The other process has ended, or listens no longer.
        """
        deadline = _deadline(seconds)
        while True:
            with self._sending:
                self._push()
            if not self._unsent:
                return True
            if not self._wait(deadline, reading=False):
                return False

    def receive(self, seconds: float | None = None) -> bytes | None:
        """Return the next message, or None if none came within so many seconds; None waits as long as it takes.

        Raises:
            EOFError: The other process has ended, or says no more.
        """
        deadline = _deadline(seconds)
        while (message := self._next()) is None:
            if not self._wait(deadline, reading=True):
                return None
            with contextlib.suppress(EOFError), self._sending:  # it may have said something before it ended
                self._push()
            with contextlib.suppress(BlockingIOError):
                data = os.read(self._reading, _CHUNK)
                if not data:
                    raise EOFError("The other process says no more.")
                self._received += data
        return message

    def end(self) -> None:
        """Tell the other process that nothing more is sent; what it says can still be received."""
        if self._writing >= 0:
            os.close(self._writing)
            self._writing = -1

    def close(self) -> None:
        """Close both descriptors."""
        self.end()
        if self._reading >= 0:
            os.close(self._reading)
            self._reading = -1

    def _next(self) -> bytes | None:
        if len(self._received) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._received)
        if len(self._received) < (end := _LENGTH.size + length):
            return None
        message = bytes(self._received[_LENGTH.size : end])
        del self._received[:end]
        return message

    def _push(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: os.write(self._writing, self._unsent)]
        except BlockingIOError:
            return
        except OSError as error:  # nobody reads, or the channel was closed
            self._unsent.clear()
            raise EOFError("The other process listens no longer.") from error

    def _wait(self, deadline: float | None, *, reading: bool) -> bool:
        """Wait until something can be read or written; return whether it can."""
        poll = select.poll()  # `select.select` takes no descriptors over 1023
        if reading:
            poll.register(self._reading, select.POLLIN)
        if self._unsent:
            poll.register(self._writing, select.POLLOUT)
        milliseconds = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        return bool(poll.poll(milliseconds))


def _deadline(seconds: float | None) -> float | None:
    return None if seconds is None else time.monotonic() + seconds


class ChildProcess:
    """A module of ours in a process of its own, which opens `Channel.to_parent`.

    It leads a session: the terminal's Ctrl-C is for who started it and ends it, and all processes that it starts can be
    found. It ends by itself when its channel does.

    Args:
        module: Name of the module.
        arguments: Its command line.
        errors: File that it prints to; by default a temporary one, for `last_words`.
        folder: Its current folder; by default this process's.

    Raises:
        OSError: It cannot be started.

    Attributes:
        pid: Its number, and that of its session.
    """

    def __init__(
        self, module: str, *arguments: str, errors: IO[bytes] | None = None, folder: Path | None = None
    ) -> None:
        """Start it."""
        self._said = b""
        self._errors = tempfile.TemporaryFile() if errors is None else None  # noqa: SIM115  # closed by end()
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        try:
            # -P: not the current folder, which may be a stranger's, before what is installed
            self._process = subprocess.Popen(  # noqa: S603  # this interpreter, a module of ours
                [sys.executable, "-P", "-m", module, *arguments],
                stdin=theirs_in,
                stdout=theirs_out,
                stderr=errors or self._errors,
                cwd=folder,
                start_new_session=True,
            )
        except BaseException:
            os.close(ours_in)
            os.close(ours_out)
            if self._errors is not None:
                self._errors.close()
            raise
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        self.pid = self._process.pid
        self._channel = Channel(ours_in, ours_out)

    def send(self, message: bytes) -> None:
        """Hand a message over, as `Channel.send` does."""
        self._channel.send(message)

    def receive(self, seconds: float | None) -> bytes | None:
        """Return the next message, as `Channel.receive` does."""
        return self._channel.receive(seconds)

    @property
    def has_ended(self) -> bool:
        """Whether it has ended. Until `end` is called its number, and its session's, is nobody else's."""
        if self._process.returncode is not None:
            return True
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            return self._process.poll() is not None
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    @property
    def last_words(self) -> str:
        """The last line that it printed, "" if there is none: what it ended with if it failed."""
        said = self._said if self._errors is None or self._errors.closed else _tail(self._errors)
        lines = (line.strip() for line in reversed(said.decode(errors="replace").splitlines()))
        return next((line[:300] for line in lines if line and not _LOG_OF_TENSORFLOW.match(line)), "")

    def interrupt(self) -> None:
        """Ask it to end, as SIGTERM does."""
        if not self.has_ended:
            os.kill(self.pid, signal.SIGTERM)

    def wait(self, seconds: float) -> bool:
        """Return whether it has ended within so many seconds."""
        deadline, pause = time.monotonic() + seconds, 0.001
        while not self.has_ended:
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause)
            pause = min(pause * 2, 0.05)
        return True

    def finish(self, seconds: float) -> bool:
        """Hand over what was sent, end the channel, and return whether the process has ended within so many seconds."""
        deadline = time.monotonic() + seconds
        with contextlib.suppress(EOFError):  # it has ended already
            self._channel.flush(seconds)
        self._channel.end()
        return self.wait(max(0.0, deadline - time.monotonic()))

    def end(self) -> int:
        """Kill it, if it is still there, and all that it started; return its exit status, negative for a signal.

        Once is enough; calling it again returns the status again.
        """
        if self._process.returncode is None:
            deadline = time.monotonic() + _KILLING
            while (living := self._living()) and time.monotonic() < deadline:
                for process in living:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(process, signal.SIGKILL)
                time.sleep(0.01)
            self._process.wait()
        if self._errors is not None and not self._errors.closed:
            self._said = _tail(self._errors)
            self._errors.close()
        self._channel.close()
        return self._process.returncode

    def leave(self) -> None:
        """Let go of it: what it still has to do, it does alone."""
        if self._errors is not None:
            self._errors.close()
        self._channel.close()
        _left.append(self._process)

    def _living(self) -> list[int]:
        """Return what is to be killed: processes of its session, or where that cannot be seen its group."""
        if Path("/proc/self/stat").exists():
            return living_in_session(self.pid)
        return [] if self.has_ended else [-self.pid]


_left: list[subprocess.Popen[bytes]] = []  # those that were let go of: Python warns of one that is forgotten


def living_in_session(leader: int) -> list[int]:
    """Return the living processes of a session, where the system has /proc."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            state, _, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(session) == leader and state not in "ZX":
                found.append(int(folder.name))
    return found


def _tail(file: IO[bytes]) -> bytes:
    file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
    return file.read()
