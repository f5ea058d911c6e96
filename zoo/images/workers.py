"""Limits of parallel decoding, in threads and in pixels. Other threads run while Pillow decodes."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections import deque
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from concurrent.futures import ThreadPoolExecutor

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

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


def in_order(
    pool: ThreadPoolExecutor,
    work: Callable[[_Item], _Result],
    items: Sequence[_Item],
    *,
    ahead: int,
    per_task: int = 8,
) -> Generator[_Result, None, None]:
    """Yield ``work(item)`` of each item, in order, computed by the threads of a pool.

    Handing a task to a thread takes 0.1 ms, in which no other thread runs Python: too much for a single small image.
    When the caller stops early, or after an error, no further item is begun.

    Args:
        pool: The threads, about `WORKERS` of them.
        work: Called with one item at a time.
        items: The items.
        ahead: Number of items whose results may be waiting for the caller, or be in progress, before one task more.
        per_task: Maximum number of items that a thread works off in a row; fewer if there are few items.
    """
    size = max(1, min(per_task, -(-len(items) // (2 * WORKERS))))
    is_over = False

    def work_off(start: int) -> list[_Result]:
        return [work(item) for item in items[start : start + size] if not is_over]

    rest = iter(range(0, len(items), size))
    begun = deque(pool.submit(work_off, start) for start in itertools.islice(rest, max(1, ahead // size)))
    try:
        while begun:
            done = begun.popleft().result()
            begun.extend(pool.submit(work_off, start) for start in itertools.islice(rest, 1))
            yield from done
    finally:
        is_over = True
        for task in begun:
            task.cancel()
