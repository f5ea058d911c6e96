"""Pass a run's work units to the workers, and their results to the run. Every wait is bounded."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

import msgspec

from zoo_ray.cluster import ClusterError, processors
from zoo_ray.messages import Alive, WorkUnit

if TYPE_CHECKING:
    from zoo.utils import Channel
    from zoo_ray.coordinator import Status
    from zoo_ray.messages import Answer


class Workers(Protocol):
    """What does the work units.

    Attributes:
        heartbeats: Number of steps completed so far, as of the last `news`.
    """

    heartbeats: int

    def post(self, piece: WorkUnit) -> None:
        """Send the workers a work unit."""
        ...

    def news(self, number: int) -> Status:
        """Return the status of a work unit, after a short wait."""
        ...


def serve(channel: Channel, patience: float, workers: Workers) -> None:
    """Pass work units to the workers until the run ends.

    Args:
        channel: Channel to the run.
        patience: Seconds without a completed step after which to give up.
        workers: They do the work units.

    Raises:
        ClusterError: The workers failed, or completed no step in time.
        EOFError: The run has ended.
    """
    while True:
        piece = msgspec.msgpack.decode(channel.receive() or b"", type=WorkUnit)
        workers.post(piece)
        tell(channel, Alive())
        heartbeats, deadline = workers.heartbeats, time.monotonic() + patience
        while True:
            channel.receive(0)  # raises if the run has ended; otherwise it sends nothing while it waits
            news = workers.news(piece.number)
            if news.done is not None:
                tell(channel, news.done)
                break
            if news.failed is not None:
                raise ClusterError(news.failed)
            if news.heartbeats != heartbeats:
                heartbeats, deadline = news.heartbeats, time.monotonic() + patience
                tell(channel, Alive())
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"no step was completed for {patience:g} seconds: a node was lost, there is no room for the "
                    f"workers, or they are slow. CPUs per remaining node: {_there()}"
                )


def tell(channel: Channel, answer: Answer) -> None:
    """Send the run a message immediately.

    Raises:
        EOFError: The run has ended.
    """
    channel.send(msgspec.msgpack.encode(answer))
    channel.flush()


def _there() -> str:
    try:
        return ", ".join(map(str, processors())) or "none"
    except Exception:  # Ray's own, of many kinds
        return "unknown"
