"""More than one process: sweeps over settings, and data-parallel training, on Ray where its extra is installed."""

from __future__ import annotations

from zoo import Entry, hookimpl


@hookimpl
def register_commands() -> list[Entry]:
    """Return the commands."""
    return [Entry(name="sweep", target="zoo_ray.sweeping:sweep", summary="Train many variants, and test the best.")]


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
