"""Requests that come together are computed in one batch, by a thread or, if that is quick, in the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import math
import queue
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.exceptions import HTTPException

from zoo_serve.jobs import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from zoo_serve.jobs import Found
    from zoo_serve.limits import Limits
    from zoo_serve.metrics import ServiceMetrics

    Predict = Callable[[NDArray[np.uint8]], NDArray[np.floating[Any]]]

SHORT = 0.003
"""Maximum number of seconds of computation for which the event loop itself waits.

A thread would cost a small batch more than that batch takes: it has to be woken, and to wait for Python's lock.
"""

_GAP = 20e-6  # seconds without a request after which a short batch begins: clients whose answers came together follow
# each other at such intervals, and while they do, they would take processors from the computation

_WEIGHT = 0.2  # of the last batch in the time of an image, if it was quicker than those before

_Batch = list[tuple[Job, int, int]]  # jobs, each with the first and the last of its images
_Answers = list[tuple[Job, int, "Found"]]  # jobs, each with the first of its images and a part of its answer


class Batcher:
    """Computes images in batches, for requests of one event loop. Its methods are to be called there only.

    Requests are computed in the order in which they come. One with more images than a batch is computed in parts, and
    the others have their turn in between. A request for which the model fails, or returns what is not finite, fails
    alone.

    Args:
        predict: Function from images ``(n, height, width, channels)`` uint8 to probabilities ``(n, classes)``.
        limits: Limits of the service.
        metrics: Count batches and waiting images.
        is_steady: Whether an image always takes about the same time. If it is short, the event loop waits for it.

    Attributes:
        admitted: Number of images waiting or being computed.
    """

    def __init__(self, predict: Predict, limits: Limits, metrics: ServiceMetrics, *, is_steady: bool = False) -> None:
        """Start the computing thread."""
        self._predict, self._limits, self._metrics, self._is_steady = predict, limits, metrics, is_steady
        self._jobs: deque[Job] = deque()
        self._waiting = 0  # images in `_jobs` that no batch has taken
        self._is_due = False  # whether the loop is about to begin the next batch
        self._timer: asyncio.TimerHandle | None = None  # begins it otherwise
        self._pace = math.inf  # seconds an image took lately
        self._latest = 0.0  # when the last request came
        self._lock = threading.Lock()  # of what waits, and of `_is_awake`
        self._bell: queue.SimpleQueue[asyncio.AbstractEventLoop | None] = queue.SimpleQueue()  # wakes the thread
        self._is_awake = False  # whether the thread computes, or is about to
        self.admitted = 0
        self._thread = threading.Thread(target=self._work, name="zoo-serve-compute", daemon=True)
        self._thread.start()

    def has_room(self, count: int) -> bool:
        """Return whether the queue has room for some images."""
        return self.admitted + count <= self._limits.queue

    def admit(self, count: int) -> None:
        """Count images as waiting until they are released.

        Raises:
            HTTPException: The queue is full (503).
        """
        if not self.has_room(count):
            raise HTTPException(
                503, f"The queue is full: {self.admitted} images are waiting. Try again later.", {"Retry-After": "1"}
            )
        self.admitted += count
        self._metrics.set_queue(self.admitted)

    def release(self, count: int) -> None:
        """Count images as waiting no longer."""
        self.admitted -= count
        self._metrics.set_queue(self.admitted)

    @contextlib.contextmanager
    def admission(self, count: int) -> Iterator[None]:
        """Count images as waiting until the block ends.

        Raises:
            HTTPException: The queue is full (503).
        """
        self.admit(count)
        try:
            yield
        finally:
            self.release(count)

    async def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probabilities ``(n, classes)`` of images ``(n, height, width, channels)``, n at least 1."""
        answer: asyncio.Future[NDArray[np.float32]] = asyncio.get_running_loop().create_future()

        def give(found: Found) -> None:
            if not answer.done():
                answer.set_exception(found) if isinstance(found, Exception) else answer.set_result(found)

        job = self.submit(images, give)
        try:
            return await answer
        except asyncio.CancelledError:
            self.forget(job)
            raise

    def submit(self, images: NDArray[np.uint8], on_done: Callable[[Found], object]) -> Job:
        """Have images computed, and return what `forget` takes. The arguments are those of `Job`."""
        job = Job(images, on_done)
        with self._lock:
            self._jobs.append(job)
            self._waiting += len(images)
        self._latest = time.perf_counter()
        self._plan()
        return job

    def forget(self, job: Job) -> None:
        """Forget a job for whose answer nobody waits any more, so that a slow model does not gather them."""
        with self._lock:
            job.is_over = True
            if job in self._jobs:
                self._jobs.remove(job)
                self._waiting -= len(job.images) - job.taken

    def close(self, seconds: float = 5.0) -> None:
        """End the computing thread, and wait for it that long."""
        self._bell.put(None)
        self._thread.join(seconds)

    def _plan(self) -> None:
        """Begin the next batch once the loop has seen to what else has arrived, and more images have been awaited."""
        if self._is_awake or self._is_due or not self._waiting:
            return
        loop = asyncio.get_running_loop()
        if self._is_ready():
            self._is_due = True
            loop.call_soon(self._begin)
        elif self._timer is None:
            self._timer = loop.call_later(self._limits.max_wait, self._begin)

    def _begin(self) -> None:
        """Compute the next batch, or wake the thread for it."""
        if self._is_awake:
            self._is_due = False
            return
        if self._is_short() and not self._is_full() and time.perf_counter() - self._latest < _GAP:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._begin)
            return
        self._is_due = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        with self._lock:
            if not self._is_short():
                self._is_awake = True
                self._bell.put(asyncio.get_running_loop())
                return
            batch = self._next_batch()
        if batch:
            self._end(self._compute(batch))

    def _end(self, answers: _Answers) -> None:
        """Hand out the answers of a batch, and plan the next one."""
        self._plan()
        for job, first, part in answers:
            job.add(first, part)

    def _work(self) -> None:
        """Compute batches when the bell rings, in the thread."""
        while (loop := self._bell.get()) is not None:
            self._compute_waiting(loop)

    def _compute_waiting(self, loop: asyncio.AbstractEventLoop) -> None:
        """Compute what waits; a method of its own, so that the thread keeps no batch while it sleeps."""
        batch = self._next_of_thread(is_first=True)
        while batch:
            answers = self._compute(batch)
            batch = self._next_of_thread()
            with contextlib.suppress(RuntimeError):  # the event loop has ended
                loop.call_soon_threadsafe(self._end, answers)

    def _next_of_thread(self, *, is_first: bool = False) -> _Batch:
        """Return the next batch, or none if the loop is to begin it; then the thread sleeps."""
        with self._lock:
            batch = self._next_batch() if is_first or (self._is_ready() and not self._is_short()) else []
            self._is_awake = bool(batch)
        return batch

    def _is_ready(self) -> bool:
        return not self._limits.max_wait or self._is_full()

    def _is_full(self) -> bool:
        return self._waiting >= self._limits.max_batch

    def _is_short(self) -> bool:
        return self._is_steady and min(self._waiting, self._limits.max_batch) * self._pace <= SHORT

    def _next_batch(self) -> _Batch:
        """Return the images of the next batch; none if nobody waits for them any more."""
        room = self._limits.max_batch
        batch: _Batch = []
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

    def _compute(self, batch: _Batch) -> _Answers:
        pieces = [job.images[first:last] for job, first, last in batch]
        try:
            found = self._timed(pieces[0] if len(pieces) == 1 else np.concatenate(pieces))
        except Exception as error:
            if len(batch) == 1:
                return [(*batch[0][:2], error)]
            return [part for each in batch for part in self._compute([each])]  # since one request may be the cause
        answers: _Answers = []
        is_finite, start = np.isfinite(found).all(), 0
        for job, first, last in batch:
            part = found[start : start + last - first]
            start += last - first
            if is_finite or np.isfinite(part).all():
                answers.append((job, first, part))
            else:
                answers.append((job, first, FloatingPointError("the model returned probabilities that are not finite")))
        return answers

    def _timed(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probabilities of images, and note how long they take.

        Raises:
            ValueError: The model returned something else.
        """
        started = time.perf_counter()
        found = np.asarray(self._predict(images), np.float32)
        seconds = time.perf_counter() - started
        if found.ndim != 2 or len(found) != len(images):
            raise ValueError(f"the model returned {found.shape} instead of ({len(images)}, classes)")
        self._metrics.count_batch(len(found), seconds)
        pace = seconds / len(found)
        self._pace = pace if self._pace == math.inf else max(pace, (1 - _WEIGHT) * self._pace + _WEIGHT * pace)
        return found
