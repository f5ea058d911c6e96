"""The predictions of cross-validation: of each image, by a model that was not trained on it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ArtifactError
from zoo.runs import array_io
from zoo.utils import files

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zoo.runs.array_io import Layout

OUT_OF_FOLD = "out-of-fold.safetensors"
"""Name of the file in the folder of a sweep, with the predictions of all folds, and of a run that validates on one."""

_TOLERANCE = 0.05  # how far the sum of probabilities may be from 1; the same tolerance as when predicting
_TYPES = {"indices": ("int64",), "labels": ("int32", "int64"), "probabilities": ("float32", "float64")}
_NAMES = {"F64": "float64", "F32": "float32", "I64": "int64", "I32": "int32", "U8": "uint8"}
_DIGEST = 32  # bytes


@dataclass(frozen=True, kw_only=True, repr=False)
class OutOfFold:
    """Predictions of images by models that were not trained on them.

    Args:
        indices: ``(n,)`` int64, each at most once: positions in the training images of the dataset, followed by its own
            validation images.
        labels: ``(n,)``, the labels of these images.
        probabilities: ``(n, num_classes)``, the predicted probabilities.
        data: ``(32,)`` uint8, `zoo.data.digest_of_split` of the dataset; None if unknown.
    """

    indices: NDArray[np.int64]
    labels: NDArray[np.integer[Any]]
    probabilities: NDArray[np.floating[Any]]
    data: NDArray[np.uint8] | None = None

    def __repr__(self) -> str:
        """Return the number of images and classes, and the accuracy."""
        images, classes = self.probabilities.shape
        return f"OutOfFold({images=}, {classes=}, accuracy={self.accuracy:.4f})"

    @property
    def accuracy(self) -> float:
        """Share of images whose label has the largest probability, 0 to 1."""
        return float((self.probabilities.argmax(axis=1) == self.labels).mean())

    def write(self, folder: Path) -> None:
        """Write the predictions to ``out-of-fold.safetensors`` in a folder.

        Raises:
            RunFolderError: The file cannot be written.
        """
        arrays: dict[str, NDArray[Any]] = {
            "indices": self.indices,
            "labels": self.labels,
            "probabilities": self.probabilities,
        }
        if self.data is not None:
            arrays["data"] = self.data
        files.write_file(folder / OUT_OF_FOLD, array_io.encode_arrays(arrays))


def read_out_of_fold(path: str | Path, *, images: int, classes: int, data: bytes | None = None) -> OutOfFold:
    """Read the predictions of cross-validation and check everything in them.

    Args:
        path: The file, or the folder that contains ``out-of-fold.safetensors``.
        images: Number of training and validation images of the dataset.
        classes: Number of its classes.
        data: `zoo.data.digest_of_split` of the dataset; None to accept predictions of other images.

    Raises:
        RunFolderError: The file is missing, unreadable or not a regular file, or larger than such a file can be.
        ArtifactError: It is damaged, or belongs to other data.
    """
    path = Path(path)
    if path.is_dir():
        path = path / OUT_OF_FOLD
    largest: Layout = {
        "indices": ((images,), "int64"),
        "labels": ((images,), "int64"),
        "probabilities": ((images, classes), "float64"),
    }
    found = decode(files.read(path, array_io.size_limit(largest)), path, images=images, classes=classes)
    if data is not None and found.data is not None and found.data.tobytes() != data:
        raise _error(path, "they are for other images, or for another order of them. Load the dataset as the sweep did")
    return found


def decode(data: bytes, path: Path, *, images: int, classes: int) -> OutOfFold:
    """Decode the content of such a file and check everything in it.

    Args:
        data: The content.
        path: How messages refer to it.
        images: As for `read_out_of_fold`.
        classes: As for `read_out_of_fold`.

    Raises:
        ArtifactError: It is damaged, or belongs to other data.
    """
    import numpy as np

    arrays = array_io.decode(data, _layout(data, path, images, classes), str(path))
    found = OutOfFold(**arrays)
    indices, labels, probabilities = found.indices, found.labels, found.probabilities
    if indices.min() < 0 or indices.max() >= images or len(np.unique(indices)) < len(indices):
        raise _error(path, f"indices must be different integers from 0 to {images - 1}")
    if labels.min() < 0 or labels.max() >= classes:
        raise _error(path, f"labels must be from 0 to {classes - 1}")
    if (probabilities < 0).any() or (abs(probabilities.sum(axis=1) - 1) > _TOLERANCE).any():
        raise _error(path, "probabilities must not be negative and must add up to 1")
    return found


def _layout(data: bytes, path: Path, images: int, classes: int) -> Layout:
    """Return the layout that the header of the file declares, if it is allowed."""
    try:
        size = array_io.check_header(data)
        header = json.loads(data[8 : 8 + size])
        if not isinstance(header, dict):
            raise TypeError("its header is not an object")
        header.pop("__metadata__", None)
        declared = {name: (tuple(each["shape"]), _NAMES.get(each["dtype"], "")) for name, each in header.items()}
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _error(path, f"it is not a valid safetensors file: {' '.join(str(error).split())}") from error
    if set(declared) - {"data"} != set(_TYPES):
        raise _error(path, f"it must contain the arrays {', '.join(_TYPES)} and no others")
    count = declared["indices"][0]
    if len(count) != 1 or type(count[0]) is not int or not 1 <= count[0] <= images:
        raise _error(path, f"it must have predictions of 1 to {images} images")
    shapes = {"indices": count, "labels": count, "probabilities": (*count, classes), "data": (_DIGEST,)}
    for name, (shape, dtype) in declared.items():
        types = _TYPES.get(name, ("uint8",))
        if shape != shapes[name] or dtype not in types:
            raise _error(
                path, f"{name} must have shape {shapes[name]} and type {' or '.join(types)}, not {shape} {dtype}"
            )
    return declared


def _error(path: Path, fault: str) -> ArtifactError:
    return ArtifactError(
        f"{path} does not contain predictions for this data: {fault}. Pass the file that `zoo sweep --folds` wrote for "
        "this data.",
        path=path,
    )
