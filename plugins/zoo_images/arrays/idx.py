"""The dataset ``idx``: four IDX files, the format of MNIST, and of EMNIST, QMNIST and others made like it.

Cohen, Afshar, Tapson and van Schaik, "EMNIST: an extension of MNIST to handwritten letters", arXiv:1702.05373, 2017:
images are stored transposed, and letters are numbered from 1. Yadav and Bottou, "Cold Case: the Lost MNIST Digits",
arXiv:1905.10498, 2019 (QMNIST): labels have eight columns, of which the first is the class.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from zoo import DataError, Dataset
from zoo.images import open_regular, shown
from zoo_images.arrays.damage import digest_of
from zoo_images.arrays.idx_files import ROLES, find_set
from zoo_images.arrays.idx_format import read_idx_header
from zoo_images.arrays.split import make_split
from zoo_images.arrays.stored_arrays import check_headers
from zoo_images.data_dirs import require
from zoo_images.splitting import Sampling, Share  # noqa: TC001  # types of settings are read at run time

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray

    from zoo import Split
    from zoo_images.arrays.idx_files import IdxSet
    from zoo_images.arrays.names import Role
    from zoo_images.arrays.stored_arrays import StoredArray

_DIMENSIONS = {"images": (3, 4), "labels": (1, 2)}
_TRANSPOSED = "emnist"  # prefix
_QMNIST_COLUMNS = 8
_LONGEST = 1 << 16  # bytes of a file of class names


@dataclass(frozen=True, kw_only=True)
class IdxFiles(Dataset):
    """Images and labels in four IDX files.

    Args:
        validation_share: Share of the training images used for validation; 0 leaves the split to the recipe.
        subset: Which set of four files, if a folder has more than one: the beginning of their names or the end of
            that, such as ``letters`` for EMNIST, or their folder. Empty for the only one.
        sampling: Train on each image once an epoch (``natural``), or repeat images of smaller classes until each class
            has as many as the largest (``balanced``).
    """

    validation_share: Share = 0.1
    sampling: Sampling = "natural"
    subset: str = ""

    needs_data_dir = True

    def check_data_dir(self, data_dir: Path | None) -> None:
        """Raise `zoo.DataError` unless there are four files with the headers of images and labels."""
        data_dir = require(data_dir, "idx", "a folder of IDX files")
        with contextlib.ExitStack() as stack:
            check_headers(_open(find_set(data_dir, self.subset), stack)[0], data_dir)

    def load(self, data_dir: Path | None) -> Split:
        """Return the images and labels of the four files.

        Args:
            data_dir: A folder with ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte``
                and ``t10k-labels-idx1-ubyte``, each with ``.gz`` appended or not. The names may have ``test`` for
                ``t10k``, a dot before ``idx``, and a prefix, such as ``emnist-letters-``; ``idx4`` is for images with
                channels. Without such files, the folders in it are looked into, as for ``MNIST/raw``.

        Raises:
            DataError: A file is missing or invalid; the message names it.
        """
        data_dir = require(data_dir, "idx", "a folder of IDX files")
        with contextlib.ExitStack() as stack:
            found = find_set(data_dir, self.subset)
            arrays, files = _open(found, stack)
            check_headers(arrays, data_dir)
            return make_split(
                arrays,
                data_dir,
                digests={path.name: digest_of(file, path) for path, file in files.items()},
                class_names=_class_names(found),
                validation_share=self.validation_share,
                sampling=self.sampling,
            )


def _open(found: IdxSet, stack: contextlib.ExitStack) -> tuple[dict[Role, StoredArray], dict[Path, BinaryIO]]:
    """Return the arrays in the files of a set, of which only the headers are read, and the open files."""
    arrays: dict[Role, StoredArray] = {}
    files: dict[Path, BinaryIO] = {}
    paths = [found.file(role) for role in ROLES]
    for role, path in zip(ROLES, paths, strict=True):
        files[path] = stack.enter_context(open_regular(path))
        array = read_idx_header(files[path], path, _DIMENSIONS[role.kind])
        if role.kind == "images" and found.prefix.startswith(_TRANSPOSED):
            n, height, width, *channels = array.shape
            array = replace(array, shape=(n, width, height, *channels), read=_upright(array.read))
        if role.kind == "labels" and array.shape[1:] == (_QMNIST_COLUMNS,) and array.dtype.itemsize > 1:
            array = replace(array, read=_first_column(array.read))
        arrays[role] = array
    return arrays, files


def _upright(read: Callable[[], NDArray[Any]]) -> Callable[[], NDArray[Any]]:
    def read_upright() -> NDArray[Any]:
        import numpy as np

        return np.ascontiguousarray(read().swapaxes(1, 2))

    return read_upright


def _first_column(read: Callable[[], NDArray[Any]]) -> Callable[[], NDArray[Any]]:
    return lambda: read()[:, 0]


def _class_names(found: IdxSet) -> tuple[str, ...] | None:
    """Return the characters that EMNIST's file of them lists: lines of a label and character codes.

    Raises:
        DataError: The file has other lines.
    """
    path = found.folder / f"{found.prefix}-mapping.txt"
    if not (found.prefix and os.path.exists(path)):
        return None
    with open_regular(path) as file:
        lines = file.read(_LONGEST).decode("utf-8-sig", "replace").splitlines()
    try:
        rows = [tuple(map(int, line.split())) for line in lines if line.strip()]
        names = tuple(chr(row[1]) for row in rows)
        is_sound = all(name.isprintable() for name in names) and len(set(names)) == len(names)
        is_sound = is_sound and [row[0] for row in rows] in (list(range(len(rows))), list(range(1, len(rows) + 1)))
    except (ValueError, IndexError, OverflowError):
        is_sound = False
    if not is_sound:
        raise DataError(
            f"{shown(path)} must have a line for each class: its label, in order, and the code of its character. "
            "Download it again, or remove it to name the classes by their numbers.",
            path=path,
        )
    return names
