"""A tracker's process, as the run sees it: handed lines without waiting, and waited for in bounds."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time

from zoo import ZooError
from zoo.utils import start_module

SECONDS_ALONE = 60
"""How long a process may still take after the run has stopped waiting for it."""

_left: list[subprocess.Popen[bytes]] = []  # those that were not waited for to their end


class WorkerProcess:
    """A process that reads lines.

    Args:
        writer: Where its `Writer` is, which it is given to import.
        seconds_alone: How long it may take after its input has ended.
    """

    def __init__(self, writer: str, seconds_alone: float = SECONDS_ALONE) -> None:
        """Start the process, out of reach of the terminal's Ctrl-C: it ends when its input does."""
        self._process = start_module(
            "zoo_track.worker",
            writer,
            str(seconds_alone),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        if self._process.stdin is None:
            raise ZooError("its process has no input")
        self._input = self._process.stdin.fileno()
        os.set_blocking(self._input, False)
        self._waiting = bytearray()  # what the pipe had no room for

    def send(self, line: bytes) -> None:
        """Hand a line over, now or, if the process is busy, with a later one.

        Raises:
            ZooError: The process has ended, with what it says of it.
        """
        self._waiting += line
        if self._process.poll() is not None:
            raise self._fault()
        try:
            self._push()
        except BrokenPipeError:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)
            raise self._fault() from None

    def finish(self, seconds: float) -> None:
        """Wait until the process has done all that it was told, but no longer than so many seconds.

        Raises:
            ZooError: It is not done yet, and goes on alone for a while; or it failed.
        """
        try:
            self._finish(time.monotonic() + seconds)
        except subprocess.TimeoutExpired:
            self._fault()
            _left.append(self._process)
            raise ZooError(
                f"it has not taken everything within {seconds:g} s; it is not waited for any longer, and given up soon"
            ) from None
        fault = self._fault()
        if self._process.returncode != 0:
            raise fault

    def _finish(self, deadline: float) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has failed, and its status says so
            while self._waiting and (left := deadline - time.monotonic()) > 0:
                select.select([], [self._input], [], left)
                self._push()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(max(0.0, deadline - time.monotonic()))

    def _push(self) -> None:
        while self._waiting:
            try:
                del self._waiting[: os.write(self._input, self._waiting)]
            except BlockingIOError:
                return

    def _fault(self) -> ZooError:
        """Return what the process says of its end, and let go of it."""
        said = b""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._process.stderr is not None:
            if self._process.poll() is not None:
                said = self._process.stderr.read()
            self._process.stderr.close()
        lines = said.decode(errors="replace").strip().splitlines()
        return ZooError(lines[-1] if lines else f"its process ended with status {self._process.returncode}")
