"""Compares the predictions of an exported file with those of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.data.examples import batches
from zoo.errors import ParityError
from zoo.pipeline.exported import predict_with
from zoo.runs.exports import ParityRecord
from zoo.training.metrics import evaluate_predictions
from zoo.utils.plugin_errors import plugin_errors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zoo.interfaces import Exporter, Split
    from zoo.training.metrics import Evaluation

PARITY_TOLERANCE = 1e-4
"""Largest allowed difference between a probability of a float32 file and one of the model."""
MAX_ACCURACY_LOSS = 0.005
"""Largest allowed loss of test accuracy by int8 quantization, by default."""
_COUNTS = (1, 3)  # numbers of images that a file must also take, besides whole batches


def measure_parity(
    exporter: Exporter,
    title: str,
    path: Path,
    split: Split,
    expected: Evaluation,
    *,
    tolerance: float,
    run_accuracy: float | None,
) -> ParityRecord:
    """Return how the predictions of a file compare with those of the model, for all test images.

    Args:
        exporter: Runs the file.
        title: How messages refer to the exporter.
        path: The file.
        split: The data.
        expected: The predictions of the model.
        tolerance: As for `ParityRecord`.
        run_accuracy: As for `ParityRecord`.

    Raises:
        PluginError: The file cannot be run.
        ArtifactError: It does not return a probability for each image and class.
    """
    import numpy as np

    with plugin_errors(title, f"open {path.name}"):
        predict = predict_with(exporter.open(path, None), title, path, len(split.class_names))
    with plugin_errors(title, f"run {path.name}"):
        found = evaluate_predictions(predict, split.test, len(split.class_names))
    differences = [float(np.abs(found.probabilities - expected.probabilities).max())]
    differences += [_difference(predict, split, expected, count) for count in _COUNTS if count <= len(split.test)]
    answers, labels = found.probabilities.argmax(axis=1), expected.labels
    return ParityRecord(
        images=len(labels),
        largest_difference=max(differences),
        tolerance=tolerance,
        different_predictions=int((answers != expected.probabilities.argmax(axis=1)).sum()),
        accuracy=float((answers == labels).mean()),
        model_accuracy=expected.metrics.accuracy,
        run_accuracy=run_accuracy,
    )


def _difference(
    predict: Callable[[NDArray[np.uint8]], NDArray[np.floating[Any]]], split: Split, expected: Evaluation, count: int
) -> float:
    """Return the largest difference for the first few images, predicted on their own."""
    import numpy as np

    images, _ = next(iter(batches(split.test, count)))
    return float(np.abs(predict(images) - expected.probabilities[:count]).max())


def check_parity(parity: ParityRecord, name: str, *, int8: bool) -> None:
    """Raise `ParityError` if the predictions of a file differ too much from those of the model."""
    loss = parity.model_accuracy - parity.accuracy
    if int8 and not loss <= parity.tolerance:
        raise ParityError(
            f"int8 quantization lowers the accuracy of {name} by more than the tolerance, so it is not kept. Export it "
            f"without int8, or raise the tolerance. Received: accuracy={parity.accuracy:.4f}, in float32 "
            f"{parity.model_accuracy:.4f}, tolerance={parity.tolerance}",
            parity=parity,
        )
    if not int8 and not parity.largest_difference <= parity.tolerance:
        raise ParityError(
            f"The predictions of {name} do not match those of the model, so it is not kept. Use another format, and "
            f"report this to the exporter's author. Received: largest difference {parity.largest_difference:.2g}, "
            f"tolerance {parity.tolerance}, {parity.different_predictions} of {parity.images} predictions differ",
            parity=parity,
        )
