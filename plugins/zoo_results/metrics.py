"""Metrics of test predictions: errors by class, calibration, most confident mistakes, and intervals of accuracies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from zoo.runs import Predictions

BINS = 15
"""Number of confidence bins, as in Guo et al. 2017."""

MEASURES = ("precision", "recall", "f1")


@dataclass(frozen=True, kw_only=True)
class ClassMeasures:
    """Precision, recall and F1 of one class; None where the denominator is 0.

    Args:
        images: Number of test images of the class.
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
    """The test images whose highest probability lies between two confidences.

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


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A misclassified test image: its index, true and predicted class, and the probability of the predicted class."""

    index: int
    truth: int
    predicted: int
    confidence: float


def confusion(found: Predictions) -> NDArray[np.int64]:
    """Return the confusion matrix: test images by true class (rows) and predicted class (columns)."""
    import numpy as np

    classes = found.probabilities.shape[1]
    pairs = found.labels.astype(np.int64) * classes + found.probabilities.argmax(axis=1)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def by_class(matrix: NDArray[np.int64]) -> list[ClassMeasures]:
    """Return precision, recall and F1 of each class."""
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


def means_of(classes: Sequence[ClassMeasures]) -> dict[str, float]:
    """Return the unweighted means of precision, recall and F1 over the classes.

    Undefined values count as 0; a class that has no images and was never predicted is left out. This is how
    scikit-learn's ``precision_recall_fscore_support(..., average="macro", zero_division=0)`` does it.
    """
    found = [each for each in classes if each.f1 is not None]
    return {name: sum(getattr(each, name) or 0.0 for each in found) / len(found) for name in MEASURES}


def calibration(found: Predictions) -> tuple[float, list[Bin]]:
    """Return the expected calibration error and the bins that it is computed from.

    The images are divided by their highest probability into bins of equal width. The error is the mean difference
    between accuracy and confidence in a bin, weighted by its number of images (Guo, Pleiss, Sun, Weinberger 2017, On
    Calibration of Modern Neural Networks, ICML, equation 3).
    """
    import numpy as np

    confidence = found.probabilities.max(axis=1).astype(np.float64)
    right = found.probabilities.argmax(axis=1) == found.labels
    # (low, high]: a confidence of exactly 1 belongs to the last bin; in float32 it may slightly exceed 1
    places = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    bins = []
    for place in range(BINS):
        inside = places == place
        count = int(inside.sum())
        bins.append(
            Bin(
                low=place / BINS,
                high=(place + 1) / BINS,
                images=count,
                confidence=float(confidence[inside].mean()) if count else 0.0,
                accuracy=float(right[inside].mean()) if count else 0.0,
            )
        )
    return sum(each.images * abs(each.accuracy - each.confidence) for each in bins) / len(right), bins


def worst_mistakes(found: Predictions, most: int) -> list[Mistake]:
    """Return the mistakes with the highest confidence, in descending order."""
    import numpy as np

    predicted = found.probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != found.labels)
    confidence = found.probabilities[wrong, predicted[wrong]]
    order = wrong[np.argsort(-confidence, kind="stable")][:most]
    return [
        Mistake(
            index=int(at),
            truth=int(found.labels[at]),
            predicted=int(predicted[at]),
            confidence=float(found.probabilities[at, predicted[at]]),
        )
        for at in order
    ]


def wilson(share: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of n images (Wilson 1927, J. Am. Statistical Association 22, 209-212)."""
    z = 1.96
    center = (share + z * z / (2 * n)) / (1 + z * z / n)
    margin = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return center - margin, center + margin


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
