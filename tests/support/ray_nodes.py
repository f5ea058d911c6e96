"""A Ray cluster of two nodes on the loopback interface, for tests, in a process of its own.

Usage: python -m tests.support.ray_nodes, which `two_nodes` calls. It prints its address, and obeys what is written to
it, a line each: ``add`` a node, ``remove`` the newest. Each node has one processor. When its input ends, so does the
cluster.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from zoo_ray.processes import LOOPBACK

from tests.support import ROOT
from zoo.utils.processes import living_in_session


class Nodes:
    """A cluster of two nodes, in a process that leads a session of its own."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.ray_nodes"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self.address = self._line()

    def add(self) -> None:
        self._tell("add")

    def remove(self) -> None:
        self._tell("remove")

    def end(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()

    def _tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        assert self._line() == "done"

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@contextlib.contextmanager
def two_nodes() -> Iterator[Nodes]:
    """Have a cluster, and ask in the end that it leaves no process."""
    nodes = Nodes()
    leader = nodes.process.pid
    try:
        assert nodes.address.startswith("127.0.0.1:")
        yield nodes
        nodes.end()
        deadline = time.monotonic() + 20
        while living_in_session(leader) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert living_in_session(leader) == []
    finally:
        for process in living_in_session(leader):  # whatever went wrong
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        nodes.process.wait()


def main() -> None:
    """Serve until the input ends."""
    os.environ |= LOOPBACK
    from ray import cluster_utils

    Cluster: Any = cluster_utils.Cluster  # noqa: N806  # Ray's types are not whole

    small = {"num_cpus": 1, "object_store_memory": 150_000_000, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=small)
    nodes = [cluster.add_node(**small)]
    print(cluster.address, flush=True)
    try:
        for line in sys.stdin:
            if line.strip() == "add":
                nodes.append(cluster.add_node(**small))
            else:
                cluster.remove_node(nodes.pop(), allow_graceful=False)
            print("done", flush=True)
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
