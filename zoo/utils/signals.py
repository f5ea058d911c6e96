"""Ctrl-C and signals that ask to end, held back until the work is at a point that it can be gone on from."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import types

# What a process was asked to end by, since `end_on_signals`. An exception that a handler raises may be lost: in an
# extension's callback, in a finalizer, in a clause that excepts everything.
_asked: int | None = None

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class StopRequested(KeyboardInterrupt):  # as `KeyboardInterrupt`, which is no error either
    """A signal asked the process to end.

    Args:
        signal_number: Which one.
        text: What became of the work, and how to go on with it.
    """

    def __init__(self, signal_number: int, text: str = "Interrupted.") -> None:
        """Hold the signal's number."""
        super().__init__(text)
        self.signal_number = signal_number

    @property
    def exit_status(self) -> int:
        """The exit status that shells give such an end: 128 and the number of the signal."""
        return 128 + self.signal_number


class HeldSignals:
    """Within ``with``, the first signal that asks to end is only noted; a second one ends the work at once.

    A signal that the process ignores stays ignored. Outside the main thread there is nothing to hold back.
    """

    def __init__(self) -> None:
        """Hold back nothing yet."""
        self.received: int | None = None
        self._handlers: dict[int, signal.Handlers | object] = {}

    def __enter__(self) -> Self:
        """Hold the signals back; what an earlier one asked for and did not get counts as noted."""
        self.received = _asked
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                handler = signal.getsignal(number)
                if handler not in (signal.SIG_IGN, None):  # None: not Python's, so not ours to replace
                    self._handlers[number] = handler
                    signal.signal(number, self._note)
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Let them through again, one that was noted as well."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what getsignal gave
        if error is None:
            self.check()

    def check(self) -> None:
        """Raise `StopRequested` if a signal was noted."""
        if self.received is not None:
            raise StopRequested(self.received)

    def _note(self, number: int, _: types.FrameType | None) -> None:
        if self.received is not None:
            raise StopRequested(number)
        self.received = number
        with contextlib.suppress(OSError):
            if os.isatty(2):  # not through a stream: this may be in the middle of a write to it
                os.write(2, b"\nStopping at the end of this step. Once more stops at once.\n")


def end_on_signals() -> None:
    """Let the signals that ask to end raise `StopRequested`, so that what is open is closed; for a whole process."""
    global _asked
    _asked = None
    for number in _SIGNALS:
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            signal.signal(number, _stop)


def check_signals() -> None:
    """Raise `StopRequested` if a signal asked to end and what it raised was lost in somebody's code."""
    if _asked is not None:
        raise StopRequested(_asked)


def ignore_signals() -> None:
    """Let the signals that ask to end do nothing more: the process is about to."""
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def _stop(number: int, _: types.FrameType | None) -> None:
    global _asked
    _asked = number
    raise StopRequested(number)
