"""Limits of parallel decoding, in threads and in pixels. Other threads run while Pillow decodes."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKERS = min(8, len(os.sched_getaffinity(0)))
"""Number of decoding threads: one per CPU, but at most eight to bound memory."""


class PixelBudget:
    """A budget of pixels: a thread that requests more than is free waits for the others to release theirs.

    Do not nest: a thread that holds pixels and requests more may wait forever.

    Args:
        pixels: Size of the budget; a larger request takes all of it.
    """

    def __init__(self, pixels: int) -> None:
        """Create the budget with all pixels free."""
        self._pixels = self._free = pixels
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        """Reserve pixels for the duration of the block."""
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
