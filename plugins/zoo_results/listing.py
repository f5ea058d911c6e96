"""``zoo runs``: the runs in a folder, sorted and filtered. Damaged runs are reported."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo import ZooError, open_run
from zoo.cli.toolkit import describe_metrics, echo_json, setting_text, suggest, table
from zoo.errors import ZooWarning
from zoo.runs import find_runs
from zoo_results.columns import components_of, facts_of, metric_columns, settings_of
from zoo_results.conditions import read_conditions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zoo import Run
    from zoo_results.conditions import Condition

_FOLDER = Path("runs")
_COLUMNS = ("run", "recipe", "model", "dataset", "seed", "status", "validation", "test", "seconds", "started")
_NUMBERS = ("seed", "validation", "test", "seconds")


@click.command(short_help="List runs and their results.")
@click.argument("folder", metavar="[DIR]", default=_FOLDER, type=click.Path(path_type=Path))
@click.option(
    "--sort", "key", metavar="KEY", default="started", show_default=True, help="Column or setting to sort by."
)
@click.option("--reverse", is_flag=True, help="Sort in descending order.")
@click.option(
    "--where",
    "conditions",
    metavar="KEY=VALUE",
    multiple=True,
    callback=read_conditions,
    help="Show only runs that meet this condition: recipe=fashion-*, test>0.92, model.dropout=0.1. May be repeated.",
)
@click.option(
    "--column",
    "further",
    metavar="KEY",
    multiple=True,
    help="Add a column to the table: macro-f1, optimizer, model.dropout. May be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def runs(
    folder: Path, key: str, reverse: bool, conditions: list[Condition], further: tuple[str, ...], as_json: bool
) -> None:
    """List runs and their results.

    Searches DIR (runs/ by default) and its subfolders. KEY is a column (run, recipe, model, dataset, trainer,
    optimizer, schedule, loss, augmentations, metrics, callbacks, seed, status, validation, test, validation_loss,
    test_loss, validation_images, parameters, best_epoch, seconds, started), a further metric such as macro-f1 (in
    validation) or test_macro-f1, or a setting such as model.dropout. The columns validation and test are accuracies;
    seconds is training time.

    A condition uses =, !=, <, >, <= or >=. Numbers are compared as numbers; text is matched as a pattern with * and ?.
    KEY=none matches a missing value. Quote conditions that contain <, > or *.

    \b
    Examples:
      zoo runs --sort test --reverse
      zoo runs --where "recipe=fashion-*" --where "test>0.92"
      zoo runs --sort macro-f1 --reverse --column macro-f1 --column optimizer
    """
    is_first = folder == _FOLDER and not folder.exists()
    found, faults = ([], []) if is_first else _read(folder)
    unknown = dict.fromkeys(metric_columns(found))
    rows = [(unknown | facts_of(run, _name(run.path, folder)), run) for run in found]
    known = sorted({key for facts, _ in rows for key in facts})
    for wanted in (key, *(condition.key for condition in conditions), *further):
        if rows and wanted not in known:
            hint = suggest(wanted, known) or f" Use one of: {', '.join(known)}."
            raise click.UsageError(f"No run has a column or setting {wanted!r}.{hint}")
    rows = [row for row in rows if all(condition.holds(row[0]) for condition in conditions)]
    rows = _sorted(rows, key, reverse=reverse)
    if as_json:
        damaged = [{"run": str(path), "fault": fault} for path, fault in faults]
        echo_json([*(_describe(run) for _, run in rows), *damaged])
        return
    if rows:
        click.echo(_table([facts for facts, _ in rows], further))
    elif is_first:
        click.echo("There are no runs yet. Start one with `zoo run RECIPE`, or pass another folder.", err=True)
    else:
        click.echo("No run meets these conditions." if found else f"There are no runs in {folder}.", err=True)
    for path, fault in faults:
        warnings.warn(f"The run in {path} cannot be read: {fault}", ZooWarning, stacklevel=1)


def list_runs(folder: str | Path = "runs") -> list[dict[str, Any]]:
    """Return the runs in a folder and its subfolders, each as ``zoo runs --json`` prints it. Omits damaged runs.

    Raises:
        RunFolderError: The folder does not exist or cannot be read.
    """
    found, _ = _read(Path(folder))
    return [_describe(run) for run in found]


def _read(folder: Path) -> tuple[list[Run], list[tuple[Path, str]]]:
    """Return the runs in a folder, and the paths of those that cannot be read, with the reason."""
    found, faults = [], []
    for path in find_runs(folder):
        try:
            found.append(open_run(path))
        except ZooError as error:
            faults.append((path, str(error)))
    return found, faults


def _sorted(rows: Iterable[tuple[dict[str, Any], Run]], key: str, *, reverse: bool) -> list[tuple[dict[str, Any], Run]]:
    """Return sorted rows: numbers before text (after it if reversed), and missing values always last."""
    known = [row for row in rows if row[0].get(key) is not None]
    unknown = [row for row in rows if row[0].get(key) is None]

    def order(row: tuple[dict[str, Any], Run]) -> tuple[bool, float, str]:
        value = row[0][key]
        is_number = isinstance(value, int | float)
        return (not is_number, value if is_number else 0.0, "" if is_number else setting_text(value))

    return sorted(known, key=order, reverse=reverse) + unknown


def _describe(run: Run) -> dict[str, Any]:
    record = run.record
    return {
        "run": str(run.path),
        "recipe": record.recipe.name,
        **components_of(run),
        "seed": record.recipe.seed,
        "status": record.status,
        "error": record.error,
        "validation": describe_metrics(record.validation),
        "test": describe_metrics(record.test),
        "parameters": record.parameters,
        "best_epoch": record.best_epoch,
        "seconds": record.seconds.train,
        "started": record.started,
        "settings": settings_of(run),
    }


def _name(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder)) if path != folder else str(path)


def _table(rows: Sequence[dict[str, Any]], further: Iterable[str]) -> str:
    """Return the facts of runs as a table."""
    columns = list(dict.fromkeys([*_COLUMNS, *further]))
    numbers = [
        at
        for at, name in enumerate(columns)
        if name in _NUMBERS or all(isinstance(facts.get(name), int | float | None) for facts in rows)
    ]
    head = ["started, UTC" if name == "started" else name for name in columns]
    return table([head, *([_cell(name, facts.get(name)) for name in columns] for facts in rows)], numbers=numbers)


def _cell(name: str, value: Any) -> str:
    if value is None or value == "":
        return "-"
    if name == "seconds":
        return f"{value:.1f}"
    if name == "started":
        return str(value).replace("T", " ")[:19]
    if isinstance(value, float) and "." not in name:  # a metric, not a setting
        return f"{value:.4f}"
    return setting_text(value)
