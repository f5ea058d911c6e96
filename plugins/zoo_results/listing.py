"""``zoo runs``: the runs in a folder, sorted and filtered. Damaged runs are reported."""

from __future__ import annotations

import operator
import re
import warnings
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo import ZooError, open_run
from zoo.cli.toolkit import echo_json, setting_text, suggest, table
from zoo.errors import ZooWarning
from zoo.runs import find_runs
from zoo_results.columns import facts_of, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from zoo import Run

_FOLDER = Path("runs")
_COLUMNS = ("run", "recipe", "model", "dataset", "seed", "status", "validation", "test", "seconds", "started")
_NUMBERS = tuple(_COLUMNS.index(name) for name in ("seed", "validation", "test", "seconds"))
_CONDITION = re.compile(r"([\w.]+)(!=|<=|>=|=|<|>)(.*)", re.DOTALL)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A condition of ``--where``: ``test>0.92``, ``recipe=fashion-*``, ``model.dropout=0.1``."""

    key: str
    operator: str
    value: str

    def holds(self, facts: dict[str, Any]) -> bool:
        """Return whether facts meet it: numbers as numbers, text as a pattern; a missing value only meets ``=none``."""
        fact = facts.get(self.key)
        if fact is None:
            return self.value == "none" and self.operator == "=" and self.key in facts
        number = _number(self.value)
        if number is not None and isinstance(fact, int | float) and not isinstance(fact, bool):
            return _COMPARE[self.operator](fact, number)
        if self.operator in ("=", "!="):
            return fnmatchcase(setting_text(fact), self.value) == (self.operator == "=")
        return isinstance(fact, str) and _COMPARE[self.operator](fact, self.value)


def _conditions(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> list[Condition]:
    conditions = []
    for text in texts:
        found = _CONDITION.fullmatch(text)
        if found is None:
            raise click.BadParameter(
                f"{text!r} is not a condition. Write KEY=VALUE, or use !=, <, >, <= or >= in place of =."
            )
        key, sign, value = found.groups()
        conditions.append(Condition(key=key, operator=sign, value=value.strip()))
    return conditions


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
    callback=_conditions,
    help="Show only runs that meet this condition: recipe=fashion-*, test>0.92, model.dropout=0.1. May be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def runs(folder: Path, key: str, reverse: bool, conditions: list[Condition], as_json: bool) -> None:
    """List runs and their results.

    Searches DIR (runs/ by default) and its subfolders. KEY is a column (run, recipe, model, dataset, trainer, seed,
    status, validation, test, validation_loss, test_loss, validation_images, parameters, best_epoch, seconds, started)
    or a setting such as model.dropout. The columns validation and test are accuracies; seconds is training time.

    A condition uses =, !=, <, >, <= or >=. Numbers are compared as numbers; text is matched as a pattern with * and ?.
    KEY=none matches a missing value. Quote conditions that contain <, > or *.

    \b
    Examples:
      zoo runs --sort test --reverse
      zoo runs --where "recipe=fashion-*" --where "test>0.92"
    """
    is_first = folder == _FOLDER and not folder.exists()
    found, faults = ([], []) if is_first else _read(folder)
    rows = [(facts_of(run, _name(run.path, folder)), run) for run in found]
    known = sorted({key for facts, _ in rows for key in facts})
    for wanted in (key, *(condition.key for condition in conditions)):
        if rows and wanted not in known:
            hint = suggest(wanted, known) or f" Use one of: {', '.join(known)}."
            raise click.UsageError(f"No run has a column or setting {wanted!r}.{hint}")
    rows = [row for row in rows if all(condition.holds(row[0]) for condition in conditions)]
    rows = _sorted(rows, key, reverse=reverse)
    if as_json:
        damaged = [{"run": str(path), "fault": fault} for path, fault in faults]
        echo_json([*(_describe(facts, run) for facts, run in rows), *damaged])
        return
    if rows:
        lines = [[_cell(name, facts[name]) for name in _COLUMNS] for facts, _ in rows]
        click.echo(table([[*_COLUMNS[:-1], "started, UTC"], *lines], numbers=_NUMBERS))
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
    top = Path(folder)
    found, _ = _read(top)
    return [_describe(facts_of(run, _name(run.path, top)), run) for run in found]


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


def _describe(facts: dict[str, Any], run: Run) -> dict[str, Any]:
    record = run.record
    metrics = {
        name: None if found is None else {"loss": found.loss, "accuracy": found.accuracy}
        for name, found in (("validation", record.validation), ("test", record.test))
    }
    names = ("recipe", "model", "dataset", "trainer", "seed", "status")
    return {
        "run": str(run.path),
        **{name: facts[name] for name in names},
        "error": record.error,
        **metrics,
        "parameters": record.parameters,
        "best_epoch": record.best_epoch,
        "seconds": record.seconds.train,
        "started": record.started,
        "settings": settings_of(run),
    }


def _name(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder)) if path != folder else str(path)


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if name in ("validation", "test"):
        return f"{value:.4f}"
    if name == "seconds":
        return f"{value:.1f}"
    return str(value).replace("T", " ")[:19] if name == "started" else str(value)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
