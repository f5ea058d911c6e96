"""The run's handle to a tracker's process: sending never waits, and waiting for the end is bounded."""

from __future__ import annotations

from zoo import ZooError
from zoo.utils import ChildProcess

SECONDS_ALONE = 60
"""Seconds that a process may continue after the run has stopped waiting for it."""


class WorkerProcess:
    """A process that receives a run's messages for its tracker.

    Args:
        writer: Import path of the `Writer` that it uses.
        seconds_alone: How long it may continue after the run has ended.

    Attributes:
        pid: Its process id.
    """

    def __init__(self, writer: str, seconds_alone: float = SECONDS_ALONE) -> None:
        """Start the process."""
        self._process = ChildProcess("zoo_track.worker", writer, str(seconds_alone))
        self.pid = self._process.pid

    def send(self, message: bytes) -> None:
        """Send a message without waiting; if the process is busy, it is delivered with a later one.

        Raises:
            ZooError: The process has ended. The message is the last line that it printed.
        """
        try:
            if self._process.has_ended:
                raise self._failure()
            self._process.send(message)
        except EOFError:
            self._process.wait(1.0)
            raise self._failure() from None

    def finish(self, seconds: float) -> None:
        """Wait up to ``seconds`` until the process has handled all messages.

        Raises:
            ZooError: The process has not finished and continues alone for a while, or it failed.
        """
        is_done = False
        try:
            is_done = self._process.finish(seconds)
        finally:
            if not is_done:  # or interrupted
                self._process.leave()
        if not is_done:
            raise ZooError(
                f"it did not finish within {seconds:g} s. The run no longer waits for it; its process will end soon."
            )
        if self._process.end() != 0:
            raise self._failure()

    def _failure(self) -> ZooError:
        status = self._process.end()
        return ZooError(self._process.last_words or f"its process ended with status {status}")
