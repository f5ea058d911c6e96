"""``zoo compare``: runs side by side as text or JSON, and their curves as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo import open_run
from zoo.cli.toolkit import describe_metrics, echo_json, setting_text, table
from zoo.runs import is_run
from zoo.utils import check_writable, write_file
from zoo_results.columns import metrics_of
from zoo_results.comparison import LETTERS, SIGNIFICANT, Comparison, Pair, compare_runs

if TYPE_CHECKING:
    from zoo import Metrics, Registry, Run


@click.command(short_help="Compare the settings and results of runs.")
@click.argument("names", metavar="RUN RUN...", nargs=-1, required=True)
@click.option(
    "--out",
    metavar="FILE.png",
    type=click.Path(path_type=Path),
    help="Plot the validation loss and accuracy of all runs to this file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_obj
def compare(session: Any, names: tuple[str, ...], out: Path | None, as_json: bool) -> None:
    """Compare the settings and results of runs.

    Shows the settings and versions that differ, the metrics side by side, and McNemar's test on the test predictions of
    each pair of runs. RUN is a run folder, or the name of a recipe that ships with trained weights. All runs must have
    the same test images.

    \b
    Examples:
      zoo compare fashion-cnn fashion-cnn-fast
      zoo compare runs/a runs/b runs/c --out curves.png
    """
    if not 2 <= len(names) <= len(LETTERS):
        raise click.UsageError(f"Pass 2 to {len(LETTERS)} runs. Received: runs={len(names)}")
    if out is not None and out.suffix.lower() != ".png":
        raise click.BadParameter(f"{str(out)!r} does not end with .png. Give a PNG file.", param_hint="'--out'")
    if out is not None:
        check_writable(out)
    found = compare_runs([(name, _open(name, session)) for name in names])
    if out is not None:
        from zoo_results.curve_plot import draw_overlay

        labels = {f"{letter}  {found.names[letter]}": run for letter, run in found.runs.items()}
        write_file(out, draw_overlay(labels))
    if as_json:
        echo_json(_describe(found))
    else:
        click.echo("\n\n".join(_as_text(found)))


def _open(name: str, session: Any) -> Run:
    if is_run(Path(name)):
        return open_run(name)
    registry: Registry = session.registry  # loaded on first use
    return open_run(name, registry=registry)


def _as_text(found: Comparison) -> list[str]:
    letters = list(found.runs)
    columns = tuple(range(1, len(letters) + 1))
    blocks = [table([[letter, found.names[letter]] for letter in letters])]
    if found.differing:
        rows = [[key, *(_setting(row[letter]) for letter in letters)] for key, row in found.differing.items()]
        blocks.append(table([["differences", *letters], *rows]))
    else:
        blocks.append("No differences in settings, versions or hardware.")
    results = [[name, *cells] for name, cells in _results(list(found.runs.values())).items()]
    blocks.append(table([["results", *letters], *results], numbers=columns))
    if found.unpaired:
        blocks.append(
            "\n".join(f"{each} is not compared image by image: {why}" for each, why in found.unpaired.items())
        )
    if found.pairs:
        blocks.append("\n".join(_reading(pair, len(found.pairs)) for pair in found.pairs))
        blocks.append(
            "These results hold for these trained models and test images only. The same settings with another seed\n"
            "give different results: to compare settings, compare multiple seeds of each."
        )
    return blocks


def _setting(value: Any) -> str:
    return "-" if value is None else setting_text(value)


def _results(runs: list[Run]) -> dict[str, list[str]]:
    records = [run.record for run in runs]
    return {
        "validation accuracy": [_figure(record.validation, "accuracy", ".4f") for record in records],
        "validation loss": [_figure(record.validation, "loss", ".5f") for record in records],
        **{
            f"validation {name}": [_figure(record.validation, name, ".4f") for record in records]
            for name in metrics_of(runs, "validation")
        },
        "test accuracy": [_figure(record.test, "accuracy", ".4f") for record in records],
        "test loss": [_figure(record.test, "loss", ".5f") for record in records],
        **{
            f"test {name}": [_figure(record.test, name, ".4f") for record in records]
            for name in metrics_of(runs, "test")
        },
        "epochs": [str(len(record.history)) for record in records],
        "best epoch": [str(record.best_epoch or "-") for record in records],
        "parameters": [f"{record.parameters:,}" for record in records],
        "training seconds": [f"{record.seconds.train:.1f}" for record in records],
    }


def _figure(metrics: Metrics | None, name: str, form: str) -> str:
    if metrics is None or name not in ("loss", "accuracy", *metrics.others):
        return "-"
    return format(metrics.value(name), form)


def _reading(pair: Pair, pairs: int) -> str:
    """Return the result of McNemar's test for two runs as text."""
    test, first, second = pair.test, pair.first, pair.second
    low, high = (f"{100 * end:+.2f}" for end in test.interval)
    if test.deciding == 0:
        return f"{first}, {second}  both are right on the same images: no difference."
    better = second if test.difference > 0 else first
    if pair.adjusted < SIGNIFICANT:
        verdict = f"{better} is significantly better on these images"
    else:
        verdict = "no significant difference on these images"
    how = "exact" if test.is_exact else "chi-squared"
    among = f", {_p(pair.adjusted)} adjusted for {pairs} pairs" if pairs > 1 else ""
    return (
        f"{first}, {second}  {first} alone is right on {test.first_alone:,} images, {second} alone on "
        f"{test.second_alone:,}, of {test.images:,}\n"
        f"      {second} - {first}: {100 * test.difference:+.2f} percentage points of accuracy, 95 % interval {low} to "
        f"{high}\n"
        f"      McNemar's test ({how}): {_p(test.p_value)}{among}: {verdict}."
    )


def _p(value: float) -> str:
    return f"p = {value:.2g}" if value >= 1e-4 else "p < 0.0001"


def _describe(found: Comparison) -> dict[str, Any]:
    return {
        "runs": {
            letter: {
                "run": found.names[letter],
                "validation": describe_metrics(run.validation_metrics),
                "test": describe_metrics(run.test_metrics),
                "best_epoch": run.record.best_epoch,
                "parameters": run.record.parameters,
                "seconds": run.record.seconds.train,
            }
            for letter, run in found.runs.items()
        },
        "differing": found.differing,
        "pairs": [
            {
                "first": pair.first,
                "second": pair.second,
                "first_alone": pair.test.first_alone,
                "second_alone": pair.test.second_alone,
                "images": pair.test.images,
                "difference": pair.test.difference,
                "interval": list(pair.test.interval),
                "p_value": pair.test.p_value,
                "adjusted_p_value": pair.adjusted,
                "exact": pair.test.is_exact,
            }
            for pair in found.pairs
        ],
        "unpaired": found.unpaired,
    }
