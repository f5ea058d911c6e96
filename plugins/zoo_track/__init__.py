"""Trackers: TensorBoard and MLflow are told what a run was set to, what each epoch came to, and what it made."""

from __future__ import annotations

from zoo import Entry, hookimpl


@hookimpl
def register_trackers() -> list[Entry]:
    """Return the trackers."""
    return [
        Entry(
            name="tensorboard",
            target="zoo_track.targets:TENSORBOARD",
            summary="Event files in the run folder, for `tensorboard --logdir runs`.",
        ),
        Entry(name="mlflow", target="zoo_track.targets:MLFLOW", summary="A run on the server MLFLOW_TRACKING_URI."),
    ]
