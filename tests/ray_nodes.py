"""A Ray cluster of several nodes on this machine, in a process of its own: ``python -m tests.ray_nodes``.

It prints its address, and obeys what is written to it, a line each: ``add`` a node, ``remove`` the newest. Each node
has one processor. When its input ends, so does the cluster.
"""

from __future__ import annotations

import os
import sys
from typing import Any


def main() -> None:
    """Serve until the input ends."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # loopback alone
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
