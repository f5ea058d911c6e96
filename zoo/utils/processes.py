"""Child processes of zoo: started with a channel, waited for, ended with everything that they started."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

from zoo.utils.channel import VARIABLE, Channel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TAIL = 5000  # bytes at the end of a process's output that are searched for its last line
_KILLING = 30.0  # seconds after which processes that do not die are abandoned
_LOG_OF_TENSORFLOW = re.compile(r"I\d{4,} |WARNING: All log messages before absl")  # information only


class ChildProcess:
    """A module that runs in a child process and opens `Channel.to_parent`.

    The child is the leader of its own session: Ctrl-C in the terminal does not reach it, and all processes that it
    starts can be found. It should end when its channel does. Needs /proc.

    Args:
        module: Name of the module.
        arguments: Its command-line arguments.
        errors: File for its output; a temporary file by default, which `last_words` reads.
        folder: Its working directory; that of this process by default.
        descriptors: File descriptors that it inherits, with the same numbers.
        limit: Maximum length of a message that it may send, in bytes.
        variables: Environment variables that it has beyond those of this process.

    Raises:
        OSError: It cannot be started.

    Attributes:
        pid: Its process ID, which is also the ID of its session.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        errors: IO[bytes] | None = None,
        folder: Path | None = None,
        descriptors: Sequence[int] = (),
        limit: int | None = None,
        variables: Mapping[str, str] | None = None,
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
                env=os.environ | (variables or {}) | {VARIABLE: f"{their_input},{their_output}"},
                pass_fds=(their_input, their_output, *descriptors),
                start_new_session=True,
            )
            on_failure.pop_all()
        self.pid = self._process.pid
        self._channel = Channel(our_input, our_output, limit=limit)

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

    def kill(self) -> None:
        """Send SIGKILL to the process: a thread that waits for its messages learns that it has ended."""
        if not self.has_ended:
            os.kill(self.pid, signal.SIGKILL)

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
