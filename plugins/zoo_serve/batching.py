"""Requests that come together are computed in one batch, by one thread."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from zoo_serve.limits import Limits
    from zoo_serve.metrics import ServiceMetrics

    Predict = Callable[[NDArray[np.uint8]], NDArray[np.floating[Any]]]


@dataclass(eq=False, slots=True)
class _Job:
    """Images of a request that wait for their probabilities."""

    images: NDArray[np.uint8]
    answer: asyncio.Future[NDArray[np.float32]]
    taken: int = 0
    parts: list[NDArray[np.float32]] = field(default_factory=list)
    is_over: bool = False  # nobody waits for the answer any more

    def add(self, part: NDArray[np.float32] | Exception) -> None:
        if isinstance(part, Exception):
            self.is_over = True
            if not self.answer.done():
                self.answer.set_exception(part)
            return
        self.parts.append(part)
        if sum(map(len, self.parts)) == len(self.images) and not self.answer.done():
            self.answer.set_result(self.parts[0] if len(self.parts) == 1 else np.concatenate(self.parts))


_Batch = list[tuple[_Job, int, int]]  # jobs, each with the first and the last of its images
_Found = list[tuple[_Job, "NDArray[np.float32] | Exception"]]  # jobs, each with a part of its answer


class Batcher:
    """Computes images in batches, for requests of one event loop.

    Requests are computed in the order in which they come. One with more images than a batch is computed in parts, and
    the others have their turn in between. A request for which the model fails, or returns what is not finite, fails
    alone.

    Args:
        predict: Function from images ``(n, height, width, channels)`` uint8 to probabilities ``(n, classes)``.
        limits: Limits of the service.
        metrics: Count batches and waiting images.
    """

    def __init__(self, predict: Predict, limits: Limits, metrics: ServiceMetrics) -> None:
        """Start the computing thread."""
        self._predict, self._limits, self._metrics = predict, limits, metrics
        self._jobs: deque[_Job] = deque()
        self._waiting = 0  # images in `_jobs` that no batch has taken
        self._lock = threading.Lock()
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()  # wakes the thread; cheaper than a condition
        self._is_asleep = False
        self._is_closed = False
        self.admitted = 0
        self._thread = threading.Thread(target=self._work, name="zoo-serve-compute", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def admission(self, count: int) -> Iterator[None]:
        """Count images as waiting until the block ends. To be called in the event loop only.

        Raises:
            HTTPException: The queue is full (503).
        """
        if self.admitted + count > self._limits.queue:
            raise HTTPException(
                503, f"The queue is full: {self.admitted} images are waiting. Try again later.", {"Retry-After": "1"}
            )
        self.admitted += count
        self._metrics.set_queue(self.admitted)
        try:
            yield
        finally:
            self.admitted -= count
            self._metrics.set_queue(self.admitted)

    async def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probabilities ``(n, classes)`` of images ``(n, height, width, channels)``, n at least 1."""
        loop = asyncio.get_running_loop()
        job = _Job(images, loop.create_future())
        with self._lock:
            self._jobs.append(job)
            self._waiting += len(images)
            is_asleep, self._is_asleep = self._is_asleep, False
        if is_asleep:  # once the loop has seen to what else has arrived, so that all of it is computed together
            loop.call_soon(self._bell.put, None)
        try:
            return await job.answer
        except asyncio.CancelledError:
            self._forget(job)
            raise

    def close(self, seconds: float = 5.0) -> None:
        """End the computing thread, and wait for it that long."""
        self._is_closed = True
        self._bell.put(None)
        self._thread.join(seconds)

    def _forget(self, job: _Job) -> None:
        """Remove a job for whose answer nobody waits any more, so that a slow model does not gather them."""
        with self._lock:
            job.is_over = True
            if job in self._jobs:
                self._jobs.remove(job)
                self._waiting -= len(job.images) - job.taken

    def _work(self) -> None:
        while not self._is_closed:
            if batch := self._take():
                found = self._compute(batch)
                with contextlib.suppress(RuntimeError):  # the event loop has ended
                    found[0][0].answer.get_loop().call_soon_threadsafe(_hand_out, found)

    def _wait(self, count: int, seconds: float | None = None) -> None:
        """Wait until that many images are waiting, or the batcher is closed; at most some seconds."""
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            left = None if end is None else max(0.0, end - time.monotonic())
            with self._lock:
                is_early = self._waiting < count and not self._is_closed and left != 0
                self._is_asleep = is_early
            if not is_early:
                return
            with contextlib.suppress(queue.Empty):
                self._bell.get(timeout=left)

    def _take(self) -> _Batch:
        """Wait for images, and return those of the next batch; none if nobody waits for them any more."""
        room = self._limits.max_batch
        self._wait(1)
        if self._limits.max_wait:
            self._wait(room, self._limits.max_wait)
        batch: _Batch = []
        with self._lock:
            while self._jobs and room:
                job = self._jobs.popleft()
                left = len(job.images) - job.taken
                if job.is_over:
                    self._waiting -= left
                    continue
                if batch and left > room:
                    self._jobs.appendleft(job)
                    break
                first, count = job.taken, min(left, room)
                job.taken += count
                batch.append((job, first, job.taken))
                self._waiting -= count
                room -= count
                if left > count:
                    self._jobs.append(job)
                    break
        return batch

    def _compute(self, batch: _Batch) -> _Found:
        pieces = [job.images[first:last] for job, first, last in batch]
        started = time.perf_counter()
        try:
            found = np.asarray(self._predict(pieces[0] if len(pieces) == 1 else np.concatenate(pieces)), np.float32)
        except Exception as error:
            if len(batch) == 1:
                return [(batch[0][0], error)]
            return [part for each in batch for part in self._compute([each])]  # since one request may be the cause
        self._metrics.count_batch(len(found), time.perf_counter() - started)
        answers: _Found = []
        is_finite, start = np.isfinite(found).all(), 0
        for job, first, last in batch:
            part = found[start : start + last - first]
            start += last - first
            if is_finite or np.isfinite(part).all():
                answers.append((job, part))
            else:
                answers.append((job, FloatingPointError("the model returned probabilities that are not finite")))
        return answers


def _hand_out(found: _Found) -> None:
    """Give jobs the parts of their answers, in the event loop: all of a batch at once, since each call wakes it."""
    for job, part in found:
        job.add(part)
