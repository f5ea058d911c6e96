"""Trackers `tensorboard` and `mlflow`, which receive a run's settings, metrics and files."""

from __future__ import annotations

from zoo import Entry, hookimpl


@hookimpl
def register_callbacks() -> list[Entry]:
    """Return the trackers `tensorboard` and `mlflow`."""
    return [
        Entry(
            name="tensorboard",
            target="zoo_track.targets:TENSORBOARD",
            summary="Event files in the run folder; view them with `tensorboard --logdir runs`.",
        ),
        Entry(
            name="mlflow",
            target="zoo_track.targets:MLFLOW",
            summary="A run on the MLflow server in MLFLOW_TRACKING_URI.",
        ),
    ]
