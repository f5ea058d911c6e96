"""What loss and accuracy mean, once, for every trainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.errors import DataError, PluginError
from zoo.examples import batches
from zoo.records import Metrics

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

    from zoo.interfaces import Examples, Trainer

_BATCH = 500
_SMALLEST = 1e-7  # probabilities are clipped to this, as Keras's categorical cross-entropy does


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Predictions on examples and how well they fit.

    Args:
        metrics: Loss and accuracy.
        probabilities: ``(n, num_classes)``, float64.
        labels: ``(n,)``, the true classes.
    """

    metrics: Metrics
    probabilities: NDArray[np.float64]
    labels: NDArray[np.integer[Any]]


def score(probabilities: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]) -> Metrics:
    """Return mean categorical cross-entropy and accuracy, computed in float64.

    Args:
        probabilities: ``(n, num_classes)``.
        labels: ``(n,)``, from 0 to ``num_classes - 1``.
    """
    import numpy as np

    of_truth = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    # NaN passes through the clip and makes the loss NaN, which is how divergence is seen
    loss = -np.log(np.clip(of_truth, _SMALLEST, 1.0)).mean()
    return Metrics(loss=float(loss), accuracy=float((probabilities.argmax(axis=1) == labels).mean()))


def evaluate(trainer: Trainer, model: keras.Model, examples: Examples, num_classes: int) -> Scores:
    """Return a model's predictions on examples and their metrics, from one forward pass.

    Raises:
        DataError: There are no examples, or a label is not a class.
        PluginError: The trainer's predictions have another shape.
    """
    import numpy as np

    if not len(examples):
        raise DataError("There are no examples to test on. Received: len(examples)=0")
    probabilities, labels = [], []
    for images, truth in batches(examples, _BATCH):
        if truth.min() < 0 or truth.max() >= num_classes:
            raise DataError(
                f"Labels are from 0 to {num_classes - 1}. Received: labels from {truth.min()} to {truth.max()}"
            )
        predicted = np.asarray(trainer.predict(model, images))
        if predicted.shape != (len(images), num_classes):
            raise PluginError(
                f"The trainer's predictions for {len(images)} images and {num_classes} classes have another shape. "
                f"Received: shape={predicted.shape}"
            )
        probabilities.append(predicted.astype(np.float64))
        labels.append(truth)
    together, truth = np.concatenate(probabilities), np.concatenate(labels)
    return Scores(metrics=score(together, truth), probabilities=together, labels=truth)
