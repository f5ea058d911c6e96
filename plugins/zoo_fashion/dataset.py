"""Fashion-MNIST: 60,000 training and 10,000 test images of clothing, 28x28 grayscale, ten classes.

Xiao, Rasul and Vollgraf: "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms",
arXiv:1708.07747, 2017. The four official files are included in ``data/``, with their license.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import ArrayExamples, DataError, Dataset, ImageInput, Split
from zoo_fashion.idx import parse_idx

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

_IMAGES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")
_ENTRIES = 10_000  # files and folders checked for images, so that a hint takes no time
_OVERHEAD = 1 << 16  # maximum size that header and gzip add, even to incompressible data


@dataclass(frozen=True, kw_only=True)
class _File:
    """One of the official files: name, SHA-256 and array shape."""

    name: str
    sha256: str
    shape: tuple[int, ...]

    def check(self, folder: Path) -> None:
        path = folder / self.name
        if not path.is_file():
            reason = "it is not a regular file" if path.exists() else "there is no such file"
            names = ", ".join(file.name for part in (TRAIN, TEST) for file in (part.images, part.labels))
            hint = " For your own images, one folder per class, use `zoo run ... --dataset image-folder`."
            raise DataError(
                f"{path} cannot be read: {reason}. Pass a folder with the four files of Fashion-MNIST: {names}."
                f"{hint if _has_images(folder) else ''}",
                path=path,
            )

    def read(self, folder: Path) -> bytes:
        self.check(folder)
        path, limit = folder / self.name, math.prod(self.shape) + _OVERHEAD
        try:
            with path.open("rb") as file:
                data = file.read(limit + 1)
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}. Check its permissions.", path=path) from error
        if len(data) > limit:
            raise DataError(
                f"{path} is too large: the official file has fewer than {limit} bytes. Use the official file.",
                path=path,
            )
        return data


@dataclass(frozen=True, kw_only=True)
class _Part:
    """The training or test split: two files."""

    images: _File
    labels: _File


TRAIN = _Part(
    images=_File(
        name="train-images-idx3-ubyte.gz",
        sha256="b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
        shape=(60_000, 28, 28),
    ),
    labels=_File(
        name="train-labels-idx1-ubyte.gz",
        sha256="0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
        shape=(60_000,),
    ),
)
TEST = _Part(
    images=_File(
        name="t10k-images-idx3-ubyte.gz",
        sha256="cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
        shape=(10_000, 28, 28),
    ),
    labels=_File(
        name="t10k-labels-idx1-ubyte.gz",
        sha256="8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
        shape=(10_000,),
    ),
)


def _has_images(folder: Path) -> bool:
    """Return whether a folder or its subfolders contain image files, after a check of the first entries only."""
    some = itertools.islice(_below(folder), _ENTRIES)
    return any(entry.name.casefold().endswith(_IMAGES) and not entry.is_dir() for entry in some)


def _below(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Iterate over the entries of a folder, then of its subfolders; folders that cannot be read are skipped."""
    folders = [os.fspath(folder)]
    for each in folders:  # grows during the loop
        with contextlib.suppress(OSError), os.scandir(each) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                yield entry


class FashionMnist(Dataset):
    """The dataset ``fashion-mnist``.

    Its images were made from photographs on a light background: trimmed, the longer side scaled to 28 pixels, centered,
    converted to grayscale and inverted (section 2 of the paper). They were also sharpened; new images are not.
    """

    image_input = ImageInput(crop="pad", background=0, inverted=True, trimmed=True)

    def check_data_dir(self, data_dir: Path | None) -> None:
        """Raise `zoo.DataError` if one of the four files is missing."""
        if data_dir is not None:
            for part in (TRAIN, TEST):
                part.images.check(data_dir)
                part.labels.check(data_dir)

    def load(self, data_dir: Path | None) -> Split:
        """Return the dataset from the included files, or from the same four files in a folder.

        All four files are read and compared with the official digests; each split is decoded on first use.

        Args:
            data_dir: A folder with the four official files; None for the included files.

        Raises:
            DataError: A file is missing or is not the official file; the message names it and what is wrong.
        """
        folder = data_dir or Path(__file__).with_name("data")
        return Split(
            train=_IdxExamples(folder, TRAIN),
            test=_IdxExamples(folder, TEST),
            class_names=CLASS_NAMES,
            digests={file.name: file.sha256 for part in (TRAIN, TEST) for file in (part.images, part.labels)},
        )


class _IdxExamples:
    """Examples from a pair of IDX files, checked on creation and decoded on first use."""

    def __init__(self, folder: Path, part: _Part) -> None:
        self._part = part
        self._compressed: tuple[bytes, bytes] | None = (part.images.read(folder), part.labels.read(folder))
        self._folder = folder
        self._decoded: ArrayExamples | None = None
        for file, data in zip((part.images, part.labels), self._compressed, strict=True):
            if hashlib.sha256(data).hexdigest() != file.sha256:
                self._decode()  # raises a specific error if more than the content differs
                raise DataError(
                    f"{folder / file.name} is well-formed but is not byte for byte the official file. Use the official "
                    "file, compressed as published, or leave out data_dir to use the included files. "
                    f"Received: sha256={hashlib.sha256(data).hexdigest()}, not {file.sha256}",
                    path=folder / file.name,
                )

    def __len__(self) -> int:
        return self._part.labels.shape[0]

    def __getitem__(self, indices: NDArray[np.intp], /) -> tuple[NDArray[np.uint8], NDArray[np.integer[Any]]]:
        return self._decode()[indices]

    def _decode(self) -> ArrayExamples:
        if self._decoded is None:
            compressed_images, compressed_labels = self._compressed or (b"", b"")
            labels = self._parse(self._part.labels, compressed_labels)
            if labels.max() >= len(CLASS_NAMES):
                raise DataError(
                    f"{self._folder / self._part.labels.name} has a label out of range: labels must be from 0 to "
                    f"{len(CLASS_NAMES) - 1}. Use the official file. "
                    f"Received: label={labels.max()} at example {labels.argmax()}",
                    path=self._folder / self._part.labels.name,
                )
            images = self._parse(self._part.images, compressed_images)
            self._decoded = ArrayExamples(images[..., None], labels)
            self._compressed = None
        return self._decoded

    def _parse(self, file: _File, compressed: bytes) -> NDArray[np.uint8]:
        return parse_idx(compressed, file.shape, str(self._folder / file.name))
