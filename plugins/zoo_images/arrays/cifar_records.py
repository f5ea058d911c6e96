"""Reads the files of CIFAR's binary version: records of labels, one byte each, and 1,024 bytes for each color."""

from __future__ import annotations

import functools
import os
from typing import IO, TYPE_CHECKING

from zoo import DataError
from zoo.images import fill, shown
from zoo_images.arrays.damage import check_not_a_page
from zoo_images.arrays.stored_arrays import StoredArray

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

_SIDE = 32
_COLORS = 3
_PIXELS = _COLORS * _SIDE * _SIDE


def open_records(
    files: Mapping[Path, IO[bytes]], num_labels: int, column: int, num_classes: int
) -> tuple[StoredArray, StoredArray]:
    """Return the images ``(n, 32, 32, 3)`` and labels ``(n,)`` in open files, which are read on first use.

    Args:
        files: The files, in order.
        num_labels: Labels in each record.
        column: Which of them is used.
        num_classes: Number of its classes.

    Raises:
        DataError: A file is a web page, or its size is not that of records.
    """
    import numpy as np

    size = num_labels + _PIXELS
    counts = {path: _count(file, path, size) for path, file in files.items()}

    @functools.cache
    def records() -> NDArray[np.uint8]:
        found = np.empty((sum(counts.values()), size), np.uint8)
        start = 0
        for path, file in files.items():
            file.seek(0)
            part = found[start : start + counts[path]]
            fill(part.reshape(-1), file, shown(path), path)
            if (highest := int(part[:, column].max(initial=0))) >= num_classes:
                raise DataError(
                    f"{shown(path)} has a label out of range: labels must be from 0 to {num_classes - 1}. Unpack the "
                    f"archive again. Received: label={highest}",
                    path=path,
                )
            start += counts[path]
        return found

    def images() -> NDArray[np.uint8]:
        planes = records()[:, num_labels:].reshape(-1, _COLORS, _SIDE, _SIDE)
        return np.ascontiguousarray(np.moveaxis(planes, 1, 3))

    first = next(iter(files))
    count = sum(counts.values())
    byte = np.dtype(np.uint8)
    name = first.name if len(files) == 1 else f"{first.name} and {len(files) - 1} more"
    title = shown(first.parent / name)
    return (
        StoredArray(name=name, title=title, path=first, shape=(count, _SIDE, _SIDE, _COLORS), dtype=byte, read=images),
        StoredArray(
            name=name, title=title, path=first, shape=(count,), dtype=byte, read=lambda: records()[:, column].copy()
        ),
    )


def _count(file: IO[bytes], path: Path, size: int) -> int:
    """Return the number of records in a file."""
    check_not_a_page(file, path)
    total = os.fstat(file.fileno()).st_size
    if total % size or not total:
        raise DataError(
            f"{shown(path)} does not consist of records of {size:,} bytes. Unpack the archive of the binary version "
            f"again. Received: {total:,} bytes",
            path=path,
        )
    return total // size
