"""Limits of time and memory for the code of a plugin, whatever it catches."""

from __future__ import annotations

import contextlib
import inspect
import signal
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from zoo.utils import hardware

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Iterator

Result = TypeVar("Result")

_NEVER_INTERRUPTED = ("jax", "jaxlib", "keras", "numpy", "tensorflow", "torch")
_MOST_MEMORY = 1 << 30  # bytes that an import may take: TensorFlow's takes a third of that
_TICK = 0.2  # seconds between two checks of time and memory
_MOST_DATA = 2 << 30  # bytes that are refused to it even in native code, which no check interrupts, ...
_DATA_PER_CPU = 64 << 20  # ... and some for each CPU: numerical libraries start that many threads
_SHORTEST_TICK = 0.01  # with shorter ones, a process does nothing but check


class TooMuchError(BaseException):
    """Raised inside a plugin that exceeds a limit; not an Exception, so that its own handlers do not catch it."""


def too_slow(limit: float) -> TooMuchError:
    """Return the error of a plugin that takes longer than a limit in seconds."""
    return TooMuchError(
        f"it took longer than {limit:g} s to import; import heavy modules inside functions, or raise the limit with "
        "ZOO_PLUGIN_SECONDS"
    )


def too_large() -> TooMuchError:
    """Return the error of a plugin that takes too much memory."""
    return TooMuchError(
        f"it took more than {_MOST_MEMORY >> 20:,} MiB of memory to import; load large data inside functions"
    )


def call_limited(function: Callable[[], Result], seconds: float) -> Result:
    """Call a function and return its result; raise `TooMuchError` in it, repeatedly, once it exceeds a limit.

    The error is raised only while the function is running: not in this function, which restores the caller's timer and
    signal handler, and not while a backend is being imported, because a half-imported backend would break everything
    else. Without timers, as on Windows and outside the main thread, there are no limits.

    Args:
        function: The function.
        seconds: How long it may take.

    Raises:
        TooMuchError: The function exceeded a limit of time or memory.
    """
    with _limited_data():
        try:
            return _call_timed(function, seconds)
        except MemoryError as error:
            raise too_large() from error


def _call_timed(function: Callable[[], Result], seconds: float) -> Result:
    if (
        threading.current_thread() is not threading.main_thread()
        or not hasattr(signal, "setitimer")
        or signal.getsignal(signal.SIGALRM) is None  # not Python's handler, so it could not be restored
    ):
        return function()

    def stop(_: int, frame: types.FrameType | None) -> None:
        if _depth(frame) <= depth or _is_in_backend(frame):
            return
        if time.monotonic() - started >= seconds:
            raise too_slow(seconds)
        if hardware.memory_used() - used > _MOST_MEMORY:
            raise too_large()

    depth = _depth(None)
    started, used = time.monotonic(), hardware.memory_used()
    handler = signal.signal(signal.SIGALRM, stop)
    remaining, interval = 0.0, 0.0
    try:
        tick = max(min(seconds, _TICK), _SHORTEST_TICK)
        remaining, interval = signal.setitimer(signal.ITIMER_REAL, tick, tick)
        return _run(function)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_IGN)  # discards a signal that is on its way
        signal.signal(signal.SIGALRM, handler)
        if remaining:
            signal.setitimer(signal.ITIMER_REAL, max(remaining - (time.monotonic() - started), 1e-3), interval)


@contextlib.contextmanager
def _limited_data() -> Iterator[None]:
    """Let the system refuse this process much more memory than it has, where it can.

    The limit is that of the whole process, so only the main thread sets it: two threads that end in another order than
    they began would restore each other's.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    try:
        import resource

        before = resource.getrlimit(resource.RLIMIT_DATA)
    except (ImportError, OSError):
        yield
        return
    soft, hard = before
    most = hardware.data_used() + _MOST_DATA + _DATA_PER_CPU * hardware.usable_processors()
    limits = [each for each in (most, soft, hard) if each != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _run(function: Callable[[], Result]) -> Result:
    """Call a function. While this is on the stack, and only then, a limit may interrupt."""
    return function()


def _depth(frame: types.FrameType | None) -> int:
    """Return how often `_run` is on a stack: more than once if a plugin loads plugins. None for the current stack."""
    depth, frame = 0, frame or inspect.currentframe()
    while frame is not None:
        depth += frame.f_code is _run.__code__
        frame = frame.f_back
    return depth


def _is_in_backend(frame: types.FrameType | None) -> bool:
    while frame is not None:
        if str(frame.f_globals.get("__name__")).partition(".")[0] in _NEVER_INTERRUPTED:
            return True
        frame = frame.f_back
    return False
