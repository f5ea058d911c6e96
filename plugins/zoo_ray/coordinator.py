"""The actor that assigns work to the workers, on the node where the run was started.

When a worker dies, Ray Train ends its whole group and starts another. The new group asks here and repeats the current
work unit from its beginning.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo_ray.messages import Done

_WAIT = 5.0  # maximum seconds until an answer


@dataclass(frozen=True, kw_only=True)
class Work:
    """A work unit as workers receive it.

    Args:
        number: Its number, from 0.
        state: Reference to the state before it, in a tuple, so that Ray does not fetch it before it is needed.
        known: Whether the state is the one that the previous work unit ended with.
        order: Indices of the examples, int32.
    """

    number: int
    state: tuple[Any]
    known: bool
    order: bytes


@dataclass(frozen=True, kw_only=True)
class Status:
    """Progress of a work unit.

    Args:
        heartbeats: Number of heartbeats so far.
        done: The result, or None if there is none yet.
        failed: The reason why no worker can do it, or None.
    """

    heartbeats: int
    done: Done | None
    failed: str | None


class Coordinator:
    """Assigns work units and collects their results.

    All workers of a group must do the same work units, or they would wait for each other forever. So a group is
    assigned a work unit until that group itself has completed it. Once the next group has asked, requests and results
    that are still arriving from an earlier group are ignored.
    """

    def __init__(self) -> None:
        """Start without work."""
        self._changed = asyncio.Condition()
        self._work: Work | None = None
        self._done: Done | None = None
        self._group = ""
        self._replaced: set[str] = set()
        self._signs = 0
        self._failed: str | None = None
        self._is_over = False

    async def next(self, group: str, after: int) -> Work | bool:
        """Return the next work unit for a worker, True if there is none yet, or False if the worker must end.

        Args:
            group: Identifier of the worker's group.
            after: Number of the last work unit that the worker completed, or -1.
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
        """Count a heartbeat: a step is complete."""
        self._signs += 1

    async def take(self, group: str, done: Done) -> None:
        """Store the result of a work unit."""
        if group == self._group:
            async with self._changed:
                self._done = done
                self._changed.notify_all()

    async def fail(self, text: str) -> None:
        """Store an error that a retry would not fix."""
        async with self._changed:
            self._failed = text
            self._changed.notify_all()

    async def post(self, work: Work) -> None:
        """Publish the next work unit."""
        async with self._changed:
            self._work = work
            self._changed.notify_all()

    async def news(self, number: int, seconds: float) -> Status:
        """Return the status of a work unit as soon as it is complete or has failed, or after ``seconds``."""
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: self._failed is not None or self._is_done(number))
        except TimeoutError:
            pass
        return Status(heartbeats=self._signs, done=self._done if self._is_done(number) else None, failed=self._failed)

    def _is_done(self, number: int) -> bool:
        return self._done is not None and self._done.number == number

    async def end(self) -> None:
        """Tell the workers to end."""
        async with self._changed:
            self._is_over = True
            self._changed.notify_all()
