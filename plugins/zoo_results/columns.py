"""A run as a flat dictionary, for sorting and filtering lists of runs and for comparing runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zoo import Metrics, Run

_ONE = ("model", "dataset", "trainer", "optimizer", "schedule", "loss")  # components of a recipe
_MANY = ("augmentations", "metrics", "callbacks")  # of these, a recipe has any number


def settings_of(run: Run) -> dict[str, Any]:
    """Return the settings of a run, by their names in ``--set``.

    ``validation`` is the actual number of validation images, which differs from the recipe's setting if the dataset
    has its own validation split.
    """
    return run.record.recipe.settings() | {"validation": run.record.data.validation}


def components_of(run: Run) -> dict[str, str | list[str] | None]:
    """Return the names of a run's components, by the fields of a recipe: ``{"optimizer": "sgd", "metrics": []}``.

    A run whose trainer uses no registered optimizer, schedule and loss has None for each.
    """
    found = {field: [each.name for each in several] for field, several in run.record.recipe.components().items()}
    single = {field: found.get(field, [None])[0] for field in _ONE}
    return single | {field: found.get(field, []) for field in _MANY}


def facts_of(run: Run, name: str) -> dict[str, Any]:
    """Return the facts about a run, including its settings; unknown ones are None.

    ``validation`` and ``test`` are accuracies here, as in the table of runs; ``validation_`` and ``test_`` before the
    name of another metric are its values, and the name alone is the value in validation. The number of validation
    images is ``validation_images``.

    Args:
        run: The run.
        name: Name of the run, returned as ``run``.
    """
    record = run.record
    settings = settings_of(run)
    del settings["validation"]
    return {
        **(record.validation.others if record.validation else {}),
        **{
            f"{split}_{metric}": value
            for split, metrics in (("validation", record.validation), ("test", record.test))
            if metrics is not None
            for metric, value in metrics.others.items()
        },
        "run": name,
        "recipe": record.recipe.name,
        **{field: ",".join(names) if isinstance(names, list) else names for field, names in components_of(run).items()},
        "seed": record.recipe.seed,
        "status": record.status,
        "validation": _accuracy(record.validation),
        "test": _accuracy(record.test),
        "validation_loss": record.validation.loss if record.validation else None,
        "test_loss": record.test.loss if record.test else None,
        "validation_images": record.data.validation,
        "parameters": record.parameters,
        "best_epoch": record.best_epoch,
        "seconds": record.seconds.train,
        "started": record.started,
        **settings,
    }


def metrics_of(runs: Iterable[Run], split: Literal["validation", "test"]) -> list[str]:
    """Return the names of the metrics besides loss and accuracy that any of several runs has."""
    found = [getattr(run.record, split) for run in runs]
    return list(dict.fromkeys(name for metrics in found if metrics is not None for name in metrics.others))


def metric_columns(runs: Sequence[Run]) -> list[str]:
    """Return the keys of `facts_of` for metrics besides loss and accuracy that any of several runs has."""
    validation, test = metrics_of(runs, "validation"), metrics_of(runs, "test")
    return [*validation, *(f"validation_{name}" for name in validation), *(f"test_{name}" for name in test)]


def _accuracy(metrics: Metrics | None) -> float | None:
    return metrics.accuracy if metrics else None
