"""The process that talks to Ray for a run, as its `ChildProcess`.

Ray gets a separate process because it ends the process that uses it when the cluster is lost, takes over its signal
handlers and writes to its terminal. The process ends with the run, however the run ends.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from zoo.utils import Channel, one_line
from zoo_ray.cluster import Cluster, ClusterError, connected, set_variables
from zoo_ray.coordinator import Coordinator, Status, Work
from zoo_ray.messages import IMAGES, LABELS, Alive, Failed, Start
from zoo_ray.serving import serve, tell
from zoo_ray.sweep_task import is_passed_on
from zoo_ray.worker import work

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoo_ray.messages import WorkUnit

_ASK = 0.2  # seconds between checks that the run still exists
_REPLY = 60.0  # seconds for an actor on this node to answer
_END = 15.0  # seconds for the workers to end on their own
_AFTER = 60.0  # seconds that this process may outlive the run


def main() -> None:
    """Serve a run until it ends."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    channel = Channel.to_parent()
    start = msgspec.msgpack.decode(channel.receive() or b"", type=Start)
    set_variables(start)
    with contextlib.suppress(EOFError):  # the run is over
        try:
            # a sign of life after each operation that may take as long as the run's patience
            alive = partial(tell, channel, Alive())
            with connected(start, alive) as cluster, _telling(channel):
                alive()
                group = _Group(start, cluster)
                try:
                    serve(channel, start.patience, group)
                except EOFError:
                    if start.address is not None:
                        group.end()
        except ClusterError as error:
            tell(channel, Failed(text=str(error)))
    shutil.rmtree(start.folder, ignore_errors=True)  # the run does this too, unless it was killed


def _end_with(parent: int) -> None:
    """End this process soon after the run's, whatever it is waiting for."""
    while os.getppid() == parent:
        time.sleep(1)
    time.sleep(_AFTER)
    os._exit(1)


@contextlib.contextmanager
def _telling(channel: Channel) -> Iterator[None]:
    """Report a fault immediately, because disconnecting from a cluster may end this process."""
    try:
        yield
    except ClusterError as error:
        tell(channel, Failed(text=str(error)))


def _variables() -> dict[str, str]:
    """Return the environment variables for the workers: those of the run that exact results may depend on."""
    own = {name: value for name, value in os.environ.items() if is_passed_on(name)}
    return own | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}


def _put(path: Path) -> Any:
    """Put an array into the cluster and remove its file, which may take up memory too."""
    import numpy as np
    import ray

    reference = ray.put(np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray))
    path.unlink()
    return reference


class _Group:
    """The workers, which Ray Train starts, and restarts when one dies."""

    def __init__(self, start: Start, cluster: Cluster) -> None:
        """Put the data into the cluster and start the workers."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(cluster.node, soft=False)
        self._coordinator: Any = ray.remote(Coordinator).options(num_cpus=0, scheduling_strategy=here).remote()
        self._state: Any = None
        self._error: str | None = None
        self._patience = start.patience
        self.heartbeats = 0
        config = {
            "coordinator": self._coordinator,
            "job": ray.put(start.job),
            "images": _put(Path(start.folder, IMAGES)),
            "labels": _put(Path(start.folder, LABELS)),
            "threads": cluster.threads,
        }
        self._thread = threading.Thread(target=self._train, args=(start, config, cluster.threads), daemon=True)
        self._thread.start()

    def _train(self, start: Start, config: dict[str, Any], threads: int) -> None:
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.tensorflow import TensorflowTrainer

        try:
            TensorflowTrainer(
                work,
                train_loop_config=config,
                scaling_config=ScalingConfig(num_workers=start.workers, resources_per_worker={"CPU": threads}),
                run_config=RunConfig(  # type: ignore[call-arg]  # its type stub is outdated
                    storage_path=start.folder,
                    failure_config=FailureConfig(max_failures=start.restarts),
                    worker_runtime_env={"env_vars": _variables()},
                ),
            ).fit()
        except Exception as error:  # Ray's own, of many kinds
            self._error = one_line(error)
        else:
            self._error = "the workers have ended"

    def post(self, piece: WorkUnit) -> None:
        """Send the workers a work unit."""
        import ray

        self._state = ray.put(piece.state)  # kept until the next one
        work = Work(number=piece.number, state=(self._state,), known=piece.known, order=piece.order)
        self._get(self._coordinator.post.remote(work), self._patience)  # the actor may still be starting

    def news(self, number: int) -> Status:
        """Return the status of a work unit."""
        news: Status = self._get(self._coordinator.news.remote(number, _ASK))
        self.heartbeats = news.heartbeats
        if news.done is None and news.failed is None and self._error is not None:
            return Status(heartbeats=news.heartbeats, done=None, failed=self._error)
        return news

    def end(self) -> None:
        """Let the workers end on their own, so that Ray Train cleans up in a cluster that keeps running."""
        self._get(self._coordinator.end.remote())
        self._thread.join(_END)

    def _get(self, reference: Any, seconds: float = _REPLY) -> Any:
        import ray

        try:
            return ray.get(reference, timeout=seconds)
        except ray.exceptions.RayError as error:
            raise ClusterError(f"the cluster no longer responds: {one_line(error)}") from error


if __name__ == "__main__":
    main()
