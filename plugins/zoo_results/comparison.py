"""Several runs set side by side: what differs, what they came to, and whether their mistakes tell them apart."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from zoo import DataError, ZooError, open_run, read_predictions
from zoo.errors import RunFolderError
from zoo_results.columns import settings_of
from zoo_results.mcnemar import PairedTest, holm, paired_test

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zoo import Registry, Run

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""What the runs are called in a comparison."""

_VERSION = "version of "
_ACCELERATOR, _SETS = "accelerator", "instruction sets"
_UNKNOWN = "unknown"

SIGNIFICANT = 0.05
"""Below this p-value a difference is called one."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two runs, compared image by image.

    Args:
        first: Letter of the first.
        second: Letter of the second.
        test: McNemar's test.
        adjusted: Its p-value, adjusted for the number of pairs that are compared.
    """

    first: str
    second: str
    test: PairedTest
    adjusted: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Runs side by side.

    Args:
        runs: By letter.
        names: What each was called when it was asked for: its folder, or its recipe.
        differing: Settings and other facts that are not the same in all runs: values by letter, None where there is
            no such setting.
        pairs: Each two runs that have test predictions, compared image by image.
        unpaired: Why a run has none, by letter.
    """

    runs: dict[str, Run]
    names: dict[str, str]
    differing: dict[str, dict[str, Any]]
    pairs: list[Pair]
    unpaired: dict[str, str]


def compare(*runs: str | Path | Run, registry: Registry | None = None) -> Comparison:
    """Return runs side by side: what ``zoo compare`` shows.

    Args:
        runs: Two runs or more, each a `zoo.Run`, a run folder, or the name of a recipe that comes with trained weights.
        registry: As for `zoo.run`.

    Raises:
        DataError: They were tested on other images, so that their figures cannot be compared.
        ArtifactError: The test predictions of one are damaged.
        RunFolderError: One is not a run.
    """
    found = [open_run(run, registry=registry) for run in runs]
    return compare_runs([(str(run.path), run) for run in found])


def compare_runs(named: Sequence[tuple[str, Run]]) -> Comparison:
    """Return several runs side by side.

    Args:
        named: The runs, each with what to call it.

    Raises:
        DataError: They were made with other test images, so that their figures cannot be compared.
        ArtifactError: The test predictions of one are damaged.
    """
    if not 2 <= len(named) <= len(LETTERS):
        raise ZooError(f"A comparison is of 2 to {len(LETTERS)} runs. Received: {len(named)}")
    _check_same_data(named)
    runs = {letter: run for letter, (_, run) in zip(LETTERS, named, strict=False)}
    names = {letter: name for letter, (name, _) in zip(LETTERS, named, strict=False)}
    right, unpaired = _right_answers(runs, names)
    return Comparison(runs=runs, names=names, differing=_differing(runs), pairs=_pairs(right), unpaired=unpaired)


def _check_same_data(named: Sequence[tuple[str, Run]]) -> None:
    """Raise `DataError` unless all runs are about the same test images, as far as their records tell."""
    for (first_name, first), (name, other) in combinations(named, 2):
        fault = None
        mine, theirs = first.record.data, other.record.data
        names = [run.record.recipe.dataset for run in (first, other)]
        tested = [run.record.test_examples_sha256 for run in (first, other)]
        if mine.class_names != theirs.class_names:
            fault = "they have other classes"
        elif mine.test != theirs.test:
            fault = f"they have {mine.test:,} and {theirs.test:,} test images"
        elif None not in tested:  # whatever they were trained on
            fault = None if tested[0] == tested[1] else "their test images are others"
        elif mine.digests != theirs.digests:
            fault = "the files of their data have other digests"
        elif not mine.digests and (names[0].plugin, names[0].name) != (names[1].plugin, names[1].name):
            fault = "they have other data sets"
        if fault:
            raise _other_data((first_name, first), (name, other), fault)


def _other_data(one: tuple[str, Run], other: tuple[str, Run], fault: str) -> DataError:
    return DataError(
        f"The figures of {one[0]} and {other[0]} cannot be compared: {fault}. Compare runs on the same test "
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
    """Return whether a row differs only where some runs have nothing to compare.

    A package that a run did not have is none that it used; an older record lacks the accelerator and the
    instruction sets.
    """
    if key not in (_ACCELERATOR, _SETS) and not key.startswith(_VERSION):
        return False
    return len({value for value in row.values() if value not in (None, _UNKNOWN)}) < 2


def _facts(run: Run) -> dict[str, Any]:
    """Return what may make one run come to other figures than another."""
    recipe, environment = run.record.recipe, run.record.environment
    parts = {
        kind: f"{part.plugin}/{part.name}"
        for kind in ("dataset", "model", "trainer")
        for part in (getattr(recipe, kind),)
    }
    return {
        "recipe": f"{recipe.plugin}/{recipe.name}",
        **parts,
        **settings_of(run),
        "backend": environment.backend,
        "dtype policy": environment.dtype_policy,
        "processor": f"{environment.processors} x {environment.processor}",
        _SETS: _UNKNOWN if environment.instruction_sets is None else " ".join(environment.instruction_sets) or "none",
        _ACCELERATOR: _UNKNOWN if environment.accelerator is None else environment.accelerator or "none",
        "python": environment.python,
        **{_VERSION + name: version for name, version in environment.packages.items()},
    }


def _right_answers(runs: dict[str, Run], names: dict[str, str]) -> tuple[dict[str, NDArray[np.bool_]], dict[str, str]]:
    """Return which test images each run is right on, and why others have no test predictions, by letter."""
    right: dict[str, NDArray[np.bool_]] = {}
    unpaired: dict[str, str] = {}
    labels = None
    for letter, run in runs.items():
        try:
            found = read_predictions(run)
        except RunFolderError as error:
            unpaired[letter] = str(error)
            continue
        if labels is not None and (labels != found.labels).any():
            first, this = ((names[each], runs[each]) for each in (next(iter(right)), letter))
            raise _other_data(first, this, "the classes of their test images are others")
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
