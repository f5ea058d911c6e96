"""Check whether a recipe's recorded results hold, by training and testing it again."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from zoo.pipeline.preparation import prepare
from zoo.pipeline.results import read_results
from zoo.registry.plugins import load_registry
from zoo.runs import environment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from zoo.pipeline.run_config import RunConfig
    from zoo.registry.registry import Registry
    from zoo.runs.records import RecipeResults, SeedRecord
    from zoo.runs.run_folder import Run

Verdict = Literal["exact", "within", "outside", "unknown"]
"""Bit-identical; accuracy within the expected interval; outside it; not identical, and no interval to compare with."""

_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""0.975 quantiles of Student's t distribution with 1 to 10 degrees of freedom; more use the last, a little too wide."""


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """A recipe trained again, and its recorded results.

    Args:
        run: The new run, tested.
        recorded: The recorded results.
        same_seed: The recorded results of the same seed, or None if that seed is not recorded.
        verdict: Whether the recorded results hold.
        interval: Lowest and highest test accuracy expected of another seed, or None if only one seed is recorded.
        differs: Differences in machine and versions from the recorded run with the same seed.
    """

    run: Run
    recorded: RecipeResults = field(repr=False)
    same_seed: SeedRecord | None = field(repr=False)
    verdict: Verdict
    interval: tuple[float, float] | None
    differs: tuple[str, ...]

    @property
    def is_reproduced(self) -> bool:
        """Whether the recorded results hold."""
        return self.verdict in ("exact", "within")


def expected_interval(accuracies: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % prediction interval for the accuracy of one more seed, or None for fewer than two accuracies.

    Accuracies are assumed to be normally distributed. The interval is the mean of the n seeds, plus and minus their
    sample standard deviation times Student's t with n - 1 degrees of freedom times the square root of 1 + 1/n (Hahn
    and Meeker, *Statistical Intervals*, 1991, section 4.7).
    """
    count = len(accuracies)
    if count < 2:
        return None
    reach = _T[min(count - 1, len(_T)) - 1] * statistics.stdev(accuracies) * math.sqrt(1 + 1 / count)
    mean = statistics.fmean(accuracies)
    return mean - reach, mean + reach


def prepare_reproduction(
    recipe: str,
    registry: Registry,
    *,
    seed: int | None = None,
    out: str | Path | None = None,
    data_dir: str | Path | None = None,
) -> tuple[RunConfig, RecipeResults]:
    """Return the prepared run that trains a recipe again, and its recorded results. Arguments as for `reproduce`."""
    recorded = read_results(recipe, registry)
    seeds = [each.seed for each in recorded.seeds]
    if seed is None:
        own = registry.recipes.get(recipe).item.seed
        seed = own if own in seeds else seeds[0]
    return prepare(recipe, registry=registry, seed=seed, out=out, data_dir=data_dir), recorded


def compare_with_recorded(run: Run, recorded: RecipeResults) -> Reproduction:
    """Compare a new run of a recipe with the recorded results."""
    same_seed = next((each for each in recorded.seeds if each.seed == run.record.recipe.seed), None)
    interval = expected_interval([each.test.accuracy for each in recorded.seeds])
    differs = [] if same_seed is None else environment.differences(same_seed.environment, run.record.environment)
    return Reproduction(
        run=run,
        recorded=recorded,
        same_seed=same_seed,
        verdict=_verdict(run, same_seed, interval),
        interval=interval,
        differs=tuple(differs),
    )


def reproduce(
    recipe: str,
    *,
    seed: int | None = None,
    out: str | Path | None = None,
    data_dir: str | Path | None = None,
    progress: object | None = None,
    registry: Registry | None = None,
) -> Reproduction:
    """Train and test a recipe again, and compare it with its recorded results.

    Args:
        recipe: Name of a recipe that ships with results.
        seed: Seed of the run; by default the recipe's seed if it is recorded, else the first recorded seed.
        out: The run folder, as for `zoo.run`.
        data_dir: Folder or file to read the dataset from, as for `zoo.run`.
        progress: As for `zoo.run`.
        registry: As for `zoo.run`.

    Raises:
        RunFolderError: The recipe ships without recorded results, or they are damaged.
        SettingError: The recipe's settings have changed since the results were recorded.
        ZooError: As for `zoo.run`.
    """
    registry = registry or load_registry()
    config, recorded = prepare_reproduction(recipe, registry, seed=seed, out=out, data_dir=data_dir)
    return compare_with_recorded(config.run(progress), recorded)


def _verdict(run: Run, same_seed: SeedRecord | None, interval: tuple[float, float] | None) -> Verdict:
    record = run.record
    if same_seed is not None and (record.model_sha256, record.test) == (same_seed.model_sha256, same_seed.test):
        return "exact"
    if interval is None or record.test is None:
        return "unknown"
    low, high = interval
    tolerance = 1e-9  # for rounding of the mean if all seeds have the same accuracy
    return "within" if low - tolerance <= record.test.accuracy <= high + tolerance else "outside"
