"""Hold back Ctrl-C and termination signals until the work reaches a point from which it can be resumed."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import types

# The termination signal received since `end_on_signals`. It is stored because the exception that the handler raises may
# be lost: in a callback of an extension module, in a finalizer, or in a clause that catches everything.
_asked: int | None = None

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class StopRequested(KeyboardInterrupt):  # like `KeyboardInterrupt`, it is not an error
    """A signal requested that the process end.

    Args:
        signal_number: Number of the signal.
        text: The state of the work, and how to resume it.
    """

    def __init__(self, signal_number: int, text: str = "Interrupted.") -> None:
        """Store the signal's number."""
        super().__init__(text)
        self.signal_number = signal_number

    @property
    def exit_status(self) -> int:
        """The exit status that shells use for a signal: 128 plus its number."""
        return 128 + self.signal_number


class HeldSignals:
    """Context manager in which the first termination signal is only recorded; a second one stops immediately.

    Signals that the process ignores stay ignored. Outside the main thread, no signals are held back.
    """

    def __init__(self) -> None:
        """Initialize, without holding back signals yet."""
        self.received: int | None = None
        self._handlers: dict[int, signal.Handlers | object] = {}

    def __enter__(self) -> Self:
        """Start to hold back signals. An earlier signal whose exception was lost counts as received."""
        self.received = _asked
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                handler = signal.getsignal(number)
                if handler not in (signal.SIG_IGN, None):  # None: not Python's handler, so not replaced
                    self._handlers[number] = handler
                    signal.signal(number, self._note)
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Restore the signal handlers. Raise `StopRequested` if a signal was received and the block raised no error."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what getsignal gave
        if error is None:
            self.check()

    def check(self) -> None:
        """Raise `StopRequested` if a signal was received."""
        if self.received is not None:
            raise StopRequested(self.received)

    def _note(self, number: int, _: types.FrameType | None) -> None:
        if self.received is not None:
            raise StopRequested(number)
        self.received = number
        with contextlib.suppress(OSError):
            if os.isatty(2):  # not through a stream, which may be in the middle of a write
                os.write(2, b"\nStopping after this step. Press Ctrl-C again to stop immediately.\n")


def end_on_signals() -> None:
    """Make termination signals raise `StopRequested` in this process, so that open resources are closed."""
    global _asked
    _asked = None
    for number in _SIGNALS:
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            signal.signal(number, _stop)


def check_signals() -> None:
    """Raise `StopRequested` if a termination signal was received and other code swallowed its exception."""
    if _asked is not None:
        raise StopRequested(_asked)


def may_be_signal(error: KeyboardInterrupt) -> bool:
    """Return whether a signal may have raised an error; if not, other code, such as a plugin's, raised it itself.

    Since `end_on_signals`, signals raise `StopRequested`, even if that is then lost. Other handlers may raise any
    `KeyboardInterrupt`.
    """
    is_ours = signal.getsignal(signal.SIGINT) == _stop
    return isinstance(error, StopRequested) or _asked is not None or not is_ours


def ignore_signals() -> None:
    """Ignore termination signals from now on, because the process is about to end."""
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def _stop(number: int, _: types.FrameType | None) -> None:
    global _asked
    _asked = number
    raise StopRequested(number)
