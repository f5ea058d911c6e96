"""The test predictions of a run, saved next to its model, so that comparing runs needs neither data nor backend."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.errors import ArtifactError, RunFolderError
from zoo.runs import array_io
from zoo.runs.run_folder import TEST_PREDICTIONS
from zoo.utils import files
from zoo.utils.hardware import usable_memory

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zoo.runs.array_io import Layout
    from zoo.runs.run_folder import Run

_TOLERANCE = 0.05  # how far the sum of probabilities may be from 1; the same tolerance as when predicting


@dataclass(frozen=True, kw_only=True, repr=False)
class Predictions:
    """Predictions of a run's model for each test image, in the order of the dataset.

    Args:
        probabilities: ``(n, num_classes)``, float32.
        labels: True classes, ``(n,)``, int32.
    """

    probabilities: NDArray[np.float32]
    labels: NDArray[np.int32]

    def __repr__(self) -> str:
        """Return the number of images and classes, and the accuracy."""
        images, classes = self.probabilities.shape
        accuracy = float((self.probabilities.argmax(axis=1) == self.labels).mean())
        return f"Predictions({images=}, {classes=}, accuracy={accuracy:.4f})"


def write(folder: Path, probabilities: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]) -> str:
    """Write the test predictions to a run folder and return the digest of the file.

    Args:
        folder: The run folder, locked.
        probabilities: ``(n, num_classes)``, all finite. They are saved as float32.
        labels: True classes, ``(n,)``.

    Raises:
        RunFolderError: The file cannot be written.
    """
    data = array_io.encode_arrays({"labels": labels.astype("int32"), "probabilities": probabilities.astype("float32")})
    files.write_file(folder / TEST_PREDICTIONS, data)
    return files.sha256(data)


def read(run: Run) -> Predictions:
    """Return the test predictions of a run, without loading its model or its data.

    Raises:
        RunFolderError: The run was not tested, or was tested by a version of zoo that did not save predictions.
        ArtifactError: The file is damaged or belongs to another run.
    """
    record, source = run.record, run.path / TEST_PREDICTIONS
    if record.test is None:
        path = shlex.quote(str(run.path))
        cure = (
            f"Test it with `zoo test {path}`"
            if record.model_sha256 is not None
            else f"Its training did not finish; if it was stopped, resume it with `zoo resume {path}`"
        )
        raise RunFolderError(f"{run.path} was not tested. {cure}. Received: status={record.status!r}", path=run.path)
    if record.predictions_sha256 is None:
        raise RunFolderError(
            f"{run.path} has no test predictions, because an older version of zoo tested it. Add them with "
            f"`zoo test {shlex.quote(str(run.path))}`.",
            path=run.path,
        )
    shape = (record.data.test, len(record.data.class_names))
    layout: Layout = {"labels": (shape[:1], "int32"), "probabilities": (shape, "float32")}
    data = files.read(source, min(array_io.size_limit(layout), usable_memory() // 4))  # a record may ask for any number
    if files.sha256(data) != record.predictions_sha256:
        raise ArtifactError(
            f"{source} does not match the digest in run.json: it is damaged or belongs to another run. Restore it from "
            "a copy, or run the recipe again.",
            path=source,
        )
    arrays = array_io.decode(data, layout, str(source))
    found = Predictions(probabilities=arrays["probabilities"], labels=arrays["labels"])
    if fault := _fault(found, shape[1]):
        raise ArtifactError(f"{source} contains invalid predictions: {fault}. Restore it from a copy.", path=source)
    return found


def _fault(found: Predictions, num_classes: int) -> str | None:
    if not len(found.labels) or found.labels.min() < 0 or found.labels.max() >= num_classes:
        return f"labels must be from 0 to {num_classes - 1}"
    if (found.probabilities < 0).any() or (abs(found.probabilities.sum(axis=1) - 1) > _TOLERANCE).any():
        return "probabilities must not be negative and must add up to 1"
    return None
