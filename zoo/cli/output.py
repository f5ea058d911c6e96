"""Output of the commands: results as tables and as JSON."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

import click

from zoo.utils.text import duration, printable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from zoo.pipeline.loaded_model import LoadedModel
    from zoo.runs.records import Metrics
    from zoo.runs.run_folder import Run
    from zoo.training.metrics import Evaluation

_TOP = (1, 3, 5)  # numbers of classes of which top-k accuracies are computed


def terminal_width() -> int | None:
    """Return the columns of the terminal that is standard output, or None without one."""
    return shutil.get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else None


def describe_run(run: Run) -> dict[str, Any]:
    """Return a run as the object that ``zoo run --json`` prints."""
    record = run.record
    return {
        **_describe(run),
        "epochs": len(record.history),
        "best_epoch": record.best_epoch,
        "validation": describe_metrics(record.validation),
        "test": describe_metrics(record.test),
        "seconds": {"train": record.seconds.train, "total": record.seconds.total},
    }


def describe_test(run: Run, evaluation: Evaluation, seconds: float) -> dict[str, Any]:
    """Return a tested run as the object that ``zoo test --json`` prints."""
    return {
        **_describe(run),
        "test": describe_metrics(run.test_metrics),
        **_describe_classes(evaluation, run.record.data.class_names),
        "seconds": {"total": seconds},
    }


def describe_exported_test(loaded: LoadedModel, evaluation: Evaluation, seconds: float) -> dict[str, Any]:
    """Return a test of an exported file as the object that ``zoo test --json`` prints."""
    return {
        "file": str(loaded.source),
        "exporter": None if loaded.exported is None else loaded.exported.exporter,
        "recipe": None if loaded.exported is None else loaded.exported.recipe,
        "test": describe_metrics(evaluation.metrics),
        **_describe_classes(evaluation, loaded.class_names),
        "seconds": {"total": seconds},
    }


def _describe_classes(evaluation: Evaluation, names: Sequence[str]) -> dict[str, Any]:
    """Return the measures of each class, the confusion matrix and top-k accuracies of predictions."""
    from zoo.runs.classification import by_class, confusion_matrix, top_k_accuracy

    probabilities, labels = evaluation.probabilities, evaluation.labels
    matrix = confusion_matrix(probabilities, labels)
    return {
        "classes": [
            {
                "name": name,
                "precision": each.precision,
                "recall": each.recall,
                "f1": each.f1,
                "support": each.images,
            }
            for name, each in zip(names, by_class(matrix), strict=True)
        ],
        "confusion_matrix": matrix.tolist(),
        "top_k_accuracy": {
            str(k): top_k_accuracy(probabilities, labels, k) for k in _TOP if k <= probabilities.shape[1]
        },
    }


def _describe(run: Run) -> dict[str, Any]:
    recipe, data = run.record.recipe, run.record.data
    return {
        "recipe": recipe.name,
        "run": str(run.path.resolve()),
        "model": {"name": recipe.model.name, "plugin": recipe.model.plugin, "parameters": run.record.parameters},
        "dataset": {
            "name": recipe.dataset.name,
            "train": data.train,
            "validation": data.validation,
            "test": data.test,
        },
    }


def describe_metrics(metrics: Metrics | None) -> dict[str, float] | None:
    """Return metrics as a JSON object."""
    return None if metrics is None else {"loss": metrics.loss, "accuracy": metrics.accuracy, **metrics.others}


def run_table(run: Run) -> str:
    """Return the results of a run as text."""
    record = run.record
    epochs = len(record.history)
    rows = [("recipe", record.recipe.name), *_what(run)]
    by = "" if record.recipe.monitor == "loss" else f" by {record.recipe.monitor}"
    chosen = f", epoch {record.best_epoch} was best{by}" if record.validation else ""
    if record.init is not None:
        taken, total = record.init.taken, record.init.taken + len(record.init.new)
        rows.append(("start", f"{taken} of {total} weights of {record.init.source}"))
    rows += [
        ("training", f"{_trained(epochs, record.recipe.epochs)}{chosen}, {duration(record.seconds.train)}"),
        *_results(run),
        ("total time", duration(record.seconds.total)),
        ("run", str(run.path)),
    ]
    pictures = sorted(path.name for path in run.path.glob("*.png"))
    return table([*rows, ("pictures", ", ".join(pictures))] if pictures else rows)


def _trained(epochs: int, asked: int) -> str:
    if epochs < asked:
        return f"stopped by a callback after {epochs} of {asked} epochs"
    return f"{epochs} {'epoch' if epochs == 1 else 'epochs'}"


def test_table(run: Run, seconds: float) -> str:
    """Return the results of a test as text."""
    return table(
        [*_what(run), *_results(run, validation=False), ("total time", duration(seconds)), ("run", str(run.path))]
    )


def exported_test_table(loaded: LoadedModel, evaluation: Evaluation, seconds: float) -> str:
    """Return the results of a test of an exported file as text."""
    exported, metrics = loaded.exported, evaluation.metrics
    of = [] if exported is None else [("model", exported.model.name), ("data", exported.dataset.name)]
    result = f"loss {metrics.loss:.5f}  accuracy {metrics.accuracy:.4f}  ({len(evaluation.labels):,} images)"
    return table([*of, ("test", result), ("total time", duration(seconds)), ("file", str(loaded.source))])


def _what(run: Run) -> list[tuple[str, str]]:
    recipe, data = run.record.recipe, run.record.data
    return [
        ("model", f"{recipe.model.name}, {run.record.parameters:,} parameters"),
        ("data", f"{recipe.dataset.name}: {data.train:,} training, {data.validation:,} validation, {data.test:,} test"),
    ]


def _results(run: Run, *, validation: bool = True) -> list[tuple[str, str]]:
    several = {"validation": run.validation_metrics if validation else None, "test": run.test_metrics}
    rows = []
    for split, metrics in several.items():
        if metrics is not None:
            rows.append((split, f"loss {metrics.loss:.5f}  accuracy {metrics.accuracy:.4f}"))
            if metrics.others:
                rows.append(("", "  ".join(f"{name} {value:.4f}" for name, value in metrics.others.items())))
    return rows


def table(rows: Sequence[Sequence[str]], *, numbers: Collection[int] = ()) -> str:
    """Return rows as text with aligned columns and without control characters.

    Args:
        rows: Rows of equal length.
        numbers: Indices of the columns to align right.
    """
    cleaned = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*cleaned, strict=True)]
    lines = [
        [cell.rjust(width) if at in numbers else cell.ljust(width) for at, (cell, width) in enumerate(pairs)]
        for pairs in (list(zip(row, widths, strict=True)) for row in cleaned)
    ]
    return "\n".join("  ".join(line).rstrip() for line in lines)


def echo_json(value: Any) -> None:
    """Print a value as JSON on standard output."""
    click.echo(json.dumps(value, indent=2))


def own_version() -> str:
    """Return the version of zoo."""
    import zoo

    return str(zoo.__version__)
