"""Results of a sweep, as a table and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.cli.toolkit import describe_metrics
from zoo.runs import OUT_OF_FOLD
from zoo_sweep.selection import Configuration, configurations_of, metrics_of

if TYPE_CHECKING:
    from zoo_sweep.selection import Figures
    from zoo_sweep.store import SweepStore


def table(store: SweepStore) -> str:
    """Return the configurations, best first, and the test metrics of the best one."""
    record = store.record
    shown = list(dict.fromkeys(["loss", "accuracy", record.choose_by]))
    rows = [("configuration", "trials", *("validation loss" if name == "loss" else name for name in shown), "")]
    rows += [
        (each.label, _trained(each), *(_figures(each, name) for name in shown), _note(record.best, each))
        for each in configurations_of(record)
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    best = next((each for each in configurations_of(record) if each.number == record.best), None)
    lines.append("")
    if best is None:
        lines.append(f"best        none: {_why_none(store)}")
    else:
        lines.append(f"best        {best.label}, by validation {record.choose_by}")
        tests = {name: figures for name in metrics_of(record) if (figures := best.test(name)) is not None}
        if tests:
            told = [f"{name} {_number(figures, 5 if name == 'loss' else 4)}" for name, figures in tests.items()]
            lines.append(f"test        {'  '.join(told)}")
        if (joined := store.out_of_fold()) is not None:
            images = f"{len(joined.labels):,} images, each by the model not trained on it"
            lines.append(f"out of fold accuracy {joined.accuracy:.4f}  ({images})")
            lines.append(f"            {store.folder / OUT_OF_FOLD}")
        lines += [f"run         {store.path_of(trial)}" for trial in best.trials]
    labels = {trial.configuration: trial.label for trial in record.trials}
    before = [labels[number] for number in record.tested_before if number != record.best]
    lines += [f"also tested {label}, the best before another trial was trained" for label in before]
    faults = [trial for trial in record.trials if trial.error]
    lines += [f"{trial.status:<10}  {trial.label}, {trial.repetition}: {trial.error}" for trial in faults]
    lines.append(f"sweep       {store.folder}")
    return "\n".join(lines)


def describe(store: SweepStore) -> dict[str, Any]:
    """Return a sweep as the object that ``zoo sweep --json`` prints."""
    record = store.record
    names, joined = metrics_of(record), store.out_of_fold()
    return {
        "sweep": str(store.folder.resolve()),
        "choose_by": record.choose_by,
        "mode": "min" if record.is_minimized else "max",
        "out_of_fold": None
        if joined is None
        else {
            "file": str((store.folder / OUT_OF_FOLD).resolve()),
            "images": len(joined.labels),
            "accuracy": joined.accuracy,
        },
        "configurations": [
            {
                "number": each.number,
                "label": each.label,
                "recipe": each.trials[0].recipe,
                "settings": each.trials[0].changed or each.trials[0].settings,
                "is_best": each.number == record.best,
                "tested_before": each.number in record.tested_before,
                "trials": [trial.number for trial in each.trials],
                "trained": sum(trial.status == "trained" for trial in each.trials),
                "validation": {name: _described(each.validation(name)) for name in names},
                "test": {name: _described(each.test(name)) for name in names},
            }
            for each in configurations_of(record)
        ],
        "trials": [
            {
                "number": trial.number,
                "configuration": trial.configuration,
                "run": str(store.path_of(trial).resolve()),
                "seed": trial.seed,
                "fold": trial.fold,
                "status": trial.status,
                "error": trial.error,
                "best_epoch": trial.best_epoch,
                "validation": describe_metrics(trial.validation),
                "test": describe_metrics(trial.test),
                "seconds": trial.seconds,
            }
            for trial in record.trials
        ],
    }


def _trained(each: Configuration) -> str:
    return f"{sum(trial.status == 'trained' for trial in each.trials)} of {len(each.trials)}"


def _figures(each: Configuration, name: str) -> str:
    found = each.validation(name)
    return "" if found is None else _number(found, 4)


def _number(figures: Figures, digits: int) -> str:
    deviation = "" if figures.deviation is None else f" ± {figures.deviation:.{digits}f}"
    return f"{figures.mean:.{digits}f}{deviation}"


def _note(best: int | None, each: Configuration) -> str:
    if each.number == best:
        return "best"
    faults = [trial.status for trial in each.trials if trial.status in ("failed", "lost")]
    if faults:
        return faults[0]
    pruned = [trial for trial in each.trials if trial.status == "pruned"]
    return f"pruned after epoch {len(pruned[0].values)}" if pruned else ""


def _why_none(store: SweepStore) -> str:
    if store.count("trained") and all(trial.validation is None for trial in store.record.trials):
        return "the trials have no validation images; hold some out with --set validation=1000"
    return "no configuration has completed all of its trials"


def _described(figures: Figures | None) -> dict[str, float | None] | None:
    return None if figures is None else {"mean": figures.mean, "deviation": figures.deviation}
