"""Labels that are likely wrong, by confident learning.

The formulas are those of Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels"
(Journal of Artificial Intelligence Research 70, 2021): the thresholds of equation 2, the confident joint of equation 1,
its calibration of equation 3, and of the ways to prune in section 3.2 the two that use it, "prune by class" and "prune
by noise rate". A label is reported if both find it, which is their choice for precision (section 3.2, "C+NR").
The probabilities must be those of a model that was not trained on the images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class DoubtfulLabels:
    """What confident learning finds.

    Args:
        thresholds: ``(classes,)``, the mean probability of each class among the images with that label; NaN without
            images.
        confident_joint: ``(classes, classes)`` int64, ``[label][class]``: images with that label that are confidently
            of that class.
        estimated_errors: Estimated number of images whose label is not their class.
        positions: Images whose label is likely wrong, the most doubtful first: by the probability of the label less
            that of the most probable other class.
    """

    thresholds: NDArray[np.float64]
    confident_joint: NDArray[np.int64]
    estimated_errors: float
    positions: NDArray[np.intp]


def find_doubtful_labels(probabilities: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]) -> DoubtfulLabels:
    """Return the labels that are likely wrong.

    Args:
        probabilities: ``(n, classes)``, predicted for images that the model was not trained on.
        labels: ``(n,)``, from 0.
    """
    import numpy as np

    given: NDArray[np.float64] = probabilities.astype(np.float64)
    labels = labels.astype(np.int64)
    classes = given.shape[1]
    counts = np.bincount(labels, minlength=classes)
    own = given[np.arange(len(labels)), labels]
    with np.errstate(invalid="ignore"):
        thresholds = np.bincount(labels, weights=own, minlength=classes) / counts
    joint = _confident_joint(given, labels, thresholds)
    noise = _calibrated(joint, counts)
    np.fill_diagonal(noise, 0)
    margins = own - _largest_other(given, labels)
    doubtful = _by_class(own, labels, noise) & _by_noise_rate(given, labels, own, noise)
    doubtful &= margins < 0  # the model finds another class more probable
    positions = np.flatnonzero(doubtful)
    return DoubtfulLabels(
        thresholds=thresholds,
        confident_joint=joint,
        estimated_errors=float(noise.sum()),
        positions=positions[np.argsort(margins[positions], kind="stable")],
    )


def _confident_joint(
    probabilities: NDArray[np.float64], labels: NDArray[np.integer[Any]], thresholds: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Count images by label and by their most probable class among those that reach the class's threshold."""
    import numpy as np

    classes = len(thresholds)
    reached = np.where(probabilities >= thresholds, probabilities, -1)  # never at a threshold that is NaN
    confident = reached.max(axis=1) >= 0
    cells = labels[confident] * classes + reached[confident].argmax(axis=1)
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes)


def _calibrated(joint: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the joint scaled so that each row adds up to the number of images with that label."""
    import numpy as np

    rows = joint.sum(axis=1, keepdims=True)
    scaled: NDArray[np.float64] = joint / np.maximum(rows, 1) * counts[:, None]
    return scaled


def _by_class(
    own: NDArray[np.float64], labels: NDArray[np.integer[Any]], noise: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Mark, of each label, as many images as are estimated to be wrong: those with the least probable label."""
    import numpy as np

    marked = np.zeros(len(labels), np.bool_)
    for label, number in enumerate(np.rint(noise.sum(axis=1)).astype(int)):
        members = np.flatnonzero(labels == label)
        marked[members[np.argsort(own[members], kind="stable")[:number]]] = True
    return marked


def _by_noise_rate(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.integer[Any]],
    own: NDArray[np.float64],
    noise: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Mark, of each label and each other class, as many images as are estimated: by the margin of the two."""
    import numpy as np

    marked = np.zeros(len(labels), np.bool_)
    for label, row in enumerate(np.rint(noise).astype(int)):
        members = np.flatnonzero(labels == label)
        for other in np.flatnonzero(row):
            margin = probabilities[members, other] - own[members]
            marked[members[np.argsort(-margin, kind="stable")[: row[other]]]] = True
    return marked


def _largest_other(probabilities: NDArray[np.float64], labels: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Return the largest probability of a class other than the label."""
    import numpy as np

    others = probabilities.copy()
    others[np.arange(len(labels)), labels] = -1
    found: NDArray[np.float64] = others.max(axis=1)
    return found
