"""Compare runs side by side: differing settings, and McNemar's test on their test predictions."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from zoo import DataError, ZooError, open_run
from zoo_results.columns import settings_of
from zoo_results.mcnemar import PairedTest, holm, paired_test
from zoo_results.saved_predictions import predictions_or_reason

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zoo import Registry, Run

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""Letters that name the runs of a comparison."""

_VERSION = "version of "
_ACCELERATOR, _SETS = "accelerator", "instruction sets"
_UNKNOWN = "unknown"

SIGNIFICANT = 0.05
"""P-value below which a difference is reported as significant."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two runs, compared image by image.

    Args:
        first: Letter of the first run.
        second: Letter of the second run.
        test: McNemar's test.
        adjusted: Its p-value, adjusted for the number of compared pairs.
    """

    first: str
    second: str
    test: PairedTest
    adjusted: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Runs side by side.

    Args:
        runs: The runs, by letter.
        names: Names that the caller used for the runs, by letter: a folder or a recipe.
        differing: Settings and other facts that are not the same in all runs: values by letter, None where a run has
            no such setting.
        pairs: All pairs of runs that have test predictions, compared image by image.
        unpaired: Why a run has no test predictions, by letter.
    """

    runs: dict[str, Run]
    names: dict[str, str]
    differing: dict[str, dict[str, Any]]
    pairs: list[Pair]
    unpaired: dict[str, str]


def compare(*runs: str | Path | Run, registry: Registry | None = None) -> Comparison:
    """Compare runs side by side, as ``zoo compare`` does.

    Args:
        runs: Two or more runs: each a `zoo.Run`, a run folder, or the name of a recipe that ships with trained weights.
        registry: As for `zoo.run`.

    Raises:
        DataError: The runs have different test images, so their results cannot be compared.
        ArtifactError: The test predictions of a run are damaged.
        RunFolderError: One of them is not a run, or its test predictions cannot be read.
    """
    found = [open_run(run, registry=registry) for run in runs]
    return compare_runs([(str(run.path), run) for run in found])


def compare_runs(named: Sequence[tuple[str, Run]]) -> Comparison:
    """Compare runs side by side.

    Args:
        named: The runs, each with its name.

    Raises:
        DataError: The runs have different test images, so their results cannot be compared.
        ArtifactError: The test predictions of a run are damaged.
        RunFolderError: They cannot be read.
    """
    if not 2 <= len(named) <= len(LETTERS):
        raise ZooError(f"This number of runs cannot be compared. Pass 2 to {len(LETTERS)}. Received: runs={len(named)}")
    _check_same_data(named)
    runs = {letter: run for letter, (_, run) in zip(LETTERS, named, strict=False)}
    names = {letter: name for letter, (name, _) in zip(LETTERS, named, strict=False)}
    right, unpaired = _right_answers(runs, names)
    return Comparison(runs=runs, names=names, differing=_differing(runs), pairs=_pairs(right), unpaired=unpaired)


def _check_same_data(named: Sequence[tuple[str, Run]]) -> None:
    """Raise `DataError` unless all runs have the same test images, as far as their records show."""
    for (first_name, first), (name, other) in combinations(named, 2):
        fault = None
        mine, theirs = first.record.data, other.record.data
        names = [run.record.recipe.dataset for run in (first, other)]
        tested = [run.record.test_examples_sha256 for run in (first, other)]
        if mine.class_names != theirs.class_names:
            fault = "their classes differ"
        elif mine.test != theirs.test:
            fault = f"they have {mine.test:,} and {theirs.test:,} test images"
        elif None not in tested:  # the training data may differ
            fault = None if tested[0] == tested[1] else "their test images differ"
        elif mine.digests != theirs.digests:
            fault = "the digests of their data files differ"
        elif not mine.digests and (names[0].plugin, names[0].name) != (names[1].plugin, names[1].name):
            fault = "their datasets differ"
        if fault:
            raise _other_data((first_name, first), (name, other), fault)


def _other_data(one: tuple[str, Run], other: tuple[str, Run], fault: str) -> DataError:
    return DataError(
        f"Cannot compare the results of {one[0]} and {other[0]}: {fault}. Compare runs with the same test "
        f"images. Received: dataset={one[1].record.recipe.dataset.name!r} and {other[1].record.recipe.dataset.name!r}"
    )


def _differing(runs: dict[str, Run]) -> dict[str, dict[str, Any]]:
    facts = {letter: _facts(run) for letter, run in runs.items()}
    keys = list(dict.fromkeys(key for each in facts.values() for key in each))
    rows = {key: {letter: each.get(key) for letter, each in facts.items()} for key in keys}
    first = next(iter(runs))
    return {
        key: row
        for key, row in rows.items()
        if any(value != row[first] for value in row.values()) and not _is_for_lack_of_facts(key, row)
    }


def _is_for_lack_of_facts(key: str, row: dict[str, Any]) -> bool:
    """Return whether a row differs only because some runs lack the fact.

    A run did not use a package that it did not have, and older records lack the accelerator and the instruction sets.
    """
    if key not in (_ACCELERATOR, _SETS) and not key.startswith(_VERSION):
        return False
    return len({value for value in row.values() if value not in (None, _UNKNOWN)}) < 2


def _facts(run: Run) -> dict[str, Any]:
    """Return the facts that may explain why the results of runs differ."""
    recipe, environment = run.record.recipe, run.record.environment
    return {
        "recipe": f"{recipe.plugin}/{recipe.name}",
        **recipe.choices(),
        **settings_of(run),
        "init": None if run.record.init is None else f"{run.record.init.source} ({run.record.init.sha256[:8]})",
        "backend": environment.backend,
        "dtype policy": environment.dtype_policy,
        "processor": f"{environment.processors} x {environment.processor}",
        _SETS: _UNKNOWN if environment.instruction_sets is None else " ".join(environment.instruction_sets) or "none",
        _ACCELERATOR: _UNKNOWN if environment.accelerator is None else environment.accelerator or "none",
        "python": environment.python,
        **{_VERSION + name: version for name, version in environment.packages.items()},
    }


def _right_answers(runs: dict[str, Run], names: dict[str, str]) -> tuple[dict[str, NDArray[np.bool_]], dict[str, str]]:
    """Return which test images each run classifies correctly, and why others have no test predictions, by letter."""
    right: dict[str, NDArray[np.bool_]] = {}
    unpaired: dict[str, str] = {}
    labels = None
    for letter, run in runs.items():
        found = predictions_or_reason(run)
        if isinstance(found, str):
            unpaired[letter] = found
            continue
        if labels is not None and (labels != found.labels).any():
            first, this = ((names[each], runs[each]) for each in (next(iter(right)), letter))
            raise _other_data(first, this, "the classes of their test images differ")
        labels = found.labels
        right[letter] = found.probabilities.argmax(axis=1) == labels
    return right, unpaired


def _pairs(right: dict[str, NDArray[np.bool_]]) -> list[Pair]:
    tests = {pair: paired_test(right[pair[0]], right[pair[1]]) for pair in combinations(right, 2)}
    adjusted = holm([test.p_value for test in tests.values()])
    return [
        Pair(first=pair[0], second=pair[1], test=test, adjusted=p)
        for (pair, test), p in zip(tests.items(), adjusted, strict=True)
    ]
