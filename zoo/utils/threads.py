"""Threads that left-out plugins started, and that would keep the process from ending."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

_left: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


def abandon(threads: list[threading.Thread]) -> None:
    """Record threads that the process must not wait for."""
    _left.update(threads)


def are_left() -> bool:
    """Return whether an abandoned thread is still running; at exit, Python would wait for it."""
    return any(thread.is_alive() for thread in _left)
