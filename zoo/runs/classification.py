"""Measures of predictions by class, of their calibration, and of the most probable classes. Needs no backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Probabilities = NDArray[np.floating[Any]]
    Labels = NDArray[np.integer[Any]]

BINS = 15
"""Default number of confidence bins, as in Guo et al. 2017."""


@dataclass(frozen=True, kw_only=True)
class ClassMeasures:
    """Precision, recall and F1 of one class; None where the denominator is 0.

    Args:
        images: Number of images of the class.
        precision: Share of the images predicted as the class that belong to it.
        recall: Share of the images of the class that are predicted as it.
        f1: Harmonic mean of both.
    """

    images: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, kw_only=True)
class Bin:
    """The images whose highest probability lies between two confidences.

    Args:
        low: The lower end, excluded.
        high: The upper end, included.
        images: Number of images in the bin.
        confidence: Mean of their highest probabilities, 0 if there are none.
        accuracy: Share of them that is predicted correctly, 0 if there are none.
    """

    low: float
    high: float
    images: int
    confidence: float
    accuracy: float


def confusion_matrix(probabilities: Probabilities, labels: Labels) -> NDArray[np.int64]:
    """Return the number of images by true class (rows) and predicted class (columns)."""
    import numpy as np

    classes = probabilities.shape[1]
    pairs = labels.astype(np.int64) * classes + probabilities.argmax(axis=1)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def by_class(matrix: NDArray[np.int64]) -> list[ClassMeasures]:
    """Return precision, recall and F1 of each class, from a confusion matrix."""
    measures = []
    for at in range(len(matrix)):
        right, taken, images = int(matrix[at, at]), int(matrix[:, at].sum()), int(matrix[at].sum())
        measures.append(
            ClassMeasures(
                images=images,
                precision=_share(right, taken),
                recall=_share(right, images),
                f1=_share(2 * right, taken + images),
            )
        )
    return measures


def class_means(classes: Sequence[ClassMeasures]) -> dict[str, float]:
    """Return the unweighted means of ``precision``, ``recall`` and ``f1`` over the classes.

    Undefined values count as 0; a class that has no images and was never predicted is left out. This is how
    scikit-learn's ``precision_recall_fscore_support(..., average="macro", zero_division=0)`` does it.
    """
    found = [each for each in classes if each.f1 is not None]
    return {
        name: sum(getattr(each, name) or 0.0 for each in found) / len(found) for name in ("precision", "recall", "f1")
    }


def top_k_accuracy(probabilities: Probabilities, labels: Labels, k: int) -> float:
    """Return the share of the images whose class is among the ``k`` most probable.

    Of equally probable classes, the first counts as more probable, as for the accuracy.
    """
    import numpy as np

    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return float((best == labels[:, None]).any(axis=1).mean())


def calibration(probabilities: Probabilities, labels: Labels, bins: int = BINS) -> tuple[float, list[Bin]]:
    """Return the expected calibration error and the bins that it is computed from.

    The images are divided by their highest probability into bins of equal width. The error is the mean difference
    between accuracy and confidence in a bin, weighted by its number of images (Guo, Pleiss, Sun, Weinberger 2017, On
    Calibration of Modern Neural Networks, ICML, equation 3).
    """
    import numpy as np

    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    edges = np.arange(bins + 1) / bins
    # bins are (low, high]; in float32 a confidence may slightly exceed 1
    places = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    found = []
    for place in range(bins):
        inside = places == place
        count = int(inside.sum())
        found.append(
            Bin(
                low=float(edges[place]),
                high=float(edges[place + 1]),
                images=count,
                confidence=float(confidence[inside].mean()) if count else 0.0,
                accuracy=float(right[inside].mean()) if count else 0.0,
            )
        )
    return sum(each.images * abs(each.accuracy - each.confidence) for each in found) / len(right), found


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
