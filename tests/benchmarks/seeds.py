"""Recipes over several seeds: validation and test of each, and how long training took.

Usage: python -m tests.benchmarks.seeds FOLDER RECIPE=SEEDS [RECIPE=SEEDS ...] [--page docs/recipes.md]

Runs what is not in FOLDER yet, goes on with what was stopped, and prints a table; with --page, puts it into the page,
in place of the one that is there. Where a recipe averages the predictions for an image and its mirror image, there
are two figures, with it and without. Times are compared with the first recipe's.
"""

from __future__ import annotations

import re
import statistics
import subprocess
from dataclasses import replace
from pathlib import Path

import click

import zoo
from zoo import plan
from zoo import runs as run_folders
from zoo.records import EnvironmentRecord

from .whole import ZOO

START, END = "<!-- made by tests.benchmarks.seeds -->", "<!-- end -->"
_TABLE = re.compile(f"{START}.*?{END}", re.DOTALL)


def plain_accuracy(run: zoo.Run) -> float | None:
    """Return the test accuracy without averaging flips, None where nothing is averaged."""
    from zoo.metrics import evaluate
    from zoo.parts import load_split
    from zoo.plan import of_run

    loaded, registry = zoo.load(run.path), zoo.load_registry()
    if not getattr(loaded.trainer, "average_flips", False):
        return None
    split = load_split(of_run(registry, run).dataset, None, run.record.data.input_shape)
    plain = replace(loaded.trainer, average_flips=False)  # type: ignore[type-var]  # ours are dataclasses
    return evaluate(plain, loaded.model, split.test, len(split.class_names)).metrics.accuracy


def rows_of(runs: list[zoo.Run], base: float) -> list[str]:
    """Return the lines of a recipe: one for each seed, and the mean."""
    rows, tests, plain_tests = [], [], []
    for run in runs:
        record = run.record
        assert record.validation is not None
        assert record.test is not None
        plain = plain_accuracy(run)
        tests.append(record.test.accuracy)
        plain_tests.append(record.test.accuracy if plain is None else plain)
        rows.append(
            f"| {record.recipe.name} | {record.recipe.seed} | {record.validation.accuracy:.4f} "
            f"| {record.test.accuracy:.4f} | {'' if plain is None else f'{plain:.4f}'} | {record.seconds.train:.0f} |"
        )
    seconds = statistics.mean(run.record.seconds.train for run in runs)
    spread = f" ± {statistics.stdev(tests):.4f}" if len(tests) > 1 else ""
    plain_mean = f"{statistics.mean(plain_tests):.4f}" if plain_tests != tests else ""
    times = "" if seconds == base else f", {base / seconds:.3g} times sooner" if seconds < base else ""
    rows.append(
        f"| **{runs[0].record.recipe.name}** | mean | "
        f"{statistics.mean(run.validation.accuracy for run in runs if run.validation):.4f} "
        f"| **{statistics.mean(tests):.4f}**{spread} | {plain_mean} | {seconds:.0f}{times} |"
    )
    return rows


def run_seeds(folder: Path, recipe: str, seeds: int) -> list[zoo.Run]:
    """Run a recipe with seeds from 0, or go on with those runs, or take them as they are.

    Raises:
        click.ClickException: One that is there was made with other settings than the recipe has now.
    """
    registry, runs = zoo.load_registry(), []
    for seed in range(seeds):
        path = folder / f"{recipe}-{seed}"
        subprocess.run([ZOO, "run", recipe, "--seed", str(seed), "--out", str(path), "--resume"], check=True)
        run = run_folders.open_run(path)
        as_it_is = plan.to_record(plan.resolve(registry, recipe, {"seed": seed}))
        if plan.to_record(plan.of_run(registry, run)) != as_it_is:
            raise click.ClickException(f"{path} was made with other settings than {recipe} has now: move it away.")
        runs.append(run)
    return runs


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.argument("recipes", nargs=-1, required=True)
@click.option("--page", type=click.Path(path_type=Path, dir_okay=False, exists=True))
def main(folder: Path, recipes: tuple[str, ...], page: Path | None) -> None:
    """Run what is missing and make the table."""
    if page is not None and not _TABLE.search(page.read_text()):
        raise click.BadParameter(f"{page} has no place for the table: {START} ... {END}", param_hint="--page")
    orders = [re.fullmatch(r"([^=]+)=([1-9]\d*)", text) for text in recipes]
    lines = [
        "| recipe | seed | validation | test | without averaging flips | seconds of training |",
        "|---|---|---|---|---|---|",
    ]
    base = None
    for text, order in zip(recipes, orders, strict=True):
        if order is None:
            raise click.BadParameter(f"a recipe is given as RECIPE=SEEDS, not {text!r}", param_hint="RECIPE")
        runs = run_seeds(folder, order[1], int(order[2]))
        base = base or statistics.mean(run.record.seconds.train for run in runs)
        lines += rows_of(runs, base)
    record = runs[0].record.environment
    table = "\n".join([*lines, "", f"On {record.processors} x {record.processor}, {', '.join(_versions(record))}."])
    click.echo(table)
    if page is not None:
        page.write_text(_TABLE.sub(lambda _: f"{START}\n\n{table}\n\n{END}", page.read_text(), count=1))


def _versions(record: EnvironmentRecord) -> list[str]:
    return [
        f"{name} {version}" for name, version in record.packages.items() if name in (record.backend, "keras", "numpy")
    ]


if __name__ == "__main__":
    main()
