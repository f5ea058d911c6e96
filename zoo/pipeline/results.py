"""What recipes came to with several seeds: made of runs, kept in a file that ships with the recipe, read from there."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import msgspec

from zoo.errors import RunFolderError, SettingError
from zoo.models.build import build_model
from zoo.models.multiply_adds import count_multiply_adds
from zoo.recipes import pretrained, resolution
from zoo.runs import record_io
from zoo.runs.records import RecipeResults, SeedRecord
from zoo.utils import files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from zoo.registry.registry import Registry
    from zoo.runs.records import RecipeRecord
    from zoo.runs.run_folder import Run


def record_results(runs: Sequence[Run], registry: Registry) -> RecipeResults:
    """Return what runs of one recipe came to; builds its model, to count multiply-adds.

    Args:
        runs: Tested runs that differ in nothing but the seed, at least one.
        registry: Where the parts' names are looked up.

    Raises:
        RunFolderError: There is none, one was not tested, two have one seed, or they are not of the same recipe and
            data.
        UnknownNameError: The plugin of a component is not installed.
    """
    if not runs:
        raise RunFolderError("There is nothing to record: give the folders of tested runs of one recipe.")
    ordered = sorted(runs, key=lambda run: run.record.recipe.seed)
    first = ordered[0].record
    for before, run in zip([None, *ordered], ordered, strict=False):
        _check(run, ordered[0], before, registry)
    model = build_model(
        resolution.from_run(registry, ordered[0]).model, first.data.input_shape, len(first.data.class_names)
    )
    return RecipeResults(
        format=record_io.FORMAT,
        recipe=resolution.to_record(resolution.from_run(registry, ordered[0])),
        plugins=first.plugins,
        data=first.data,
        parameters=first.parameters,
        multiply_adds=count_multiply_adds(model),
        seeds=[_seed_of(run) for run in ordered],
    )


def _check(run: Run, first: Run, before: Run | None, registry: Registry) -> None:
    record = run.record
    fault = None
    if record.status != "tested" or record.test is None or record.model_sha256 is None:
        fault = f"is not tested: `zoo test {shlex.quote(str(run.path))}` does that. Received: status={record.status!r}"
    elif before is not None and before.record.recipe.seed == record.recipe.seed:
        fault = f"has the seed of {before.path}: leave one out. Received: seed={record.recipe.seed}"
    elif record.data.differences(first.record.data) or not _is_same(
        resolution.from_run(registry, run), resolution.from_run(registry, first)
    ):
        fault = f"differs from {first.path} in more than the seed: `zoo compare` says in what."
    if fault is not None:
        raise RunFolderError(f"The run in {run.path} {fault}", path=run.path)


def _is_same(one: resolution.ResolvedRecipe, other: resolution.ResolvedRecipe) -> bool:
    """Return whether two resolved recipes differ in nothing but the seed."""
    records: list[RecipeRecord] = [msgspec.structs.replace(resolution.to_record(each), seed=0) for each in (one, other)]
    return records[0] == records[1]


def _seed_of(run: Run) -> SeedRecord:
    record = run.record
    taken: Any = {name: getattr(record, name) for name in ("best_epoch", "validation", "test", "model_sha256")}
    return SeedRecord(
        seed=record.recipe.seed,
        seconds=record.seconds.train,
        started=record.started,
        environment=record.environment,
        **taken,
    )


def write_results(path: Path, results: RecipeResults) -> None:
    """Write results, in place of those that are there.

    Raises:
        RunFolderError: The file cannot be written.
    """
    files.make_folder(path.parent)
    files.write_file(path, record_io.encode(results))


def read_results(recipe: str, registry: Registry) -> RecipeResults:
    """Return what is recorded of a recipe.

    Raises:
        UnknownNameError: There is no such recipe.
        RunFolderError: It comes without recorded results, or the file was changed since zoo wrote it.
        PluginError: The file is not in the package that the recipe says.
        SettingError: The recipe has other settings now than when they were recorded.
    """
    found = registry.recipes.get(recipe)
    if found.item.results is None:
        raise RunFolderError(
            f"The recipe {found.qualified_name!r} comes without recorded results, so there is nothing to compare with: "
            f"train it with `zoo run {recipe}`."
        )
    path = pretrained.package_path(found, found.item.results, f"results of recipe {found.qualified_name!r}")
    results = record_io.decode(files.read(path, record_io.LIMIT), RecipeResults, str(path))
    now = resolution.resolve(registry, recipe, {})
    if not _is_same(now, resolution.from_record(registry, results.recipe, results.plugins)):
        raise SettingError(
            f"The recipe {found.qualified_name!r} has other settings now than when its results were recorded: run its "
            f"seeds again and record them with `zoo record`. Received: results={str(path)!r}"
        )
    return results
