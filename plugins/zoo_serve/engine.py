"""What computes: reads bodies, decodes in threads, computes in batches, within the limits of the service."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from starlette.exceptions import HTTPException

from zoo.images import WORKERS
from zoo_serve.batch_sizes import with_few_sizes
from zoo_serve.batching import Batcher
from zoo_serve.bodies import BodyReader
from zoo_serve.metrics import ServiceMetrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Self

    from zoo_serve.batching import Predict
    from zoo_serve.limits import Limits
    from zoo_serve.messages import Request
    from zoo_serve.served_model import ServedModel

Made = TypeVar("Made")


class Engine:
    """What the endpoints of a model share.

    Args:
        served: The model.
        limits: Limits of the service.

    Attributes:
        served: The model.
        limits: Limits of the service.
        metrics: Metrics of the service.
        batcher: Computes images.
    """

    def __init__(self, served: ServedModel, limits: Limits) -> None:
        """Start the threads that decode and compute."""
        self.served, self.limits = served, limits
        self.metrics = ServiceMetrics()
        predict: Predict = served.model.predict
        if served.compiles_each_size:
            predict = with_few_sizes(predict, limits.max_batch)
        self.batcher = Batcher(predict, limits, self.metrics, is_steady=served.is_steady)
        self.bodies = BodyReader(limits)
        self._decoders = ThreadPoolExecutor(WORKERS, "zoo-serve-decode")
        self._parser = ThreadPoolExecutor(1, "zoo-serve-parse")  # one at a time, since parsed JSON takes much memory

    def __enter__(self) -> Self:
        """Return the engine."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the threads."""
        self.batcher.close()
        for pool in (self._decoders, self._parser):
            pool.shutdown(wait=False, cancel_futures=True)

    @contextlib.asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """Yield the body of a request; the block must end within the time for an answer.

        Raises:
            HTTPException: The body cannot be read, as for `BodyReader`, comes too slowly (408), or the block takes too
                long (504).
            ClientDisconnect: The client left.
        """
        limits = self.limits
        try:
            async with asyncio.timeout(limits.read_timeout) as clock:  # one for both, since each costs as much as a
                body = await self.bodies.read(request)  # small request's computation in Python
                due = asyncio.get_running_loop().time() + limits.timeout
                if due != clock.when():  # uvloop's time stands still in a turn, in which small bodies come with heads
                    clock.reschedule(due)
                yield await self.bodies.inflate(request, body)
        except TimeoutError as error:
            if not request.is_read:
                text = f"The request did not arrive within {limits.read_timeout:g} s."
                raise HTTPException(408, text) from error
            raise self.too_late() from error
        finally:
            self.bodies.release(request)

    def too_late(self) -> HTTPException:
        """Return the error of a request that was not answered in time (504)."""
        return HTTPException(
            504, f"The request was not answered within {self.limits.timeout:g} s.", {"Retry-After": "1"}
        )

    async def decode(self, function: Callable[[], Made]) -> Made:
        """Return what a function returns that decodes images; at most eight run at a time."""
        return await asyncio.get_running_loop().run_in_executor(self._decoders, function)

    async def parse(self, function: Callable[[], Made]) -> Made:
        """Return what a function returns that parses JSON; one runs at a time."""
        return await asyncio.get_running_loop().run_in_executor(self._parser, function)
