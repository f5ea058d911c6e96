"""Data-parallel training over multiple processes, and sweeps on a cluster, with Ray (extra ``ray``)."""

from __future__ import annotations

from zoo import Entry, hookimpl


@hookimpl
def register_trainers() -> list[Entry]:
    """Return the trainer `ray`."""
    return [
        Entry(
            name="ray",
            target="zoo_ray.trainer:RayTrainer",
            summary="Like fit, with each batch split over worker processes, on this machine or a Ray cluster.",
        )
    ]
