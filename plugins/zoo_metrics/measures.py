"""Metrics of probabilities ``(n, num_classes)``, float64, and labels ``(n,)``, integers from 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from zoo.runs import by_class, calibration, class_means, confusion_matrix, top_k_accuracy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Probabilities = NDArray[np.float64]
    Labels = NDArray[np.integer[Any]]


def balanced_accuracy(probabilities: Probabilities, labels: Labels) -> float:
    """Return the mean recall of the classes that have images (Brodersen et al. 2010)."""
    recalls = [each.recall for each in by_class(confusion_matrix(probabilities, labels)) if each.recall is not None]
    return sum(recalls) / len(recalls)


def macro_f1(probabilities: Probabilities, labels: Labels) -> float:
    """Return the mean F1 score of the classes that have images or are predicted."""
    return class_means(by_class(confusion_matrix(probabilities, labels)))["f1"]


def top_k(probabilities: Probabilities, labels: Labels, k: Annotated[int, Meta(ge=1)] = 5) -> float:
    """Return the share of the images whose class is among the most probable; ties count in favor of low labels.

    Args:
        probabilities: Predictions.
        labels: True classes.
        k: How many classes.
    """
    return top_k_accuracy(probabilities, labels, k)


def auroc(probabilities: Probabilities, labels: Labels) -> float:
    """Return the area under the ROC curve, one class against the rest, averaged over the classes that have images.

    The area is the share of pairs that the class's probability puts in the right order (Hanley and McNeil 1982); a tie
    counts as half. It is NaN if all images have the same class.
    """
    import numpy as np

    areas = []
    for label in np.unique(labels):
        scores, positive = probabilities[:, label], labels == label
        count = int(positive.sum())
        _, place, sizes = np.unique(scores, return_inverse=True, return_counts=True)
        ranks = (np.cumsum(sizes) - (sizes - 1) / 2)[place]  # tied scores share their mean rank
        pairs = count * (len(labels) - count)
        areas.append((ranks[positive].sum() - count * (count + 1) / 2) / pairs if pairs else float("nan"))
    return float(np.mean(areas))


def ece(probabilities: Probabilities, labels: Labels, bins: Annotated[int, Meta(ge=1)] = 15) -> float:
    """Return the expected calibration error (Guo et al., arXiv:1706.04599, equation 3).

    Args:
        probabilities: Predictions.
        labels: True classes.
        bins: Number of bins of equal width that the images are divided into by their highest probability.
    """
    return calibration(probabilities, labels, bins)[0]


def nll(probabilities: Probabilities, labels: Labels) -> float:
    """Return the mean negative log-likelihood of the true classes, in nats; a probability of 0 counts as 1e-38."""
    import numpy as np

    return float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-38)).mean())
