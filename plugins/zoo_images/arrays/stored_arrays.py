"""Arrays in files: what their headers declare is checked before any content is read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo import DataError
from zoo.images import MAX_PIXELS, shown
from zoo.utils import usable_memory
from zoo_images.arrays.names import CLASS_NAMES, Role

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

_DTYPES = {"images": "uifb", "labels": "iufbUS", "class_names": "U"}
_WANTED = {"images": "numbers, such as uint8 from 0 to 255", "labels": "integers from 0", "class_names": "strings"}
_MOST_CHANNELS = 4  # the most that typical images have
_LONGEST = 1_000  # letters of a class name
# What training with trainer resident on a CPU was measured to take: the images, the trainer's copy of them, the one on
# the device, and one more while that is made; 0.9 GiB for the program itself
_COPIES = 4
_PROGRAM = 1 << 30
_PER_IMAGE = 256  # bytes for the label and digest of an image


@dataclass(frozen=True, kw_only=True)
class StoredArray:
    """An array in a file.

    Args:
        name: Its name, or the name of its file.
        title: Name of the array in error messages, with its file.
        path: Its file.
        shape: Its shape, as its header declares it.
        dtype: Its type.
        read: Reads its content.
    """

    name: str
    title: str
    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[], NDArray[Any]]


def is_channels_first(shape: tuple[int, ...]) -> bool:
    """Return whether images of a shape ``(n, ...)`` are clearly ``(n, channels, height, width)``.

    The last dimension is more than the channels of typical images, and the first of an image is not, or is at most
    half the side of a square.
    """
    if len(shape) != 4 or min(shape[2:]) <= _MOST_CHANNELS:
        return False
    channels, height, width = shape[1:]
    return channels <= _MOST_CHANNELS or (height == width and 2 * channels <= height)


def is_ambiguous(shape: tuple[int, ...]) -> bool:
    """Return whether images of a shape ``(n, ...)`` may have their channels first, but not clearly."""
    return len(shape) == 4 and shape[2] == shape[3] > _MOST_CHANNELS and not is_channels_first(shape)


def image_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return height, width and channels of images of a shape ``(n, ...)``, whichever order they have."""
    if is_channels_first(shape):
        return shape[2], shape[3], shape[1]
    return shape[1], shape[2], shape[3] if len(shape) == 4 else 1


def check_headers(arrays: Mapping[Role, StoredArray], path: Path) -> None:
    """Check everything about arrays that their headers show.

    Args:
        arrays: The arrays.
        path: File or folder of all of them.

    Raises:
        DataError: Images or labels are missing, a type or shape is wrong, lengths or image sizes do not agree, or the
            arrays and their training would take more than the memory.
    """
    _check_complete(arrays, path)
    for role, array in arrays.items():
        _check_dtype(array, role.kind)
        _check_shape(array, role.kind)
    _check_memory(arrays, path)
    images = {role.part: array for role, array in arrays.items() if role.kind == "images"}
    first = next(iter(images.values()))
    for part, array in images.items():
        labels = arrays[Role(part, "labels")]
        if array.shape[0] != labels.shape[0]:
            raise DataError(
                f"{array.title}: There must be one label for each image. Save as many labels as images. "
                f"Received: images.shape={array.shape}, labels.shape={labels.shape}",
                path=array.path,
            )
        if image_shape(array.shape) != image_shape(first.shape):
            raise DataError(
                f"{array.title}: Images must have the same size as the training images. Resize them to "
                f"{image_shape(first.shape)} (height, width, channels). Received: shape={image_shape(array.shape)}",
                path=array.path,
            )


def _check_complete(arrays: Mapping[Role, StoredArray], path: Path) -> None:
    parts = {role.part for role in arrays if role != CLASS_NAMES}
    found = f"Received: arrays={[shown(array.name) for array in arrays.values()]!r:.500}"
    for part in sorted(parts):
        images, labels = Role(part, "images"), Role(part, "labels")
        if (images in arrays) != (labels in arrays):
            raise DataError(f"{shown(path)} has only one of {images} and {labels}. Save both. {found}", path=path)
    if not parts & {"", "train"}:
        raise DataError(
            f"{shown(path)} has no training images. Save train_images and train_labels, or images and labels. {found}",
            path=path,
        )
    if "" in parts and len(parts) > 1:
        raise DataError(
            f"{shown(path)} has an invalid combination of arrays. Save either images and labels, or train_images "
            f"and train_labels, optionally with test_... and validation_... arrays. {found}",
            path=path,
        )


def _check_dtype(array: StoredArray, kind: str) -> None:
    if array.dtype.kind not in _DTYPES[kind]:
        cure = ". Objects are pickles, which could run code: save them as numbers or strings"
        raise DataError(
            f"{array.title} must be {_WANTED[kind]}{cure if array.dtype.kind == 'O' else ''}. "
            f"Received: dtype={array.dtype}",
            path=array.path,
        )
    if array.dtype.kind in "US" and array.dtype.itemsize > 4 * _LONGEST:
        raise DataError(
            f"{array.title} has texts that are too long for class names. Shorten them to {_LONGEST:,} letters. "
            f"Received: dtype={array.dtype}",
            path=array.path,
        )


def _check_shape(array: StoredArray, kind: str) -> None:
    received = f"Received: shape={array.shape}"
    if kind == "labels" and len(array.shape) not in (1, 2):
        raise DataError(f"{array.title} must have one label per image. Save shape (n,). {received}", path=array.path)
    if kind != "images":
        return
    if len(array.shape) not in (3, 4):
        raise DataError(
            f"{array.title} must be images, (n, height, width) or (n, height, width, channels). If each row is an "
            f"image, save images.reshape(-1, height, width). {received}",
            path=array.path,
        )
    if 0 in array.shape:
        raise DataError(f"{array.title} has no images. Add some of every class. {received}", path=array.path)
    if math.prod(array.shape[1:]) > MAX_PIXELS:
        raise DataError(
            f"{array.title}: Images are too large: at most {MAX_PIXELS:,} values each. {received}", path=array.path
        )


def _check_memory(arrays: Mapping[Role, StoredArray], path: Path) -> None:
    """Raise `DataError` if arrays, converted to uint8, and their copies for training would take too much memory."""
    needed = _PROGRAM
    for role, array in arrays.items():
        values = math.prod(array.shape)
        if role.kind == "images":
            needed += _COPIES * values + _PER_IMAGE * array.shape[0]
        if role.kind != "images" or array.dtype != "u1":
            needed += values * array.dtype.itemsize
    if needed > (memory := usable_memory()):
        raise DataError(
            f"{shown(path)} is too large: its arrays, and their copies for training, take about {needed / 2**30:,.1f} "
            "GiB of memory. Save the images as files and use dataset 'image-folder', which streams them from disk. "
            f"Received: usable memory={memory / 2**30:,.1f} GiB",
            path=path,
        )
