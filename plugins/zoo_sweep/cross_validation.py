"""Cross-validation: predictions of each fold's model for the images of its fold, and those of all folds together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import zoo
from zoo.data import Subset, digest_of_split, fold_indices, labels_of, without_validation
from zoo.images import batch_size
from zoo.runs import OutOfFold, read_out_of_fold

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zoo import Registry, Run


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
    loaded = zoo.load_data(run, registry=registry, data_dir=data_dir)
    split = without_validation(loaded)
    labels, indices = labels_of(split.train, len(split.class_names)), fold_indices(split, number, count)
    fold, model = Subset(split.train, indices), zoo.load(run, registry=registry)
    step = batch_size(model.input_shape)
    parts = [np.arange(start, min(start + step, len(fold))) for start in range(0, len(fold), step)]
    OutOfFold(
        indices=indices.astype(np.int64),
        labels=labels[indices].astype(np.int32),
        probabilities=np.concatenate([_predict(model, fold[part][0]) for part in parts]),
        data=np.frombuffer(digest_of_split(loaded), np.uint8),
    ).write(folder)


def _predict(model: zoo.LoadedModel, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return model.predict(images).astype("float32", copy=False)


def read_joined(folder: Path, run: Run) -> OutOfFold:
    """Read the predictions in a folder, for the data of a run of one of the folds.

    Raises:
        ZooError: They are missing or damaged.
    """
    data = run.record.data
    return read_out_of_fold(folder, images=data.train + data.validation, classes=len(data.class_names))


def join_folds(runs: Sequence[Run], folder: Path) -> None:
    """Join the predictions of all folds, average those of several seeds, and write them to a folder.

    Args:
        runs: The runs of the folds, for every seed.
        folder: The sweep folder.

    Raises:
        ZooError: Predictions are missing or damaged, or the file cannot be written.
    """
    import numpy as np

    several = [read_joined(run.path, run) for run in runs]
    indices, first, place = np.unique(
        np.concatenate([each.indices for each in several]), return_index=True, return_inverse=True
    )
    total = np.zeros((len(indices), several[0].probabilities.shape[1]))
    np.add.at(total, place, np.concatenate([each.probabilities for each in several]))
    OutOfFold(
        indices=indices,
        labels=np.concatenate([each.labels for each in several])[first],
        probabilities=(total / np.bincount(place)[:, None]).astype(np.float32),
        data=several[0].data,
    ).write(folder)
