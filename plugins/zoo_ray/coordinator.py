"""The one that workers ask what to do: an actor on the node that a run began on.

Workers come and go: when one dies, Ray Train ends its whole group and starts another, which asks here and does the
piece under way from its beginning.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo_ray.messages import Done

_WAIT = 5.0  # seconds that an answer takes at most


@dataclass(frozen=True, kw_only=True)
class Work:
    """A piece as workers get it.

    Args:
        number: From 0.
        state: Reference to the state before it, in a tuple, which keeps Ray from fetching it before it is needed.
        known: Whether that is what the piece before it ended with.
        order: Indices of the examples, int32.
    """

    number: int
    state: tuple[Any]
    known: bool
    order: bytes


@dataclass(frozen=True, kw_only=True)
class Status:
    """How a piece is getting on.

    Args:
        heartbeats: Signs of life so far.
        done: What it came to.
        failed: Why no worker can do it.
    """

    heartbeats: int
    done: Done | None
    failed: str | None


class Coordinator:
    """Hands out pieces and takes what they came to.

    All workers of a group must do the same pieces, or they would wait for each other without end. So a group is told
    of a piece until that group itself has done it: what is still on its way from a group that is gone, a question or an
    answer, counts no more once the next one has asked.
    """

    def __init__(self) -> None:
        """Have nothing to do yet."""
        self._changed = asyncio.Condition()
        self._work: Work | None = None
        self._done: Done | None = None
        self._group = ""
        self._replaced: set[str] = set()
        self._signs = 0
        self._failed: str | None = None
        self._is_over = False

    async def next(self, group: str, after: int) -> Work | bool:
        """Return the next piece for a worker; True if there is none yet, False if there will be none for it.

        Args:
            group: What tells its group from others.
            after: Number of the piece that it has done, -1 for none.
        """
        if group in self._replaced:
            return False
        if group != self._group:
            self._replaced.add(self._group)
            self._group = group
        try:
            async with asyncio.timeout(_WAIT), self._changed:
                await self._changed.wait_for(lambda: self._is_over or self._has_work(after))
        except TimeoutError:
            return True
        return False if self._is_over or self._work is None or group in self._replaced else self._work

    def _has_work(self, after: int) -> bool:
        work, done = self._work, self._done
        return work is not None and work.number > after and (done is None or done.number < work.number)

    async def sign(self) -> None:
        """Take a sign of life: a step is done."""
        self._signs += 1

    async def take(self, group: str, done: Done) -> None:
        """Take what a piece came to."""
        if group == self._group:
            async with self._changed:
                self._done = done
                self._changed.notify_all()

    async def fail(self, text: str) -> None:
        """Take what went wrong, so that no other try would go better."""
        async with self._changed:
            self._failed = text
            self._changed.notify_all()

    async def post(self, work: Work) -> None:
        """Give a piece to be done."""
        async with self._changed:
            self._work = work
            self._changed.notify_all()

    async def news(self, number: int, seconds: float) -> Status:
        """Return how a piece is getting on, as soon as it is done or has failed, or after so many seconds."""
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: self._failed is not None or self._is_done(number))
        except TimeoutError:
            pass
        return Status(heartbeats=self._signs, done=self._done if self._is_done(number) else None, failed=self._failed)

    def _is_done(self, number: int) -> bool:
        return self._done is not None and self._done.number == number

    async def end(self) -> None:
        """Let the workers end."""
        async with self._changed:
            self._is_over = True
            self._changed.notify_all()
