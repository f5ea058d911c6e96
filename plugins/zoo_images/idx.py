"""The data set ``idx``: four IDX files of one's own, the format of MNIST, compressed with gzip or not.

LeCun, Cortes and Burges: "The MNIST database of handwritten digits", which describes the format: two zeros, a byte for
the type, a byte for the number of sizes, the sizes as 32-bit integers, most significant byte first, then the values.

Plugin ``fashion`` has a reader of its own, since plugins import nothing of each other; that one knows the shapes of its
four files beforehand, and this one takes any that fit into memory.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, cast

from zoo import DataError
from zoo.utils import usable_memory
from zoo_images.labeled import Labeled
from zoo_images.natural_sort import shown
from zoo_images.reading import BLOCK, fill, open_regular
from zoo_images.splitting import Share  # noqa: TC001  # the settings' types are looked up

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zoo import Split

_UNSIGNED_BYTES = 8
_SHARE = 0.125  # of the memory that a file's content may take
_PARTS = (("train",), ("t10k", "test"))  # and what the test part may be called
_SIZES = ((3, 4), (1,))  # how many images have, and labels


@dataclass(frozen=True, kw_only=True)
class IdxFiles:
    """Four IDX files.

    Args:
        validation_share: Share of the training images that is for validation; 0 leaves the cut to the recipe.
    """

    validation_share: Share = 0.1

    needs_data_dir = True

    def check_data_dir(self, data_dir: Path | None) -> None:
        """Raise `zoo.DataError` unless the four files are there; they are not read."""
        _find_all(_given(data_dir))

    def load(self, data_dir: Path | None) -> Split:
        """Return the images and labels of four files.

        Args:
            data_dir: A folder with ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte``
                and ``t10k-labels-idx1-ubyte``, with ``.gz`` behind it if it is compressed; ``test`` may stand for
                ``t10k``, and a dot before ``idx``. Images may have channels: four sizes, ``idx4``.

        Raises:
            DataError: A file is missing or is not as it must be; the message names it.
        """
        data_dir = _given(data_dir)
        digests: dict[str, str] = {}
        images, labels, test_images, test_labels = (
            _read(path, sizes, digests) for path, sizes in zip(_find_all(data_dir), _SIZES * 2, strict=True)
        )
        class_names = tuple(map(str, range(int(labels.max()) + 1 if labels.size else 0)))
        train = Labeled(images, labels, class_names, f"{shown(data_dir)}, training files")
        test = Labeled(test_images, test_labels, class_names, f"{shown(data_dir)}, test files")
        return train.beside(test, None, self.validation_share, digests=digests)


def _given(data_dir: Path | None) -> Path:
    if data_dir is None:
        raise DataError("The data set idx is made of your own files: give their folder, --data-dir DIR.")
    return data_dir


def _find_all(folder: Path) -> list[Path]:
    """Return the files of training images and labels, then those for testing."""
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
        fault = f"has several of {[path.name for path in found]}: keep one" if found else f"has no file {names[0]}[.gz]"
        raise DataError(
            f"{shown(folder)} {fault}. The data set idx is four files: images and labels, train and t10k.", path=folder
        )
    return found[0]


def _read(path: Path, dimensions: tuple[int, ...], digests: dict[str, str]) -> NDArray[np.uint8]:
    """Return the array of a file, its header checked before memory is taken for it."""
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
        raise DataError(f"{shown(path)} cannot be read: {error}.", path=path) from error


def _parse(file: IO[bytes], path: Path, dimensions: tuple[int, ...]) -> NDArray[np.uint8]:
    import numpy as np

    start = file.read(4)
    if len(start) < 4 or start[:3] != bytes([0, 0, _UNSIGNED_BYTES]) or start[3] not in dimensions:
        wanted = " or ".join(f"{_UNSIGNED_BYTES << 8 | count}" for count in dimensions)
        received = int.from_bytes(start) if len(start) == 4 else f"{len(start)} bytes"
        raise DataError(
            f"{shown(path)} is no IDX file of bytes of its kind. Received: magic={received}, not {wanted}", path=path
        )
    header = file.read(4 * start[3])
    if len(header) < 4 * start[3]:
        raise DataError(f"{shown(path)} is truncated: it ends within its header.", path=path)
    shape = struct.unpack(f">{start[3]}I", header)
    size = math.prod(shape)
    if size > _SHARE * usable_memory():
        raise DataError(
            f"{shown(path)} says that it holds {size:.3g} bytes, more than an eighth of the memory: put the images "
            f"into files, and use the data set image-folder, which reads them in turn. Received: sizes={shape}",
            path=path,
        )
    array = np.empty(size, np.uint8)
    fill(array, file, shown(path))
    return array.reshape(shape)
