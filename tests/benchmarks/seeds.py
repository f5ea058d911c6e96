"""Recipes over several seeds: trained, tested and recorded, in the files that ship with them.

Usage: python -m tests.benchmarks.seeds FOLDER RECIPE=SEEDS [RECIPE=SEEDS ...] --into plugins/zoo_fashion/results

Runs what is not in FOLDER yet, goes on with what was stopped, and writes a file for each recipe: what `zoo record`
would write and, where a recipe averages the predictions for an image and its mirror image, the accuracy without that.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import click
import msgspec

import zoo
from zoo.data.loading import load_split
from zoo.pipeline import results
from zoo.recipes import resolution, run_recipes
from zoo.training.metrics import evaluate

from .whole import ZOO

WITHOUT_FLIPS = "without averaging flips"


def plain_accuracy(run: zoo.Run, registry: zoo.Registry) -> dict[str, float]:
    """Return the test accuracy without averaging flips, nothing where nothing is averaged."""
    made = run_recipes.from_run(registry, run)
    if not made.trainer.settings.get("flip_tta", False):
        return {}
    loaded = zoo.load(run.path, registry=registry)
    split = load_split(made.dataset, None, run.record.data.input_shape)
    plain = replace(loaded.trainer, flip_tta=False)  # type: ignore[type-var]  # ours are dataclasses
    return {WITHOUT_FLIPS: evaluate(plain, loaded.model, split.test, len(split.class_names)).metrics.accuracy}


def run_seeds(folder: Path, recipe: str, seeds: int, registry: zoo.Registry) -> list[zoo.Run]:
    """Run a recipe with seeds from 0, or go on with those runs, or take them as they are.

    Raises:
        click.ClickException: One that is there was made with other settings than the recipe has now.
    """
    runs = []
    for seed in range(seeds):
        path = folder / f"{recipe}-{seed}"
        if not (path / "run.json").exists() or zoo.open_run(path).record.status != "tested":
            subprocess.run([ZOO, "run", recipe, "--seed", str(seed), "--out", str(path), "--resume"], check=True)
        run = zoo.open_run(path)
        as_it_is = run_recipes.to_record(resolution.resolve(registry, recipe, {"seed": seed}))
        if run_recipes.to_record(run_recipes.from_run(registry, run)) != as_it_is:
            raise click.ClickException(f"{path} was made with other settings than {recipe} has now: move it away.")
        runs.append(run)
    return runs


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.argument("recipes", nargs=-1, required=True)
@click.option("--into", required=True, type=click.Path(path_type=Path, file_okay=False))
def main(folder: Path, recipes: tuple[str, ...], into: Path) -> None:
    """Run what is missing and record what it came to."""
    registry = zoo.load_registry()
    orders = [re.fullmatch(r"([^=]+)=([1-9]\d*)", text) for text in recipes]
    for text, order in zip(recipes, orders, strict=True):
        if order is None:
            raise click.BadParameter(f"a recipe is given as RECIPE=SEEDS, not {text!r}", param_hint="RECIPE")
        runs = run_seeds(folder, order[1], int(order[2]), registry)
        recorded = results.record_results(runs, registry)
        seeds = [
            msgspec.structs.replace(seed, test_variants=plain_accuracy(run, registry))
            for seed, run in zip(recorded.seeds, runs, strict=True)
        ]
        path = into / f"{order[1]}.json"
        results.write_results(path, msgspec.structs.replace(recorded, seeds=seeds))
        click.echo(str(path))


if __name__ == "__main__":
    main()
