"""Labels that are likely wrong: from the predictions of a run, or from those of cross-validation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo import load
from zoo.errors import ArtifactError, RunFolderError
from zoo_data.confident_learning import find_doubtful_labels
from zoo_data.parts import VALIDATION, Part
from zoo_data.records import Image, Labels, Suspect

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zoo import Registry, Run
    from zoo.runs import OutOfFold

_AT_ONCE = 8 << 20  # bytes of images that are predicted at once
_MOST = 1000  # labels that are listed
_MOST_CLASSES = 200  # of a matrix of classes that is listed


def check_run(run: Run) -> None:
    """Raise `RunFolderError` if a run has no images that it was not trained on."""
    data = run.record.data
    if run.record.status == "imported" or run.record.model_sha256 is None:
        raise RunFolderError(
            f"It is not known on which images the model of {run.path} was trained, so its predictions say nothing "
            f"about their labels. Pass a run that was trained here. Received: status={run.record.status!r}",
            path=run.path,
        )
    if run.record.recipe.fold is not None:
        raise RunFolderError(
            f"The run in {run.path} is one fold of a cross-validation. Pass the name of its dataset, and the folder of "
            f"the sweep as --predictions SWEEP. Received: fold={run.record.recipe.fold}",
            path=run.path,
        )
    if not data.validation:
        raise RunFolderError(
            f"The run in {run.path} held out no validation images, and predictions for training images say nothing "
            "about their labels. Train with `--set validation=N`, or cross-validate with `zoo sweep RECIPE --folds 5`. "
            "Received: validation=0",
            path=run.path,
        )


def labels_of_run(run: Run, parts: Sequence[Part], class_names: Sequence[str], registry: Registry) -> Labels:
    """Return doubtful labels among the validation images of a run, which its model was not trained on.

    Args:
        run: The run.
        parts: The parts of its dataset, with as many validation images as it held out.
        class_names: Names of the classes.
        registry: As for `zoo.load`.

    Raises:
        RunFolderError: The validation images are not those of the run.
        ZooError: The model cannot be loaded, or does not predict.
    """
    import numpy as np

    found = [part for part in parts if part.name == VALIDATION]
    count = len(found[0].examples) if found else 0
    if count != run.record.data.validation:
        raise RunFolderError(
            f"The run in {run.path} was validated on {run.record.data.validation:,} images, but its settings hold out "
            f"{count:,}. Pass a run of `zoo run` or `zoo train`.",
            path=run.path,
        )
    part, loaded = found[0], load(run, registry=registry)
    step = max(1, min(1024, _AT_ONCE // int(np.prod(loaded.input_shape))))
    probabilities, labels = [], []
    for start in range(0, count, step):
        images, some = part.examples[np.arange(start, min(start + step, count))]
        probabilities.append(loaded.predict(images))
        labels.append(some)
    places = [(part, i) for i in range(count)]
    source = f"the model of {run.record.recipe.name if run.is_pretrained else run.path}, on its validation images"
    return _labels(source, np.concatenate(probabilities), np.concatenate(labels), places, class_names)


def labels_of_predictions(
    found: OutOfFold, path: Path, parts: Sequence[Part], labels: NDArray[Any], class_names: Sequence[str]
) -> Labels:
    """Return doubtful labels among the training and validation images, by out-of-fold predictions.

    Args:
        found: The predictions.
        path: Their file, or the folder that contains it.
        parts: The dataset's own training and validation images, in that order.
        labels: Their labels.
        class_names: Names of the classes.

    Raises:
        ArtifactError: They belong to other data.
    """
    if (found.labels != labels[found.indices]).any():
        raise ArtifactError(
            f"The labels in {path} are not those of this data, so its predictions are of other images. Pass the data "
            "that `zoo sweep --folds` read.",
            path=path,
        )
    every = [(part, i) for part in parts for i in range(len(part.examples))]
    places = [every[i] for i in found.indices]
    return _labels(f"the out-of-fold predictions in {path}", found.probabilities, found.labels, places, class_names)


def _labels(
    source: str,
    probabilities: NDArray[np.floating[Any]],
    labels: NDArray[np.integer[Any]],
    places: Sequence[tuple[Part, int]],
    class_names: Sequence[str],
) -> Labels:
    import numpy as np

    found = find_doubtful_labels(probabilities, labels)
    is_better = _is_better_than_chance(probabilities, labels)
    positions = found.positions if is_better else found.positions[:0]
    suspects = []
    for position in positions[:_MOST]:
        part, index = places[position]
        predicted = int(probabilities[position].argmax())
        suspects.append(
            Suspect(
                image=Image(
                    part=part.name, index=index, name=part.ids[index], label=class_names[int(labels[position])]
                ),
                predicted=class_names[predicted],
                self_confidence=float(probabilities[position, labels[position]]),
                confidence=float(probabilities[position, predicted]),
            )
        )
    return Labels(
        source=source,
        images=len(labels),
        is_better_than_chance=is_better,
        estimated_errors=round(found.estimated_errors) if is_better else 0,
        suspects=len(positions),
        thresholds=[None if np.isnan(each) else float(each) for each in found.thresholds],
        confident_joint=_matrix(found.confident_joint, len(class_names)),
        found=suspects,
    )


def _is_better_than_chance(probabilities: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]) -> bool:
    """Return whether predictions are right more often than the most frequent class, by more than one standard error."""
    import numpy as np

    share = np.bincount(labels).max() / len(labels)
    error = np.sqrt(share * (1 - share) / len(labels))
    return bool((probabilities.argmax(axis=1) == labels).mean() > share + error)


def _matrix(joint: NDArray[np.int64], classes: int) -> list[list[int]] | None:
    """Return the cells of a confident joint as a matrix, or None if there are too many classes."""
    import numpy as np

    if classes > _MOST_CLASSES:
        return None
    matrix = np.zeros((classes, classes), np.int64)
    matrix[joint[:, 0], joint[:, 1]] = joint[:, 2]
    return [[int(count) for count in row] for row in matrix]
