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


_AT_ONCE = 64 << 20  # bytes of probabilities, as float64, that are looked at at once


@dataclass(frozen=True, kw_only=True)
class DoubtfulLabels:
    """What confident learning finds.

    Args:
        thresholds: ``(classes,)``, the mean probability of each class among the images with that label; NaN without
            images.
        confident_joint: ``(cells, 3)`` int64, the cells of the confident joint that are not 0, in order: a label, a
            class, and the number of images with that label that are confidently of that class.
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

    Nothing of the size ``(classes, classes)`` or ``(n, classes)`` is made, since there can be many classes.

    Args:
        probabilities: ``(n, classes)``, predicted for images that the model was not trained on.
        labels: ``(n,)``, from 0.
    """
    import numpy as np

    given: NDArray[np.int64] = labels.astype(np.int64)
    classes = probabilities.shape[1]
    counts = np.bincount(given, minlength=classes)
    own = probabilities[np.arange(len(given)), given].astype(np.float64)
    with np.errstate(invalid="ignore"):
        thresholds = np.bincount(given, weights=own, minlength=classes) / counts
    confident, margins = _compared(probabilities, given, own, thresholds)
    joint = _confident_joint(confident, given, classes)
    doubtful, estimated_errors = _pruned(probabilities, given, own, joint)
    doubtful &= margins < 0  # the model finds another class more probable
    positions = np.flatnonzero(doubtful)
    return DoubtfulLabels(
        thresholds=thresholds,
        confident_joint=joint,
        estimated_errors=estimated_errors,
        positions=positions[np.argsort(margins[positions], kind="stable")],
    )


def _compared(
    probabilities: NDArray[np.floating[Any]],
    labels: NDArray[np.int64],
    own: NDArray[np.float64],
    thresholds: NDArray[np.float64],
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Compare the probabilities of each image with the thresholds and with each other.

    Returns:
        Of each image, its most probable class among those that reach the class's threshold, -1 if none does; and the
        probability of its label less that of the most probable other class.
    """
    import numpy as np

    confident, margins = np.empty(len(labels), np.intp), np.empty(len(labels))
    step = max(1, _AT_ONCE // (8 * len(thresholds)))
    for start in range(0, len(labels), step):
        rows = slice(start, start + step)
        given = probabilities[rows].astype(np.float64)
        reached = np.where(given >= thresholds, given, -1)  # never at a threshold that is NaN
        confident[rows] = np.where(reached.max(axis=1) >= 0, reached.argmax(axis=1), -1)
        given[np.arange(len(given)), labels[rows]] = -1
        margins[rows] = own[rows] - given.max(axis=1)
    return confident, margins


def _confident_joint(confident: NDArray[np.intp], labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Count images by label and by the class that they are confidently of: ``(cells, 3)``."""
    import numpy as np

    is_any = confident >= 0
    cells, counts = np.unique(labels[is_any] * classes + confident[is_any], return_counts=True)
    return np.stack([*np.divmod(cells, classes), counts], axis=1)


def _pruned(
    probabilities: NDArray[np.floating[Any]],
    labels: NDArray[np.int64],
    own: NDArray[np.float64],
    joint: NDArray[np.int64],
) -> tuple[NDArray[np.bool_], float]:
    """Mark the images that both ways to prune select, label by label, and return the estimated number of errors.

    By class: of each label, as many images as are estimated to be wrong, those with the least probable label. By noise
    rate: of each label and each other class, as many images as are estimated, by the margin of the two.
    """
    import numpy as np

    classes = probabilities.shape[1]
    order = np.argsort(labels, kind="stable")
    bounds = np.searchsorted(labels[order], np.arange(classes + 1))
    of_label = np.searchsorted(joint[:, 0], np.arange(classes + 1))
    by_class, by_noise_rate = np.zeros(len(labels), np.bool_), np.zeros(len(labels), np.bool_)
    errors = 0.0
    for label in np.unique(joint[:, 0]):
        members = order[bounds[label] : bounds[label + 1]]
        noise = _noise(joint[of_label[label] : of_label[label + 1]], len(members), classes)
        estimate = noise.sum()
        errors += float(estimate)
        by_class[members[np.argsort(own[members], kind="stable")[: int(np.rint(estimate))]]] = True
        numbers = np.rint(noise).astype(int)
        for other in np.flatnonzero(numbers):
            margin = probabilities[members, other].astype(np.float64) - own[members]
            by_noise_rate[members[np.argsort(-margin, kind="stable")[: numbers[other]]]] = True
    return by_class & by_noise_rate, errors


def _noise(cells: NDArray[np.int64], count: int, classes: int) -> NDArray[np.float64]:
    """Return, of ``count`` images with a label, the estimated number of each other class.

    The cells of the label are calibrated: scaled so that they add up to that number of images.
    """
    import numpy as np

    label, others, numbers = cells[0, 0], cells[:, 1], cells[:, 2]
    noise = np.zeros(classes)
    noise[others] = numbers / numbers.sum() * count
    noise[label] = 0
    return noise
