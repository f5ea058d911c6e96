"""A run as a flat dictionary, for sorting and filtering lists of runs and for comparing runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo import Metrics, Run

_OWN = ("epochs", "batch_size", "validation", "monitor", "seed")


def settings_of(run: Run) -> dict[str, Any]:
    """Return the settings of a run, by their names in ``--set``.

    ``validation`` is the actual number of validation images, which differs from the recipe's setting if the dataset
    has its own validation split.
    """
    recipe = run.record.recipe
    settings: dict[str, Any] = {name: getattr(recipe, name) for name in _OWN}
    settings["validation"] = run.record.data.validation
    for kind in ("dataset", "model", "trainer"):
        settings |= {f"{kind}.{name}": value for name, value in getattr(recipe, kind).settings.items()}
    return settings


def facts_of(run: Run, name: str) -> dict[str, Any]:
    """Return the facts about a run, including its settings; unknown ones are None.

    ``validation`` and ``test`` are accuracies here, as in the table of runs. The number of validation images is
    ``validation_images``.

    Args:
        run: The run.
        name: Name of the run, returned as ``run``.
    """
    record = run.record
    settings = settings_of(run)
    del settings["validation"]
    return {
        "run": name,
        "recipe": record.recipe.name,
        "model": record.recipe.model.name,
        "dataset": record.recipe.dataset.name,
        "trainer": record.recipe.trainer.name,
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


def _accuracy(metrics: Metrics | None) -> float | None:
    return metrics.accuracy if metrics else None
