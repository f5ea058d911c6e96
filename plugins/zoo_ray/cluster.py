"""Connecting to a Ray cluster: an existing one, or a new one that only this machine can reach."""

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

_SPARE = 300_000_000  # bytes of shared memory besides the data, for states in transit
_HERE = ("127.0.0.1", "localhost", "[::1]")
_LOOK = 1.0  # seconds between checks of the cluster's nodes


class ClusterError(Exception):
    """The cluster cannot be used; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster that this process is connected to.

    Args:
        threads: CPUs per worker.
        node: Id of the node that this process runs on.
    """

    threads: int
    node: str


def set_variables(start: Start) -> None:
    """Set the environment variables for Ray and its processes. Call this before Ray is imported."""
    is_here = start.address is None or start.address.rpartition(":")[0] in _HERE
    os.environ |= LOOPBACK if is_here else QUIET
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"  # relative file names keep their meaning
    os.environ["RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"] = str(start.patience)


@contextlib.contextmanager
def connected(start: Start, on_answer: Callable[[], None]) -> Iterator[Cluster]:
    """Start or connect to a cluster, and shut down or disconnect at the end.

    Args:
        start: Requirements of the run.
        on_answer: Callback to call once the cluster has responded, before waiting for room.

    Raises:
        ClusterError: The cluster cannot be reached, or has no room for the workers.
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
            raise ClusterError(f"connecting to the Ray cluster failed: {one_line(error)}") from error
    try:
        on_answer()
        threads = _room(start)
        yield Cluster(threads=threads, node=ray.get_runtime_context().get_node_id())
    finally:
        ray.shutdown()


def _room(start: Start) -> int:
    """Return the number of CPUs that each worker can use, waiting for nodes that may still join."""
    deadline = time.monotonic() + start.patience
    while True:
        sizes = processors()
        threads = start.threads or largest_share(sizes, start.workers)
        if threads and sum(size // threads for size in sizes) >= start.workers:
            return threads
        if time.monotonic() > deadline:
            raise ClusterError(
                f"the cluster has no room for {start.workers} workers with {threads or 1} "
                f"CPU{'s' if threads > 1 else ''} each. CPUs per node: {', '.join(map(str, sizes)) or 'none'}"
            )
        time.sleep(_LOOK)


def processors() -> list[int]:
    """Return the number of CPUs of each live node."""
    import ray

    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]  # Ray's types are incomplete
    return [int(node["Resources"].get("CPU", 0)) for node in nodes if node["Alive"]]


def largest_share(sizes: list[int], workers: int) -> int:
    """Return the largest number of CPUs per worker that fits on nodes of these sizes, or 0 if none does."""
    return max(
        (each for each in range(1, max(sizes, default=0) + 1) if sum(size // each for size in sizes) >= workers),
        default=0,
    )
