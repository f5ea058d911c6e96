"""The MLflow writer: logs parameters, metrics of each epoch, files and status of a run."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

# give up soon on a server that does not respond, unless the user has set other limits
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # the user asked for a server of their own alone

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from zoo.cli.toolkit import setting_text

if TYPE_CHECKING:
    from zoo_track.messages import End, Epoch, Start

_EXPERIMENT = "zoo"
_RUN_TAG = "zoo.run"
_LONGEST = 6000  # characters of a parameter: MLflow's own limit
_AT_ONCE = 100  # parameters per request: MLflow's own limit
_STATUS = {"tested": "FINISHED", "trained": "FINISHED", "failed": "FAILED"}


class MlflowWriter:
    """Writes to the server in ``MLFLOW_TRACKING_URI``, as MLflow's own client reads it."""

    def __init__(self) -> None:
        """Create the client without contacting the server."""
        self._client = MlflowClient()
        self._run = ""

    def start(self, message: Start) -> None:
        """Create an MLflow run in the experiment, or continue the one that this run created before."""
        experiment = self._experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME") or _EXPERIMENT)
        quoted = message.run.replace("'", "")
        found = self._client.search_runs([experiment], f"tags.`{_RUN_TAG}` = '{quoted}'", max_results=1)
        if found:
            self._run = found[0].info.run_id
            self._client.update_run(self._run, status="RUNNING")
        else:
            tags = {_RUN_TAG: quoted, "zoo.recipe": message.recipe, "mlflow.source.name": "zoo"}
            name = Path(message.path).resolve().name
            self._run = self._client.create_run(experiment, tags=tags, run_name=name).info.run_id
        parameters = [Param(name, setting_text(value)[:_LONGEST]) for name, value in message.settings.items()]
        for start in range(0, len(parameters), _AT_ONCE):
            self._client.log_batch(self._run, params=parameters[start : start + _AT_ONCE])

    def epoch(self, message: Epoch) -> None:
        """Log the metrics of an epoch."""
        self._log(message.metrics, message.epoch)

    def end(self, message: End) -> None:
        """Log the test metrics, the files and the final status."""
        self._log(message.metrics, message.epochs)
        self._client.log_batch(self._run, tags=[RunTag("zoo.status", message.status)])
        for file in message.files:
            self._client.log_artifact(self._run, file)
        self._client.set_terminated(self._run, status=_STATUS.get(message.status, "KILLED"))

    def _log(self, metrics: dict[str, float], step: int) -> None:
        now = int(time.time() * 1000)
        several = [Metric(name, value, now, step) for name, value in metrics.items()]
        if several:
            self._client.log_batch(self._run, metrics=several)

    def _experiment(self, name: str) -> str:
        """Return the id of an experiment. Create it if needed, even if another run is creating it at the same time."""
        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self._client.create_experiment(name))
            except MlflowException:
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
        return str(found.experiment_id)
