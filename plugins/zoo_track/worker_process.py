"""A tracker's process, as the run sees it: sent messages without waiting, and waited for in bounds."""

from __future__ import annotations

from zoo import ZooError
from zoo.utils import ChildProcess

SECONDS_ALONE = 60
"""How long a process may still take after the run has stopped waiting for it."""


class WorkerProcess:
    """A process that takes what a run tells its tracker.

    Args:
        writer: Where its `Writer` is, which it is given to import.
        seconds_alone: How long it may take after the run has ended.

    Attributes:
        pid: Its number.
    """

    def __init__(self, writer: str, seconds_alone: float = SECONDS_ALONE) -> None:
        """Start the process."""
        self._process = ChildProcess("zoo_track.worker", writer, str(seconds_alone))
        self.pid = self._process.pid

    def send(self, message: bytes) -> None:
        """Hand a message over, now or, if the process is busy, with a later one.

        Raises:
            ZooError: The process has ended, with what it says of it.
        """
        try:
            if self._process.has_ended:
                raise self._failure()
            self._process.send(message)
        except EOFError:
            self._process.wait(1.0)
            raise self._failure() from None

    def finish(self, seconds: float) -> None:
        """Wait until the process has done all that it was told, but no longer than so many seconds.

        Raises:
            ZooError: It is not done yet, and goes on alone for a while; or it failed.
        """
        if not self._process.finish(seconds):
            self._process.leave()
            raise ZooError(
                f"it has not taken everything within {seconds:g} s; it is not waited for any longer, and given up soon"
            )
        if self._process.end() != 0:
            raise self._failure()

    def _failure(self) -> ZooError:
        status = self._process.end()
        return ZooError(self._process.last_words or f"its process ended with status {status}")
