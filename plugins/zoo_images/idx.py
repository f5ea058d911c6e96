"""The dataset ``idx``: four IDX files, the MNIST format, optionally compressed with gzip.

LeCun, Cortes and Burges, "The MNIST database of handwritten digits", describes the format: two zero bytes, a byte for
the type, a byte for the number of dimensions, the dimensions as big-endian 32-bit integers, then the values.

Plugin ``fashion`` has its own reader, because plugins do not import each other. That reader knows the shapes of its
four files in advance; this one accepts any shapes that fit into memory.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, cast

from zoo import DataError, Dataset
from zoo.images import BLOCK, fill, open_regular, shown
from zoo.utils import usable_memory
from zoo_images.labeled import Labeled
from zoo_images.splitting import Share  # noqa: TC001  # types of settings are read at run time

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zoo import Split

_UNSIGNED_BYTES = 8
_SHARE = 0.125  # maximum share of the memory for the content of a file
_PARTS = (("train",), ("t10k", "test"))  # the test files may have either name
_SIZES = ((3, 4), (1,))  # numbers of dimensions of images and of labels


@dataclass(frozen=True, kw_only=True)
class IdxFiles(Dataset):
    """Images and labels in four IDX files.

    Args:
        validation_share: Share of the training images used for validation; 0 leaves the split to the recipe.
    """

    validation_share: Share = 0.1

    needs_data_dir = True

    def check_data_dir(self, data_dir: Path | None) -> None:
        """Raise `zoo.DataError` unless the four files exist; they are not read."""
        _find_all(_given(data_dir))

    def load(self, data_dir: Path | None) -> Split:
        """Return the images and labels of the four files.

        Args:
            data_dir: A folder with ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte``
                and ``t10k-labels-idx1-ubyte``, each with ``.gz`` appended if it is compressed. The names may have
                ``test`` for ``t10k``, and a dot before ``idx``; ``idx4`` is for images with channels.

        Raises:
            DataError: A file is missing or invalid; the message names it.
        """
        data_dir = _given(data_dir)
        digests: dict[str, str] = {}
        images, labels, test_images, test_labels = (
            _read(path, sizes, digests) for path, sizes in zip(_find_all(data_dir), _SIZES * 2, strict=True)
        )
        class_names = tuple(map(str, range(int(labels.max()) + 1 if labels.size else 0)))
        train = Labeled(images, labels, class_names, f"{shown(data_dir)}, training files", data_dir)
        test = Labeled(test_images, test_labels, class_names, f"{shown(data_dir)}, test files", data_dir)
        return train.beside(test, None, self.validation_share, digests=digests)


def _given(data_dir: Path | None) -> Path:
    if data_dir is None:
        raise DataError(
            "Dataset 'idx' needs a folder of IDX files. Pass it with --data-dir DIR. Received: data_dir=None"
        )
    return data_dir


def _find_all(folder: Path) -> list[Path]:
    """Return the files of training images and labels, then those of test images and labels."""
    return [_find(folder, names, kind) for names in _PARTS for kind in ("images", "labels")]


def _find(folder: Path, parts: tuple[str, ...], kind: str) -> Path:
    sizes = ("3", "4") if kind == "images" else ("1",)
    names = [
        f"{part}-{kind}{dot}idx{size}-ubyte{end}"
        for part in parts
        for dot in "-."
        for size in sizes
        for end in ("", ".gz")
    ]
    found = [folder / name for name in names if (folder / name).exists()]
    if len(found) != 1:
        fault = (
            f"has more than one file for the same array, {[path.name for path in found]}: keep one"
            if found
            else f"has no file {names[0]}[.gz]"
        )
        raise DataError(
            f"{shown(folder)} {fault}. Dataset 'idx' needs four files: images and labels, for train and for t10k.",
            path=folder,
        )
    return found[0]


def _read(path: Path, dimensions: tuple[int, ...], digests: dict[str, str]) -> NDArray[np.uint8]:
    """Return the array in a file; its header is checked before memory is allocated."""
    try:
        with open_regular(path) as file:
            digest = hashlib.sha256()
            while block := file.read(BLOCK):
                digest.update(block)
            file.seek(0)
            digests[path.name] = digest.hexdigest()
            if path.suffix == ".gz":
                with gzip.GzipFile(fileobj=file) as inflated:
                    return _parse(cast("IO[bytes]", inflated), path, dimensions)
            return _parse(file, path, dimensions)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{shown(path)} cannot be read: {error}. Replace it with an intact copy.", path=path) from error


def _parse(file: IO[bytes], path: Path, dimensions: tuple[int, ...]) -> NDArray[np.uint8]:
    import numpy as np

    start = file.read(4)
    if len(start) < 4 or start[:3] != bytes([0, 0, _UNSIGNED_BYTES]) or start[3] not in dimensions:
        wanted = " or ".join(f"{_UNSIGNED_BYTES << 8 | count}" for count in dimensions)
        received = int.from_bytes(start) if len(start) == 4 else f"{len(start)} bytes"
        raise DataError(
            f"{shown(path)} is not an IDX file of unsigned bytes with the right number of dimensions. Save it with the "
            f"magic number {wanted}. Received: magic={received}",
            path=path,
        )
    header = file.read(4 * start[3])
    if len(header) < 4 * start[3]:
        raise DataError(
            f"{shown(path)} is truncated: it ends within its header. Replace it with an intact copy.", path=path
        )
    shape = struct.unpack(f">{start[3]}I", header)
    size = math.prod(shape)
    if size > _SHARE * usable_memory():
        raise DataError(
            f"{shown(path)} declares {size:.3g} bytes of data, more than an eighth of the memory. Save the images as "
            f"files and use dataset 'image-folder', which streams them from disk. Received: shape={shape}",
            path=path,
        )
    array = np.empty(size, np.uint8)
    fill(array, file, shown(path), path)
    return array.reshape(shape)
