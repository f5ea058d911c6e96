"""Loss, accuracy and registered metrics, computed in one way for all trainers."""

from __future__ import annotations

import contextlib
import hashlib
import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from zoo.data.examples import batches
from zoo.errors import PluginError
from zoo.runs.records import Metrics
from zoo.utils.plugin_errors import plugin_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import keras
    import numpy as np
    from numpy.typing import NDArray

    from zoo.interfaces import Examples, Trainer
    from zoo.recipes.components import Component
    from zoo.runs.records import ComponentRecord

_BATCH = 500  # number of examples read at a time
_TOLERANCE = 0.05  # maximum deviation of a sum of probabilities from 1: bfloat16 is coarse
_SMALLEST = 1e-7  # probabilities are clipped to this, as Keras's categorical cross-entropy does


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Predictions for examples, and their metrics.

    Args:
        metrics: Loss and accuracy.
        probabilities: ``(n, num_classes)``, float64.
        labels: ``(n,)``, the true classes.
        examples_sha256: SHA-256 digest of the images and labels; None if it was not requested.
    """

    metrics: Metrics
    probabilities: NDArray[np.float64]
    labels: NDArray[np.integer[Any]]
    examples_sha256: str | None = None


class _PredictionsError(PluginError):
    """Predictions have the wrong shape or are not probabilities; which model's is not known here."""

    def __init__(self, fault: str) -> None:
        super().__init__(f"The predictions {fault}")
        self.fault = fault


@contextlib.contextmanager
def names_model(model: ComponentRecord | Component) -> Iterator[None]:
    """Name a model in the error that `evaluate` raises about its predictions."""
    try:
        yield
    except _PredictionsError as error:
        raise PluginError(
            f"The predictions of model {model.plugin}/{model.name} {error.fault}", plugin=model.plugin
        ) from error


def compute_metrics(
    probabilities: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]], metrics: Sequence[Component] = ()
) -> Metrics:
    """Compute mean categorical cross-entropy, accuracy and registered metrics in float64.

    Args:
        probabilities: ``(n, num_classes)``.
        labels: ``(n,)``, from 0 to ``num_classes - 1``.
        metrics: Registered metrics to compute as well.

    Raises:
        PluginError: A metric fails, or its value is not a finite number.
    """
    import numpy as np

    of_truth = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    # NaN passes through the clip and makes the loss NaN, which the check for divergence relies on
    loss = -np.log(np.clip(of_truth, _SMALLEST, 1.0)).mean()
    return Metrics(
        loss=float(loss),
        accuracy=float((probabilities.argmax(axis=1) == labels).mean()),
        others={metric.name: _value(metric, probabilities, labels) for metric in metrics if math.isfinite(loss)},
    )


def _value(metric: Component, probabilities: NDArray[Any], labels: NDArray[Any]) -> float:
    with plugin_errors(metric.title, "compute"):
        value = float(metric.make(probabilities, labels))
    if not math.isfinite(value):
        raise PluginError(
            f"The {metric.title} is undefined for these predictions, for example because a class has no example. "
            f"Choose another metric, or data that has every class. Received: {metric.name}={value}",
            plugin=metric.plugin,
        )
    return value


def evaluate(
    trainer: Trainer,
    model: keras.Model,
    examples: Examples,
    num_classes: int,
    *,
    metrics: Sequence[Component] = (),
    with_digest: bool = False,
) -> Evaluation:
    """Predict examples in one forward pass, and return the predictions with their metrics.

    Args:
        trainer: The trainer whose `predict` is used.
        model: The model.
        examples: The examples to predict.
        num_classes: Number of classes.
        metrics: Registered metrics to compute besides loss and accuracy.
        with_digest: Whether to also compute a digest of the examples: of the image size, all pixels and all labels.

    Raises:
        PluginError: The predictions have the wrong shape or are not probabilities. NaN and infinity are not
            checked here; that is left to the caller.
    """
    predict = partial(trainer.predict, model)
    return evaluate_predictions(predict, examples, num_classes, metrics=metrics, with_digest=with_digest)


def evaluate_predictions(
    predict: Callable[[NDArray[np.uint8]], NDArray[np.floating[Any]]],
    examples: Examples,
    num_classes: int,
    *,
    metrics: Sequence[Component] = (),
    with_digest: bool = False,
) -> Evaluation:
    """Do what `evaluate` does, with a function that returns probabilities for uint8 images."""
    import numpy as np

    probabilities: list[NDArray[np.float64]] = []
    labels: list[NDArray[np.integer[Any]]] = []
    pixels = hashlib.sha256()
    for images, truth in batches(examples, _BATCH):
        if with_digest:
            pixels.update(repr(images.shape[1:]).encode() if not labels else b"")
            pixels.update(np.ascontiguousarray(images).data)
        predicted = np.asarray(predict(images)).astype(np.float64)
        check_probabilities(predicted, (len(images), num_classes))
        probabilities.append(predicted)
        labels.append(truth)
    together, truth = np.concatenate(probabilities), np.concatenate(labels)
    digest = None
    if with_digest:
        pixels.update(truth.astype("<i8").tobytes())
        digest = pixels.hexdigest()
    computed = compute_metrics(together, truth, metrics)
    return Evaluation(metrics=computed, probabilities=together, labels=truth, examples_sha256=digest)


def check_probabilities(predicted: NDArray[np.float64], shape: tuple[int, int], *, is_finite: bool = False) -> None:
    """Raise `PluginError` unless predictions have a shape and are probabilities.

    Args:
        predicted: The predictions.
        shape: Number of images, number of classes.
        is_finite: Whether NaN and infinity are errors too; otherwise their rows are passed over.
    """
    import numpy as np

    if predicted.shape != shape:
        raise _PredictionsError(
            f"for {shape[0]} images and {shape[1]} classes have the wrong shape. Return one row per image "
            f"and one column per class. Received: shape={predicted.shape}"
        )
    if is_finite and not np.isfinite(predicted).all():
        raise _PredictionsError("are NaN or infinite before any training. Check the weights that it starts with.")
    finite = predicted[np.isfinite(predicted).all(axis=1)]
    wrong = (finite < 0).any(axis=1) | (abs(finite.sum(axis=1) - 1) > _TOLERANCE)
    if wrong.any():
        raise _PredictionsError(
            "are not probabilities. End the model with a softmax. "
            f"Received: {np.array2string(finite[wrong][0], precision=3, threshold=4)}"
        )
