"""The logs of an epoch: the metrics that callbacks receive, by Keras's names."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from zoo.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo.recipes.components import Component
    from zoo.runs.records import EpochRecord, Metrics

_OWN_MODES = {"loss": "min", "accuracy": "max"}
_LARGEST = 1e30  # as in records


def values_of(metrics: Metrics) -> dict[str, float]:
    """Return metrics by name: ``{"loss": 0.5, "accuracy": 0.8, "macro-f1": 0.7}``."""
    return {"loss": metrics.loss, "accuracy": metrics.accuracy, **metrics.others}


def logs_of(record: EpochRecord) -> dict[str, float]:
    """Return the logs of an epoch: training metrics, validation metrics as ``val_<name>``, and what callbacks added."""
    validation = {} if record.validation is None else values_of(record.validation)
    return values_of(record.train) | {f"val_{name}": value for name, value in validation.items()} | record.logs


def modes_of_logs(metrics: Sequence[Component], validation: bool) -> dict[str, str]:
    """Return whether the largest (``"max"``) or smallest value is best, for each name in the logs of an epoch.

    Args:
        metrics: The registered metrics of the run.
        validation: Whether there are validation images.
    """
    modes = _OWN_MODES | {metric.name: metric.mode for metric in metrics}
    return _OWN_MODES | ({f"val_{name}": mode for name, mode in modes.items()} if validation else {})


def added_value(callback: str, key: object, value: Any) -> float:
    """Return a value that a callback added to the logs of an epoch as a number.

    Raises:
        PluginError: It is not a finite number, or its key is not a name.
    """
    number = float("nan")
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        number = float("nan") if isinstance(value, str | bytes) else float(value)
    if not isinstance(key, str) or not abs(number) <= _LARGEST:
        raise PluginError(
            f"The callback {callback} added {key!r} to the logs of an epoch, which is not a finite number. Add only "
            f"numbers, each under a name: zoo records them. Received: {key}={value!r:.100}",
            plugin=callback.partition("/")[0],
        )
    return number
