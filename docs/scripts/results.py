"""The page of results, made of what is recorded of our recipes: no run and no training is needed for it.

Usage: python docs/scripts/results.py --page docs/reference/results.md

Writes the page's tables in place of those that are there, and beside it a picture, results.png. What is recorded is
made by tests.benchmarks.seeds, or by `zoo record`.
"""

from __future__ import annotations

import io
import math
import re
import statistics
from pathlib import Path
from typing import TYPE_CHECKING

import click

import zoo

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zoo.runs import RecipeResults
    from zoo.runs.records import EnvironmentRecord

START, END = "<!-- made by docs/scripts/results.py -->", "<!-- end -->"
PICTURE = "results.png"
_TABLE = re.compile(f"{START}.*?{END}", re.DOTALL)
_HEAD = (
    "| recipe | seeds | validation accuracy | test accuracy | parameters | multiply-adds | training seconds "
    "| machine |\n"
    "|---|---|---|---|---|---|---|---|"
)
_BY_SEED = (
    "| recipe | seed | validation accuracy | test accuracy | test variants | best epoch | training seconds |\n"
    "|---|---|---|---|---|---|---|"
)
_COLORS = ("#1f5fbf", "#c2410c", "#1b7f4b", "#8b3fb5", "#b8860b", "#0e7490", "#b91c5c", "#55606e")
_MARKS = ("o", "s", "^", "D")


def everything_recorded(registry: zoo.Registry) -> list[RecipeResults]:
    """Return what is recorded of all recipes that have results, by name."""
    names = [found.qualified_name for found in registry.recipes if found.item.results is not None]
    return sorted((zoo.read_results(name, registry) for name in names), key=lambda results: results.recipe.name)


def tables(several: Sequence[RecipeResults]) -> str:
    """Return the table of recipes, the machines, and the table of seeds, as Markdown."""
    machines = _machines(several)
    lines = [_HEAD]
    for results in several:
        validation = [seed.validation.accuracy for seed in results.seeds if seed.validation]
        cells = [
            f"`{results.recipe.name}`",
            str(len(results.seeds)),
            _mean(validation, ".4f") if validation else "",
            f"**{_mean([seed.test.accuracy for seed in results.seeds], '.4f')}**",
            f"{results.parameters:,}",
            "" if results.multiply_adds is None else f"{results.multiply_adds:,}",
            _mean([seed.seconds for seed in results.seeds], ".0f"),
            ", ".join(sorted({machines[_hardware(seed.environment)] for seed in results.seeds})),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *(f"- {letter}: {machine}" for machine, letter in machines.items()), "", "Each seed:", "", _BY_SEED]
    for results in several:
        for seed in results.seeds:
            cells = [
                f"`{results.recipe.name}`",
                str(seed.seed),
                "" if seed.validation is None else f"{seed.validation.accuracy:.4f}",
                f"{seed.test.accuracy:.4f}",
                ", ".join(f"{accuracy:.4f} {how}" for how, accuracy in seed.test_variants.items()),
                str(seed.best_epoch or ""),
                f"{seed.seconds:.0f}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _mean(values: Sequence[float], form: str) -> str:
    mean = format(statistics.fmean(values), form)
    return mean if len(values) == 1 else f"{mean} ± {format(statistics.stdev(values), form)}"


def _machines(several: Iterable[RecipeResults]) -> dict[str, str]:
    """Return a letter for each machine with its versions."""
    found = sorted({_hardware(seed.environment) for results in several for seed in results.seeds})
    return {machine: chr(ord("A") + number) for number, machine in enumerate(found)}


def _hardware(record: EnvironmentRecord) -> str:
    shown = ("keras-zoo", "keras", record.backend, "numpy")
    versions = [f"{name} {record.packages[name]}" for name in shown if name in record.packages]
    sets = f" ({' '.join(record.instruction_sets)})" if record.instruction_sets else ""
    return f"{record.hardware}{sets}, Python {record.python}, {', '.join(versions)}"


def draw(several: Sequence[RecipeResults]) -> bytes:
    """Return a PNG: test accuracy over the time that training took, seeds and the mean of each recipe."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    figure = Figure(figsize=(8.4, 4.8), layout="constrained")
    axis = figure.subplots()
    times = [seed.seconds for results in several for seed in results.seeds]
    middle = math.sqrt(min(times) * max(times)) if times else 0.0  # names right of it stand left of their points
    for number, results in enumerate(several):
        color, mark = _COLORS[number % len(_COLORS)], _MARKS[number // len(_COLORS) % len(_MARKS)]
        seconds = [seed.seconds for seed in results.seeds]
        accuracies = [100 * seed.test.accuracy for seed in results.seeds]
        mean = statistics.fmean(seconds), statistics.fmean(accuracies)
        axis.plot(seconds, accuracies, mark, ms=4, color=color, alpha=0.35, mew=0)
        deviation = statistics.stdev(accuracies) if len(accuracies) > 1 else None
        axis.errorbar(*mean, yerr=deviation, fmt=mark, ms=8, color=color, capsize=3, lw=1.2)
        seeds = f"{len(seconds)} seeds" if len(seconds) > 1 else "1 seed"
        is_late = mean[0] > middle
        axis.annotate(
            f"{results.recipe.name} ({seeds})",
            mean,
            xytext=(-9 if is_late else 9, 5),
            ha="right" if is_late else "left",
            textcoords="offset points",
            color=color,
            fontsize=9,
            parse_math=False,
        )
    axis.set_xscale("log")
    axis.margins(x=0.12, y=0.2)
    axis.xaxis.set_major_formatter(FuncFormatter(_time))
    axis.minorticks_off()
    axis.set_xticks([tick for tick in _TICKS if axis.get_xlim()[0] <= tick <= axis.get_xlim()[1]])
    axis.set(xlabel="time of training, on the machine that the table names", ylabel="test accuracy, %")
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110, metadata={"Software": None})
    return data.getvalue()


_TICKS = (0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600, 1200, 3600, 7200, 14400, 36000)


def _time(seconds: float, _: object) -> str:
    if seconds < 60:
        return f"{seconds:g} s"
    return f"{seconds / 60:g} min" if seconds < 3600 else f"{seconds / 3600:g} h"


@click.command(help=__doc__)
@click.option("--page", required=True, type=click.Path(path_type=Path, dir_okay=False, exists=True))
def main(page: Path) -> None:
    """Make the page and the picture beside it."""
    text = page.read_text()
    if not _TABLE.search(text):
        raise click.BadParameter(f"{page} has no place for the tables: {START} ... {END}", param_hint="--page")
    recorded = everything_recorded(zoo.load_registry({"ZOO_PLUGINS": ""}))
    page.write_text(_TABLE.sub(lambda _: f"{START}\n\n{tables(recorded)}\n\n{END}", text, count=1))
    (page.parents[1] / "pictures" / PICTURE).write_bytes(draw(recorded))


if __name__ == "__main__":
    main()
