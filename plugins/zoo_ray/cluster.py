"""A Ray cluster to work on: one of our own, bound to this machine alone, or one that is there."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.utils import one_line
from zoo_ray.addresses import check_reachable
from zoo_ray.messages import IMAGES
from zoo_ray.processes import LOOPBACK, QUIET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zoo_ray.messages import Start

_SPARE = 300_000_000  # bytes of shared memory besides the data: states on their way
_HERE = ("127.0.0.1", "localhost", "[::1]")
_LOOK = 1.0  # seconds between two looks at the cluster's nodes


class ClusterError(Exception):
    """The cluster cannot be used; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster that this process is connected to.

    Args:
        threads: Processors that each worker takes.
        node: Id of the node that this process is on.
    """

    threads: int
    node: str


def set_variables(start: Start) -> None:
    """Set what Ray and its processes read from the environment; before Ray is imported."""
    is_here = start.address is None or start.address.rpartition(":")[0] in _HERE
    os.environ |= LOOPBACK if is_here else QUIET
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"  # names of files stay what they are
    os.environ["RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"] = str(start.patience)


@contextlib.contextmanager
def connected(start: Start, on_answer: Callable[[], None]) -> Iterator[Cluster]:
    """Start a cluster or connect to one, and end that.

    Args:
        start: What the run asks for.
        on_answer: Is called when the cluster has answered, before it is asked for room.

    Raises:
        ClusterError: It is away, or has no room for the workers.
    """
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if start.address is None:
        threads = start.threads or max(1, len(os.sched_getaffinity(0)) // start.workers)
        ray.init(
            address="local",
            num_cpus=start.workers * threads,
            num_gpus=0,
            include_dashboard=False,
            object_store_memory=2 * Path(start.folder, IMAGES).stat().st_size + _SPARE,
            _temp_dir=start.folder,
            **quiet,
        )
    else:
        try:
            check_reachable(start.address)
            ray.init(address=start.address, **quiet)
        except (OSError, RuntimeError, ValueError) as error:
            raise ClusterError(f"there is no Ray cluster to connect to: {one_line(error)}") from error
    try:
        on_answer()
        threads = _room(start)
        yield Cluster(threads=threads, node=ray.get_runtime_context().get_node_id())
    finally:
        ray.shutdown()


def _room(start: Start) -> int:
    """Return how many processors each worker can have, waiting for nodes that may be on their way."""
    deadline = time.monotonic() + start.patience
    while True:
        sizes = processors()
        threads = start.threads or largest_share(sizes, start.workers)
        if threads and sum(size // threads for size in sizes) >= start.workers:
            return threads
        if time.monotonic() > deadline:
            raise ClusterError(
                f"the cluster has no room for {start.workers} workers of {threads or 1} processors each. "
                f"Its nodes have: {', '.join(map(str, sizes)) or 'none'}"
            )
        time.sleep(_LOOK)


def processors() -> list[int]:
    """Return the processors of each living node."""
    import ray

    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]  # Ray's types are not whole
    return [int(node["Resources"].get("CPU", 0)) for node in nodes if node["Alive"]]


def largest_share(sizes: list[int], workers: int) -> int:
    """Return the most processors that each of so many workers can have on nodes of these sizes, 0 if none."""
    return max(
        (each for each in range(1, max(sizes, default=0) + 1) if sum(size // each for size in sizes) >= workers),
        default=0,
    )
