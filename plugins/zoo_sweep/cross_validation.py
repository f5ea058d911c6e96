"""Cross-validation: predictions of each fold's model for the images of its fold, and those of all folds together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import zoo
from zoo.data import Subset, fold_numbers, labels_of, without_validation
from zoo.runs import FOLD_PREDICTIONS, FoldPredictions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zoo import Registry

OUT_OF_FOLD = "out-of-fold.safetensors"
"""Name of the file in the sweep folder with the predictions of all folds of the best configuration."""

_AT_ONCE = 1_024  # images held in memory


def predict_fold(folder: Path, registry: Registry, data_dir: str | None) -> None:
    """Write the predictions of a trained run for the images of its fold to its folder.

    Args:
        folder: The run folder.
        registry: Registry to look up names in.
        data_dir: Folder or file that the dataset reads.

    Raises:
        ZooError: The run, its model or its data cannot be read.
    """
    import numpy as np

    run = zoo.open_run(folder)
    number, count = run.record.recipe.fold or (1, 1)
    split = without_validation(zoo.load_data(run, registry=registry, data_dir=data_dir))
    labels = labels_of(split.train, len(split.class_names))
    indices = np.flatnonzero(fold_numbers(labels, split.train_groups, count) == number)
    fold, model = Subset(split.train, indices), zoo.load(run, registry=registry)
    parts = [np.arange(start, min(start + _AT_ONCE, len(fold))) for start in range(0, len(fold), _AT_ONCE)]
    FoldPredictions(
        indices=indices.astype(np.int64),
        labels=labels[indices].astype(np.int32),
        probabilities=np.concatenate([_predict(model, fold[part][0]) for part in parts]),
    ).write(folder / FOLD_PREDICTIONS)


def _predict(model: zoo.LoadedModel, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return model.predict(images).astype("float32", copy=False)


def join_folds(folders: Sequence[Path], out: Path) -> FoldPredictions:
    """Join the predictions of all folds, average those of several seeds, write them to a file, and return them.

    Args:
        folders: Run folders of the folds, for every seed.
        out: File to write.

    Raises:
        ZooError: Predictions are missing or damaged, or the file cannot be written.
    """
    import numpy as np

    several = [FoldPredictions.read(folder / FOLD_PREDICTIONS) for folder in folders]
    indices, first, place = np.unique(
        np.concatenate([each.indices for each in several]), return_index=True, return_inverse=True
    )
    total = np.zeros((len(indices), several[0].probabilities.shape[1]))
    np.add.at(total, place, np.concatenate([each.probabilities for each in several]))
    joined = FoldPredictions(
        indices=indices,
        labels=np.concatenate([each.labels for each in several])[first],
        probabilities=(total / np.bincount(place)[:, None]).astype(np.float32),
    )
    joined.write(out)
    return joined
