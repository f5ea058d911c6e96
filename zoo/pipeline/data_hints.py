"""What does not suit the data: warnings about settings with which a run teaches little about a model."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

from zoo.errors import DataHint

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zoo.interfaces import Dataset
    from zoo.recipes.resolution import ResolvedRecipe
    from zoo.runs.data_records import DataRecord
    from zoo.runs.records import Metrics

_FEW = 50  # validation images: the standard error of an accuracy is then up to 0.07


def warn_before_training(recipe: ResolvedRecipe, data: DataRecord, dataset: Dataset) -> None:
    """Warn if an epoch has one step, few images choose the epoch, or images are mirrored that must not be."""
    hints = []
    if math.ceil(data.train / recipe.batch_size) == 1:
        hints.append(
            f"All {data.train:,} training images fit into one batch, so an epoch has a single step. Lower --batch-size "
            f"or train for more --epochs. Received: batch_size={recipe.batch_size}"
        )
    if 0 < data.validation < _FEW:
        hints.append(
            f"Only {data.validation} validation images choose the best epoch, so the choice is largely chance: one of "
            f"them is {1 / data.validation:.1%} of the accuracy. Hold out more, or none to keep the last epoch. "
            f"Received: validation={data.validation}"
        )
    if dataset.is_mirrorable is False and (mirrors := _mirrors(recipe)):
        hints.append(
            f"A mirrored image of dataset {recipe.dataset.name} is not an image of the same class, but this run "
            f"mirrors images. Turn that off. Received: {', '.join(mirrors)}"
        )
    for hint in hints:
        warnings.warn(hint, DataHint, stacklevel=3)


def warn_after_test(metrics: Metrics, labels: NDArray[np.integer], class_names: tuple[str, ...]) -> None:
    """Warn if a test accuracy is no better than that of always predicting the largest class."""
    import numpy as np

    counts = np.bincount(labels, minlength=len(class_names))
    share = counts.max() / len(labels)
    if metrics.accuracy <= share:
        warnings.warn(
            f"The test accuracy of {metrics.accuracy:.4f} is no better than that of always predicting "
            f"{class_names[int(counts.argmax())]!r}, the class of {share:.1%} of the test images. Train longer, "
            "and see balanced-accuracy.",
            DataHint,
            stacklevel=3,
        )


def _mirrors(recipe: ResolvedRecipe) -> list[str]:
    """Return the choices and settings of a recipe that mirror images."""
    names = [f"augmentations={one.name}" for one in recipe.augmentations if one.name == "flip"]
    return names + (["trainer.flip_tta=True"] if recipe.trainer.settings.get("flip_tta") is True else [])
