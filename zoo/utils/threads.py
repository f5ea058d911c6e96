"""Threads that would keep the process from ending, left by plugins that were left out."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

_left: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


def abandon(threads: list[threading.Thread]) -> None:
    """Note threads that nobody is to wait for."""
    _left.update(threads)


def are_left() -> bool:
    """Return whether an abandoned thread still runs: Python would wait for it when it ends."""
    return any(thread.is_alive() for thread in _left)
