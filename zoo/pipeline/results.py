"""A recipe's results across seeds: collected from runs, and stored in a file that ships with the recipe."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import msgspec

from zoo.errors import RunFolderError, SettingError
from zoo.models.multiply_adds import count_multiply_adds
from zoo.pipeline.load import build_recorded
from zoo.recipes import pretrained, resolution, run_recipes
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
    """Return the results of runs of one recipe. Builds the model to count its multiply-adds.

    Args:
        runs: One or more tested runs that differ only in the seed.
        registry: Registry to look up components in.

    Raises:
        RunFolderError: There are no runs, a run was not tested, two runs have the same seed, or the runs differ in more
            than the seed.
        UnknownNameError: The plugin of a component is not installed.
        PluginError: The model is too large for this machine, or than its weights file, or cannot be built.
    """
    if not runs:
        raise RunFolderError("No runs to record. Pass one or more tested runs of one recipe. Received: runs=[]")
    ordered = sorted(runs, key=lambda run: run.record.recipe.seed)
    first = ordered[0].record
    for before, run in zip([None, *ordered], ordered, strict=False):
        _check(run, ordered[0], before, registry)
    model = build_recorded(ordered[0], run_recipes.from_run(registry, ordered[0]).model)
    return RecipeResults(
        format=record_io.FORMAT,
        recipe=run_recipes.to_record(run_recipes.from_run(registry, ordered[0])),
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
        fault = f"was not tested. Run `zoo test {shlex.quote(str(run.path))}`. Received: status={record.status!r}"
    elif record.init is not None:
        fault = (
            "was started from given weights, or imported, so its recipe alone does not reproduce it. Leave it out. "
            f"Received: init={record.init.source!r}"
        )
    elif before is not None and before.record.recipe.seed == record.recipe.seed:
        fault = f"has the same seed as {before.path}. Leave one of them out. Received: seed={record.recipe.seed}"
    elif record.data.differences(first.record.data) or not _is_same(
        run_recipes.from_run(registry, run), run_recipes.from_run(registry, first)
    ):
        fault = f"differs from {first.path} in more than the seed. Leave one of them out; `zoo compare` shows why."
    if fault is not None:
        raise RunFolderError(f"The run in {run.path} {fault}", path=run.path)


def _is_same(one: resolution.ResolvedRecipe, other: resolution.ResolvedRecipe) -> bool:
    """Return whether two resolved recipes are the same except for the seed."""
    records: list[RecipeRecord] = [
        msgspec.structs.replace(run_recipes.to_record(each), seed=0) for each in (one, other)
    ]
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
    """Write results to a file, replacing an existing one.

    Raises:
        RunFolderError: The file cannot be written.
    """
    files.make_folder(path.parent)
    files.write_file(path, record_io.encode(results))


def read_results(recipe: str, registry: Registry) -> RecipeResults:
    """Return the recorded results of a recipe.

    Raises:
        UnknownNameError: The recipe is not registered.
        RunFolderError: The recipe ships without recorded results, or the file was changed since zoo wrote it.
        PluginError: The recipe's ``results`` does not name a path in a package.
        SettingError: The recipe's settings have changed since the results were recorded.
    """
    found = registry.recipes.get(recipe)
    if found.item.results is None:
        raise RunFolderError(
            f"Recipe {found.qualified_name!r} ships without recorded results to compare with. Train it with "
            f"`zoo run {recipe}`."
        )
    path = pretrained.package_path(found, found.item.results, f"results of recipe {found.qualified_name!r}")
    results = record_io.decode(files.read(path, record_io.LIMIT), RecipeResults, str(path))
    now = resolution.resolve(registry, recipe, {})
    if not _is_same(now, run_recipes.from_record(registry, results.recipe, results.plugins)):
        raise SettingError(
            f"The settings of recipe {found.qualified_name!r} have changed since its results were recorded. Run its "
            f"seeds again and record them with `zoo record`. Received: results={str(path)!r}"
        )
    return results
