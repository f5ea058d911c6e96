"""Threads that would keep the process from ending: those of left-out plugins, and others that do not end."""

from __future__ import annotations

import os
import threading
import time
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 10.0
"""Seconds that a process waits at its end for threads that still run, such as those that send what is left to send."""

_left: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


def abandon(threads: list[threading.Thread]) -> None:
    """Record threads that the process must not wait for."""
    _left.update(threads)


def are_left() -> bool:
    """Return whether an abandoned thread is still running; at exit, Python would wait for it."""
    return any(thread.is_alive() for thread in _left)


def end_despite_threads(status: int, tell: Callable[[str], None]) -> None:
    """Prepare to end the process with a status if other threads than this one keep it from ending.

    Args:
        status: The exit status.
        tell: Called with a sentence that names such a thread, just before the process ends.
    """
    if not _others():
        return

    def end() -> None:
        time.sleep(PATIENCE)
        if waiting := _others():
            tell(
                "A thread that a plugin or library started is still running; zoo ends without waiting for it. Start it "
                f"with daemon=True. Received: thread={waiting[0].name!r}"
            )
        os._exit(status)

    threading.Thread(target=end, name="end", daemon=True).start()


def _others() -> list[threading.Thread]:
    """Return the running threads that Python waits for at its end, besides the main thread."""
    return [each for each in threading.enumerate() if not each.daemon and each is not threading.main_thread()]
