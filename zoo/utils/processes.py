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
_VARIABLE = "ZOO_CHANNEL"  # tells a child its two descriptors


class Channel:
    """Messages between two processes: bytes of any length, each preceded by its length in 8 bytes.

    Sending never blocks: data that the pipe has no room for is buffered and sent by later calls. One thread may receive
    while another sends; the sender must then call `flush`, since a `receive` that waits does not notice new data.

    Args:
        reading: File descriptor to read messages from.
        writing: File descriptor to write messages to.
    """

    def __init__(self, reading: int, writing: int) -> None:
        """Take ownership of two file descriptors."""
        self._reading, self._writing = reading, writing
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
            reading, writing = map(int, os.environ.pop(_VARIABLE, "").split(","))
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
            EOFError: The other process has ended or closed its end.
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


class ChildProcess:
    """A module that runs in a child process and opens `Channel.to_parent`.

    The child is the leader of its own session: Ctrl-C in the terminal does not reach it, and all processes that it
    starts can be found. It should end when its channel does. Needs /proc.

    Args:
        module: Name of the module.
        arguments: Its command-line arguments.
        errors: File for its output; a temporary file by default, which `last_words` reads.
        folder: Its working directory; that of this process by default.

    Raises:
        OSError: It cannot be started.

    Attributes:
        pid: Its process ID, which is also the ID of its session.
    """

    def __init__(
        self, module: str, *arguments: str, errors: IO[bytes] | None = None, folder: Path | None = None
    ) -> None:
        """Start the process."""
        self._said = b""
        with contextlib.ExitStack() as on_failure, contextlib.ExitStack() as theirs:
            pipes = []
            for mine in (1, 0):  # what we write, then what we read
                pipe = os.pipe()
                on_failure.callback(os.close, pipe[mine])
                theirs.callback(os.close, pipe[1 - mine])
                pipes.append(pipe)
            (their_input, our_output), (our_input, their_output) = pipes
            self._errors = None if errors is not None else on_failure.enter_context(tempfile.TemporaryFile())
            # -P: installed modules, not those in the current folder, which may belong to another user
            self._process = subprocess.Popen(  # noqa: S603  # this interpreter, a module of ours
                [sys.executable, "-P", "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=errors or self._errors,
                stderr=errors or self._errors,
                cwd=folder,
                env=os.environ | {_VARIABLE: f"{their_input},{their_output}"},
                pass_fds=(their_input, their_output),
                start_new_session=True,
            )
            on_failure.pop_all()
        self.pid = self._process.pid
        self._channel = Channel(our_input, our_output)

    def send(self, message: bytes) -> None:
        """Send a message; see `Channel.send`."""
        self._channel.send(message)

    def receive(self, seconds: float | None) -> bytes | None:
        """Receive a message; see `Channel.receive`."""
        return self._channel.receive(seconds)

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended. Its ID and session ID stay reserved until `end` is called."""
        if self._process.returncode is not None:
            return True
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:  # SIGCHLD is ignored, so that nobody has to wait for it
            return self._process.poll() is not None

    @property
    def last_words(self) -> str:
        """The last line of its output, or "": the reason, if it failed."""
        said = self._said if self._errors is None or self._errors.closed else _tail(self._errors)
        lines = (line.strip() for line in reversed(said.decode(errors="replace").splitlines()))
        return next((line[:300] for line in lines if line and not _LOG_OF_TENSORFLOW.match(line)), "")

    def interrupt(self) -> None:
        """Send SIGTERM to the process."""
        if not self.has_ended:
            os.kill(self.pid, signal.SIGTERM)

    def wait(self, seconds: float) -> bool:
        """Return whether the process ends within ``seconds``."""
        deadline, pause = time.monotonic() + seconds, 0.001
        while not self.has_ended:
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause)
            pause = min(pause * 2, 0.05)
        return True

    def finish(self, seconds: float, *, flush: bool = True) -> bool:
        """Close the channel, and return whether the process ends within ``seconds``.

        Args:
            seconds: How long to wait, altogether.
            flush: Whether to send buffered messages first.
        """
        deadline = time.monotonic() + seconds
        if flush:
            with contextlib.suppress(EOFError):  # it has ended already
                self._channel.flush(seconds)
        self._channel.close()  # for receiving too: a process that still sends learns that nobody listens
        return self.wait(max(0.0, deadline - time.monotonic()))

    def end(self) -> int:
        """Kill the process and everything that it started; return its exit status, or minus a signal's number.

        Calling it again returns the same status. A process that not even SIGKILL ends is abandoned after a while.
        """
        if self._process.returncode is None:
            deadline = time.monotonic() + _KILLING
            while (living := living_in_session(self.pid)) and time.monotonic() < deadline:
                for process in living:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(process, signal.SIGKILL)
                time.sleep(0.01)
            try:
                self._process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.leave()
                return -signal.SIGKILL
        if self._errors is not None and not self._errors.closed:
            self._said = _tail(self._errors)
            self._errors.close()
        self._channel.close()
        return self._process.returncode

    def leave(self) -> None:
        """Stop managing the process, which finishes on its own."""
        if self._errors is not None:
            self._errors.close()
        self._channel.close()
        _left[:] = [process for process in _left if process.poll() is None]
        _left.append(self._process)


_left: list[subprocess.Popen[bytes]] = []  # unmanaged processes: Python warns about a running one that is deleted


def living_in_session(leader: int) -> list[int]:
    """Return the IDs of the living processes of a session. Needs /proc."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            state, _, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(session) == leader and state not in "ZX":
                found.append(int(folder.name))
    return found


def _tail(file: IO[bytes]) -> bytes:
    """Return the end of a file, whose position, which the child shares, stays where it is."""
    descriptor = file.fileno()
    return os.pread(descriptor, _TAIL, max(0, os.fstat(descriptor).st_size - _TAIL))
