"""More than one process: data-parallel training, and sweeps on a cluster, on Ray where its extra is installed."""

from __future__ import annotations

from zoo import Entry, hookimpl


@hookimpl
def register_trainers() -> list[Entry]:
    """Return the trainer."""
    return [
        Entry(
            name="ray",
            target="zoo_ray.trainer:RayTrainer",
            summary="What fit does, shared out over worker processes, on this machine or on a Ray cluster.",
        )
    ]
