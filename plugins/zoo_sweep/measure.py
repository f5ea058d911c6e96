"""The validation metric that chooses the best configuration of a sweep, and whether its largest value is best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo import SettingError
from zoo.cli.toolkit import setting_text, suggest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zoo import RunConfig
    from zoo_sweep.records import Mode

OWN: dict[str, Mode] = {"loss": "min", "accuracy": "max"}
"""The metrics that every trial has."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A validation metric.

    Args:
        name: Its name: ``"macro-f1"``.
        mode: Whether its largest (``"max"``) or its smallest value is best.
    """

    name: str
    mode: Mode


def measure_of(configs: Sequence[RunConfig], given: str | None) -> Measure:
    """Return the metric to choose by: the given one, or the one by which all trials choose their epoch.

    Raises:
        SettingError: No metric is given, and the trials choose by different ones; or some do not have the given one.
    """
    several = [_metrics_of(config) for config in configs]
    name = _common_monitor(configs) if given is None else given.rpartition("/")[2]
    for metrics in several:
        if name not in metrics:
            raise SettingError(
                "Not all trials have the metric that chooses the best configuration. Compute it in all of them with "
                f"--metric, or choose by one of: {', '.join(metrics)}.{suggest(name, list(metrics))} "
                f"Received: choose_by={given!r}",
                name="choose_by",
                value=given,
            )
    found = {metrics[name] for metrics in several}
    if len(found) > 1:
        owners = " and ".join(sorted(owner for owner, _ in found))
        raise SettingError(
            "The trials have different metrics with the name that chooses the best configuration. Choose by another "
            f"one with --choose-by. Received: choose_by={name!r}, which is {owners}",
            name="choose_by",
            value=given,
        )
    ((_, mode),) = found
    return Measure(name=name, mode=mode)


def _common_monitor(configs: Sequence[RunConfig]) -> str:
    monitors = {config.recipe.monitor for config in configs}
    if len(monitors) > 1:
        raise SettingError(
            "The trials choose their best epochs by different metrics. Pass --choose-by to set the metric that "
            "chooses the best configuration. Received: monitor=" + " and ".join(sorted(monitors))
        )
    return monitors.pop()


def _metrics_of(config: RunConfig) -> dict[str, tuple[str, Mode]]:
    """Return the metrics of a trial by name, each as text with its plugin and settings, and its mode."""
    own: dict[str, tuple[str, Mode]] = {name: (name, mode) for name, mode in OWN.items()}
    return own | {
        metric.name: (_text(metric.qualified_name, metric.settings), "min" if metric.mode == "min" else "max")
        for metric in config.recipe.metrics
    }


def _text(name: str, settings: Mapping[str, Any]) -> str:
    inside = ", ".join(f"{key}={setting_text(value)}" for key, value in settings.items())
    return f"{name} ({inside})" if inside else name
