"""The configurations of a sweep: means and deviations over seeds, and the best of them by validation."""

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
    """Mean and standard deviation over seeds.

    Args:
        mean: The mean.
        deviation: The sample standard deviation, None for a single seed.
    """

    mean: float
    deviation: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Figures:
        """Return the figures of one value or more."""
        return cls(mean=statistics.fmean(values), deviation=statistics.stdev(values) if len(values) > 1 else None)


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """Trials that differ in their seeds alone.

    Args:
        number: Its number.
        trials: One for each seed.
    """

    number: int
    trials: tuple[TrialRecord, ...]

    @property
    def label(self) -> str:
        """What it differs in from the others."""
        return self.trials[0].label

    @property
    def is_whole(self) -> bool:
        """Whether all of its trials are trained and have validation metrics: others cannot be compared with it."""
        return all(trial.status == "trained" and trial.validation is not None for trial in self.trials)

    def validation(self, name: str) -> Figures | None:
        """Return a validation metric over the seeds that are trained, None if there is none."""
        return self._figures(lambda trial: trial.validation if trial.status == "trained" else None, name)

    def test(self, name: str) -> Figures | None:
        """Return a test metric over the seeds, None unless all of them are tested."""
        if any(trial.test is None for trial in self.trials):
            return None
        return self._figures(lambda trial: trial.test, name)

    def _figures(self, metrics_of: Callable[[TrialRecord], Metrics | None], name: str) -> Figures | None:
        values = [getattr(metrics, name) for trial in self.trials if (metrics := metrics_of(trial)) is not None]
        return Figures.of(values) if values else None


def configurations_of(record: SweepRecord) -> list[Configuration]:
    """Return the configurations, the best first; those that cannot be chosen come last, in the order of trials."""
    groups: dict[int, list[TrialRecord]] = {}
    for trial in record.trials:
        groups.setdefault(trial.configuration, []).append(trial)
    several = [Configuration(number=number, trials=tuple(trials)) for number, trials in groups.items()]
    return sorted(several, key=lambda each: (not each.is_whole, *(_sort_key(record, each) if each.is_whole else ())))


def best_of(record: SweepRecord) -> int | None:
    """Return the number of the best configuration by validation: of those whose every trial is trained."""
    first = next(iter(configurations_of(record)), None)
    return first.number if first is not None and first.is_whole else None


def _sort_key(record: SweepRecord, configuration: Configuration) -> tuple[float, ...]:
    loss, accuracy = configuration.validation("loss"), configuration.validation("accuracy")
    if loss is None or accuracy is None:
        return ()
    return (loss.mean,) if record.choose_by == "loss" else (-accuracy.mean, loss.mean)
