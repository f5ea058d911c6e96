"""The configurations of a sweep: means and deviations across seeds and folds, and the best one by validation."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zoo import Metrics
    from zoo_sweep.records import SweepRecord, TrialRecord


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Mean and standard deviation across seeds and folds.

    Args:
        mean: The mean.
        deviation: The sample standard deviation, None for a single trial.
    """

    mean: float
    deviation: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Figures:
        """Return the mean and deviation of one or more values."""
        return cls(mean=statistics.fmean(values), deviation=statistics.stdev(values) if len(values) > 1 else None)


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """Trials that differ only in their seeds and folds.

    Args:
        number: Its number.
        trials: One for each seed and fold.
    """

    number: int
    trials: tuple[TrialRecord, ...]

    @property
    def label(self) -> str:
        """The values that distinguish it from other configurations."""
        return self.trials[0].label

    @property
    def is_whole(self) -> bool:
        """Whether all its trials are trained and have validation metrics; otherwise it cannot be compared."""
        return all(trial.status == "trained" and trial.validation is not None for trial in self.trials)

    def validation(self, name: str) -> Figures | None:
        """Return a validation metric across the trained seeds, or None if there are none, or they do not have it."""
        return self._figures(lambda trial: trial.validation if trial.status == "trained" else None, name)

    def test(self, name: str) -> Figures | None:
        """Return a test metric across the seeds, or None unless all of them were tested and have it."""
        if any(trial.test is None for trial in self.trials):
            return None
        return self._figures(lambda trial: trial.test, name)

    def _figures(self, metrics_of: Callable[[TrialRecord], Metrics | None], name: str) -> Figures | None:
        found = [metrics for trial in self.trials if (metrics := metrics_of(trial)) is not None]
        if not found or any(name not in ("loss", "accuracy", *metrics.others) for metrics in found):
            return None
        return Figures.of([metrics.value(name) for metrics in found])


def configurations_of(record: SweepRecord) -> list[Configuration]:
    """Return the configurations, best first. Those that cannot be chosen come last, in the order of their trials."""
    groups: dict[int, list[TrialRecord]] = {}
    for trial in record.trials:
        groups.setdefault(trial.configuration, []).append(trial)
    several = [Configuration(number=number, trials=tuple(trials)) for number, trials in groups.items()]
    return sorted(several, key=lambda each: (not each.is_whole, *(_sort_key(record, each) if each.is_whole else ())))


def best_of(record: SweepRecord) -> int | None:
    """Return the number of the best configuration by validation, among those whose trials are all trained."""
    first = next(iter(configurations_of(record)), None)
    return first.number if first is not None and first.is_whole else None


def _sort_key(record: SweepRecord, configuration: Configuration) -> tuple[float, ...]:
    figures, loss = configuration.validation(record.choose_by), configuration.validation("loss")
    if figures is None or loss is None:
        return ()
    return (figures.mean if record.is_minimized else -figures.mean, loss.mean)


def metrics_of(record: SweepRecord) -> list[str]:
    """Return the names of the metrics that trials have: loss, accuracy and further ones."""
    several = [metrics for trial in record.trials for metrics in (trial.validation, trial.test) if metrics is not None]
    return list(dict.fromkeys(["loss", "accuracy", *(name for metrics in several for name in metrics.others)]))
