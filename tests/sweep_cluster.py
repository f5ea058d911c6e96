"""A Ray cluster of two nodes on the loopback interface, for tests, in a process of its own.

Usage: python -m tests.sweep_cluster. Prints the address. A line on standard input removes the second node; the end of
standard input ends the cluster.
"""

from __future__ import annotations

import os
import sys

LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
"""What the processes of a cluster on the loopback interface, and those that talk to it, need in their environment."""


def main() -> None:
    os.environ |= LOOPBACK
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = cluster.add_node(num_cpus=1)
    print(cluster.address, flush=True)
    if sys.stdin.readline():
        cluster.remove_node(second, allow_graceful=False)
        print("removed", flush=True)
        sys.stdin.read()
    cluster.shutdown()  # type: ignore[no-untyped-call]  # Ray's own has no types


if __name__ == "__main__":
    main()
