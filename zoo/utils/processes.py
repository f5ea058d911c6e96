"""Child processes of zoo, and the messages between them and their parent process."""

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
_TAIL = 5000  # bytes at the end of a process's output that are searched for its last line
_KILLING = 30.0  # seconds after which processes that do not die are abandoned
_LOG_OF_TENSORFLOW = re.compile(r"I\d{4,} |WARNING: All log messages before absl")  # information only


class Channel:
    """Messages between two processes: bytes of any length, each preceded by its length in 8 bytes.

    Sending never blocks: data that the pipe has no room for is buffered and sent by later calls. One thread may receive
    while another sends.

    Args:
        reading: File descriptor to read messages from.
        writing: File descriptor to write messages to.
    """

    def __init__(self, reading: int, writing: int) -> None:
        """Take ownership of two file descriptors."""
        self._reading, self._writing = reading, writing
        self._received, self._unsent = bytearray(), bytearray()
        self._sending = threading.Lock()
        for descriptor in (reading, writing):
            os.set_blocking(descriptor, False)

    @classmethod
    def to_parent(cls) -> Channel:
        """Open the channel to the parent, in a process started by `ChildProcess`.

        From now on, output printed by this process goes to standard error, and standard input is empty.
        """
        reading, writing = os.dup(0), os.dup(1)
        os.dup2(2, 1)
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        return cls(reading, writing)

    def send(self, message: bytes) -> None:
        """Send a message, now or with a later call.

        Raises:
            EOFError: The other process has ended or no longer reads.
        """
        with self._sending:
            self._unsent += _LENGTH.pack(len(message)) + message
            self._push()

    def flush(self, seconds: float | None = None) -> bool:
        """Wait until all messages are sent, for at most ``seconds`` (None: forever), and return whether they are.

        Raises:
            EOFError: The other process has ended or no longer reads.
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
        """Wait for the next message, for at most ``seconds`` (None: forever). Return it, or None if none arrived.

        Raises:
            EOFError: The other process has ended or closed its end.
        """
        deadline = _deadline(seconds)
        while (message := self._next()) is None:
            if not self._wait(deadline, reading=True):
                return None
            with contextlib.suppress(EOFError), self._sending:  # it may have sent a message before it ended
                self._push()
            with contextlib.suppress(BlockingIOError):
                data = os.read(self._reading, _CHUNK)
                if not data:
                    raise EOFError("The other process has closed the channel.")
                self._received += data
        return message

    def end(self) -> None:
        """Tell the other process that no more messages follow. Its messages can still be received."""
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
        except OSError as error:  # the other side no longer reads, or this side was closed
            self._unsent.clear()
            raise EOFError("The other process no longer reads from the channel.") from error

    def _wait(self, deadline: float | None, *, reading: bool) -> bool:
        """Wait until reading or writing is possible, and return whether it is."""
        poll = select.poll()  # `select.select` does not accept descriptors above 1023
        if reading:
            poll.register(self._reading, select.POLLIN)
        if self._unsent:
            poll.register(self._writing, select.POLLOUT)
        milliseconds = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        return bool(poll.poll(milliseconds))


def _deadline(seconds: float | None) -> float | None:
    return None if seconds is None else time.monotonic() + seconds


class ChildProcess:
    """A Python module that runs in a child process and opens `Channel.to_parent`.

    The process leads its own session, so that the terminal's Ctrl-C reaches only the parent, which ends the child, and
    all processes that the child starts can be found. The child ends when its channel is closed.

    Args:
        module: Name of the module.
        arguments: Command-line arguments.
        errors: File for its output; by default a temporary file, for `last_words`.
        folder: Its working directory; by default that of this process.

    Raises:
        OSError: The process cannot be started.

    Attributes:
        pid: Process id, which is also the id of its session.
    """

    def __init__(
        self, module: str, *arguments: str, errors: IO[bytes] | None = None, folder: Path | None = None
    ) -> None:
        """Start the process."""
        self._said = b""
        self._errors = tempfile.TemporaryFile() if errors is None else None  # noqa: SIM115  # closed by end()
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        try:
            # -P: do not import from the current folder, which may be untrusted, before installed packages
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
        """Send a message, as `Channel.send` does."""
        self._channel.send(message)

    def receive(self, seconds: float | None) -> bytes | None:
        """Wait for the next message, as `Channel.receive` does."""
        return self._channel.receive(seconds)

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended. Until `end` is called, its process and session id are not reused."""
        if self._process.returncode is not None:
            return True
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            return self._process.poll() is not None
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    @property
    def last_words(self) -> str:
        """The last line that the process printed, or "": usually the error if it failed."""
        said = self._said if self._errors is None or self._errors.closed else _tail(self._errors)
        lines = (line.strip() for line in reversed(said.decode(errors="replace").splitlines()))
        return next((line[:300] for line in lines if line and not _LOG_OF_TENSORFLOW.match(line)), "")

    def interrupt(self) -> None:
        """Send SIGTERM to the process, if it has not ended."""
        if not self.has_ended:
            os.kill(self.pid, signal.SIGTERM)

    def wait(self, seconds: float) -> bool:
        """Wait until the process ends, for at most ``seconds``, and return whether it has."""
        deadline, pause = time.monotonic() + seconds, 0.001
        while not self.has_ended:
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause)
            pause = min(pause * 2, 0.05)
        return True

    def finish(self, seconds: float) -> bool:
        """Send all messages, end the channel, and return whether the process ends within ``seconds``."""
        deadline = time.monotonic() + seconds
        with contextlib.suppress(EOFError):  # it has ended already
            self._channel.flush(seconds)
        self._channel.end()
        return self.wait(max(0.0, deadline - time.monotonic()))

    def end(self) -> int:
        """Kill the process, if it still runs, and all processes that it started.

        Returns:
            The exit status, negative for a signal. Further calls return it again.
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
        """Stop tracking the process, which continues on its own until its work is done."""
        if self._errors is not None:
            self._errors.close()
        self._channel.close()
        _left.append(self._process)

    def _living(self) -> list[int]:
        """Return the ids to kill: the processes of its session or, on systems without /proc, its process group."""
        if Path("/proc/self/stat").exists():
            return living_in_session(self.pid)
        return [] if self.has_ended else [-self.pid]


_left: list[subprocess.Popen[bytes]] = []  # Python warns if a running one is deleted


def living_in_session(leader: int) -> list[int]:
    """Return the ids of the running processes of a session. Needs /proc."""
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
