"""How many files are decoded at a time, and how many pixels: Pillow lets other threads work meanwhile."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNT = min(8, len(os.sched_getaffinity(0)))
"""Threads that decode: one for each processor, and no more than bound memory."""


class PixelBudget:
    """PixelBudget for pixels: who finds too little waits until others have left.

    Never nested: who has some and asks for more may wait for ever.

    Args:
        pixels: For so many; what is larger gets all of it.
    """

    def __init__(self, pixels: int) -> None:
        """Make it, free."""
        self._pixels = self._free = pixels
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        """Take room for so many pixels, and leave it in the end."""
        taken = min(pixels, self._pixels)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= taken)
            self._free -= taken
        try:
            yield
        finally:
            with self._changed:
                self._free += taken
                self._changed.notify_all()
