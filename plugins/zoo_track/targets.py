"""The trackers' targets: they check that a tracker can be used and create the callback of a run."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.utils import missing_extra

if TYPE_CHECKING:
    import keras

    from zoo import RunContext


@dataclass(frozen=True, kw_only=True)
class Target:
    """A tracker.

    Args:
        name: Its name, which is also the name of its extra.
        package: The package that must be installed.
        writer: Import path of its `Writer`, such as ``"zoo_track.mlflow_writer:MlflowWriter"``.
    """

    name: str
    package: str
    writer: str

    def check(self) -> None:
        """Raise `PluginError` if its package is not installed."""
        if importlib.util.find_spec(self.package) is None:
            raise missing_extra(f"Tracker {self.name!r}", self.name, f"no module named {self.package!r}")

    def __call__(self, run: RunContext) -> keras.callbacks.Callback:
        """Return the callback that reports a run to the tracker."""
        from zoo_track.callback import Tracking

        return Tracking(run, self.writer)


TENSORBOARD = Target(name="tensorboard", package="tensorboard", writer="zoo_track.tensorboard_writer:TensorBoardWriter")
MLFLOW = Target(name="mlflow", package="mlflow", writer="zoo_track.mlflow_writer:MlflowWriter")
