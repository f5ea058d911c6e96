"""Predictions of models for training images that they were not trained on: those of a fold, or of all folds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.errors import ArtifactError
from zoo.runs import array_io
from zoo.utils import files

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zoo.runs.array_io import Layout

FOLD_PREDICTIONS = "fold-predictions.safetensors"
"""Name of the file in the run folder of a fold."""

_LARGEST = 1 << 30  # bytes
_TOLERANCE = 0.05  # how far the sum of probabilities may be from 1; the same tolerance as when predicting


@dataclass(frozen=True, kw_only=True, repr=False)
class FoldPredictions:
    """Predictions for images that a model was not trained on.

    Args:
        indices: Position of each image among the training images, ``(n,)``, int64; the dataset's own validation images
            are counted after them, see `zoo.data.without_validation`.
        labels: Given classes, ``(n,)``, int32.
        probabilities: ``(n, num_classes)``, float32.
    """

    indices: NDArray[np.int64]
    labels: NDArray[np.int32]
    probabilities: NDArray[np.float32]

    def __repr__(self) -> str:
        """Return the number of images and classes, and the accuracy."""
        images, classes = self.probabilities.shape
        return f"FoldPredictions({images=}, {classes=}, accuracy={self.accuracy:.4f})"

    @property
    def accuracy(self) -> float:
        """The share of images whose given class has the largest probability."""
        return float((self.probabilities.argmax(axis=1) == self.labels).mean())

    def write(self, path: Path) -> None:
        """Write the predictions to a file.

        Raises:
            RunFolderError: The file cannot be written.
        """
        arrays: dict[str, NDArray[Any]] = {
            "indices": self.indices,
            "labels": self.labels,
            "probabilities": self.probabilities,
        }
        files.write_file(path, array_io.encode_arrays(arrays))

    @classmethod
    def read(cls, path: Path) -> FoldPredictions:
        """Read predictions from a file.

        Raises:
            ArtifactError: The file is damaged or contains something else.
            RunFolderError: It cannot be read.
        """
        data = files.read(path, _LARGEST)
        found = cls(**array_io.decode(data, _layout(data, path), str(path)))
        if fault := found._fault():
            raise ArtifactError(f"{path} contains invalid predictions: {fault}. Restore it from a copy.", path=path)
        return found

    def _fault(self) -> str | None:
        import numpy as np

        if len(np.unique(self.indices)) < len(self.indices) or self.indices.min() < 0:
            return "an image has more than one prediction, or a negative index"
        if self.labels.min() < 0 or self.labels.max() >= self.probabilities.shape[1]:
            return f"labels must be from 0 to {self.probabilities.shape[1] - 1}"
        if (self.probabilities < 0).any() or (abs(self.probabilities.sum(axis=1) - 1) > _TOLERANCE).any():
            return "probabilities must not be negative and must add up to 1"
        return None


def _layout(data: bytes, path: Path) -> Layout:
    """Return the layout for the number of images and classes that a file declares."""
    try:
        size = array_io.check_header(data)
        shape: Any = json.loads(data[8 : 8 + size])["probabilities"]["shape"]
        images, classes = (int(each) for each in shape)
        if images < 1 or classes < 2:
            raise ValueError(f"it has predictions of {images} images for {classes} classes")
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise ArtifactError(
            f"{path} does not contain predictions of folds: {' '.join(str(error).split()):.200}. Pass a file that "
            "`zoo sweep --folds` wrote.",
            path=path,
        ) from error
    return {
        "indices": ((images,), "int64"),
        "labels": ((images,), "int32"),
        "probabilities": ((images, classes), "float32"),
    }
