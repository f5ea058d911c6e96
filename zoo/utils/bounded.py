"""Call a function that a signal, or a limit of time or memory, can end in the middle of its work."""

from __future__ import annotations

import ctypes
import threading
import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from zoo.utils import hardware, threads
from zoo.utils.signals import HeldSignals

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")

_TICK = 0.05  # seconds between two looks at signals, time and memory
_PATIENCE = 0.5  # seconds for which a function is waited for after it was told to end


class LimitExceededError(Exception):
    """The function exceeded a limit; the message says which."""


class TimeExceededError(LimitExceededError):
    """The function exceeded the limit of time."""


class _EndError(BaseException):
    """Raised inside the function; not an Exception, so that its own handlers do not catch it."""


def call_bounded(function: Callable[[], Result], *, seconds: float | None = None, memory: int | None = None) -> Result:
    """Call a function in a thread of its own and return its result.

    Termination signals that arrive in the main thread take effect at once. The function is then ended between two of
    its Python instructions; one that is in a long call of native code is left behind, and the command line does not
    wait for it.

    Args:
        function: The function.
        seconds: How long it may compute, in seconds of processor time; None for no limit.
        memory: By how many bytes the memory of this process may grow; None for no limit.

    Raises:
        LimitExceededError: It exceeded a limit.
        StopRequested: A signal requested a stop.
        Exception: What the function raised.
    """
    call = _Call(function)
    threads.abandon([call])  # first: a signal may arrive anywhere below
    # processor time is that of the whole process: others may wait for a busy machine, but not be charged for it
    started, computed, used = time.monotonic(), time.process_time(), hardware.memory_used()
    try:
        with HeldSignals() as signals:
            call.start()
            while not call.over.wait(_TICK):
                signals.check()
                spent = min(time.monotonic() - started, time.process_time() - computed)
                if seconds is not None and spent > seconds:
                    raise TimeExceededError(f"more than {seconds:g} s of computing")
                if memory is not None and hardware.memory_used() - used > memory:
                    raise LimitExceededError(f"more than {memory >> 20:,} MiB of memory")
    finally:
        call.end()
    if call.error is not None:
        raise call.error
    result: Result = call.result
    return result


class _Call(threading.Thread, Generic[Result]):
    """A thread that calls a function, keeps what comes of it, and can be ended.

    A signal whose handler raises an exception during `join` makes Python 3.11 take the thread for one that has ended.
    Then the process would end in the usual way, which aborts it if the thread is in native code. So nothing joins it.
    """

    def __init__(self, function: Callable[[], Result]) -> None:
        super().__init__(daemon=True)
        self.function = function
        self.result: Any = None
        self.error: BaseException | None = None
        self.over = threading.Event()

    def run(self) -> None:
        """Call the function."""
        try:
            self.result = self.function()
        except BaseException as error:
            self.error = error
        self.over.set()

    def is_alive(self) -> bool:
        """Return whether the function has not ended yet."""
        return not self.over.is_set()

    def end(self) -> None:
        """End the function if it is still running, or else leave it behind."""
        until = time.monotonic() + _PATIENCE
        while self.is_alive() and time.monotonic() < until:
            identity, error = ctypes.c_ulong(self.ident or 0), ctypes.py_object(_EndError)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(identity, error)
            self.over.wait(_TICK)
