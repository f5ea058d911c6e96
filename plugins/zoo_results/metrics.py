"""The most confident mistakes among test predictions, and intervals of accuracies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.runs import Predictions


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A misclassified test image: its index, true and predicted class, and the probability of the predicted class."""

    index: int
    truth: int
    predicted: int
    confidence: float


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
    z, share = 1.96, min(share, 1.0)  # a recorded share may be rounded up
    center = (share + z * z / (2 * n)) / (1 + z * z / n)
    margin = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return center - margin, center + margin
