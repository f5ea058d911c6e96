"""The dataset ``svhn``: Street View House Numbers, cropped digits, color images of 32x32 pixels in MAT files.

Netzer, Wang, Coates, Bissacco, Wu and Ng, "Reading Digits in Natural Images with Unsupervised Feature Learning", 2011.
Variable ``X`` is ``(32, 32, 3, n)``; variable ``y`` has the digits, with 10 for 0.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any

from zoo import DataError, Dataset, ImageInput
from zoo.images import open_regular, shown
from zoo_images.arrays.damage import digest_of
from zoo_images.arrays.mat5 import read_variables
from zoo_images.arrays.names import Role
from zoo_images.arrays.split import make_split
from zoo_images.arrays.stored_arrays import StoredArray, check_headers
from zoo_images.data_dirs import require
from zoo_images.splitting import Sampling, Share  # noqa: TC001  # types of settings are read at run time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zoo import Split

_TRAIN, _TEST, _EXTRA = "train_32x32.mat", "test_32x32.mat", "extra_32x32.mat"
_DIGITS = tuple(map(str, range(10)))


@dataclass(frozen=True, kw_only=True)
class Svhn(Dataset):
    """Street View House Numbers, cropped digits.

    Mirrored digits are different symbols: train without the augmentation ``flip`` and without ``trainer.flip_tta``.

    Args:
        validation_share: Share of the training images used for validation; 0 leaves the split to the recipe.
        extra: Whether the 531,131 images of ``extra_32x32.mat`` are used for training too.
        sampling: Train on each image once an epoch (``natural``), or repeat images of smaller classes until each class
            has as many as the largest (``balanced``).
    """

    validation_share: Share = 0.1
    sampling: Sampling = "natural"
    extra: bool = False

    needs_data_dir = True
    is_mirrorable = False

    @property
    def image_input(self) -> ImageInput:
        """Preprocessing of new images: photographs, which are not inverted."""
        return ImageInput(inverted=False)

    def check_data_dir(self, data_dir: Path | None) -> None:
        """Raise `zoo.DataError` unless the files have variables of images and labels; values are not read."""
        data_dir = _folder(data_dir)
        with contextlib.ExitStack() as stack:
            check_headers(self._open(data_dir, stack)[0], data_dir)

    def load(self, data_dir: Path | None) -> Split:
        """Return the images in a folder.

        Args:
            data_dir: A folder with ``train_32x32.mat`` and ``test_32x32.mat`` and, if it is used, ``extra_32x32.mat``.

        Raises:
            DataError: A file is missing or invalid; the message names it.
        """
        data_dir = _folder(data_dir)
        with contextlib.ExitStack() as stack:
            arrays, files = self._open(data_dir, stack)
            check_headers(arrays, data_dir)
            return make_split(
                arrays,
                data_dir,
                digests={path.name: digest_of(file, path) for path, file in files.items()},
                class_names=_DIGITS,
                validation_share=self.validation_share,
                sampling=self.sampling,
            )

    def _open(
        self, data_dir: Path, stack: contextlib.ExitStack
    ) -> tuple[dict[Role, StoredArray], dict[Path, IO[bytes]]]:
        """Return the arrays in the files, of which only the headers are read, and the open files."""
        arrays: dict[Role, StoredArray] = {}
        files: dict[Path, IO[bytes]] = {}
        for part, names in (("train", (_TRAIN, _EXTRA) if self.extra else (_TRAIN,)), ("test", (_TEST,))):
            found = []
            for path in (data_dir / name for name in names):
                files[path] = stack.enter_context(open_regular(path))
                found.append(_arrays_in(read_variables(files[path], path), path))
            arrays[Role(part, "images")] = _joined([images for images, _ in found])
            arrays[Role(part, "labels")] = _joined([labels for _, labels in found])
        return arrays, files


def _folder(data_dir: Path | None) -> Path:
    """Return the folder, if it has the files."""
    data_dir = require(data_dir, "svhn")
    for name in (_TRAIN, _TEST):
        if not os.path.exists(data_dir / name):
            raise DataError(
                f"{shown(data_dir)} has no file {name}. Pass a folder with {_TRAIN} and {_TEST}, the cropped digits "
                "of SVHN (format 2).",
                path=data_dir,
            )
    return data_dir


def _arrays_in(variables: Mapping[str, StoredArray], path: Path) -> tuple[StoredArray, StoredArray]:
    """Return the images ``(n, height, width, 3)`` and labels ``(n,)`` in a file.

    Raises:
        DataError: It has other variables, or of other shapes.
    """
    import numpy as np

    pixels, digits = variables.get("X"), variables.get("y")
    if pixels is None or digits is None or len(pixels.shape) != 4 or sorted(digits.shape)[:-1] != [1]:
        shapes = {shown(name): each.shape[::-1] for name, each in variables.items()}
        raise DataError(
            f"{shown(path)} must have a variable X of size (32, 32, 3, n) and a variable y of size (n, 1). Use the "
            f"files of the cropped digits (format 2). Received: {shapes!s:.200}",
            path=path,
        )

    def read_images() -> NDArray[Any]:
        return np.ascontiguousarray(pixels.read().transpose(0, 3, 2, 1))

    def read_labels() -> NDArray[np.uint8]:
        found = digits.read().reshape(-1)
        known = np.isin(found, range(11))
        if not known.all() or {0, 10} <= set(found.tolist()):
            raise DataError(
                f"{digits.title} must be the digits 1 to 9, and 10 or 0 for 0. Download the file again. "
                f"Received: values from {found.min()} to {found.max()}",
                path=path,
            )
        return (found.astype(np.uint8) % 10).astype(np.uint8)

    n, channels, width, height = pixels.shape
    count = max(digits.shape)
    return (
        replace(pixels, shape=(n, height, width, channels), read=read_images),
        replace(digits, shape=(count,), dtype=np.dtype(np.uint8), read=read_labels),
    )


def _joined(arrays: list[StoredArray]) -> StoredArray:
    """Return arrays one after the other as one.

    Raises:
        DataError: Their shapes or types differ.
    """
    import numpy as np

    first, *others = arrays
    for each in others:
        if each.shape[1:] != first.shape[1:] or each.dtype != first.dtype:
            raise DataError(
                f"{each.title} must be like {first.title}. Download the file again. "
                f"Received: shape={each.shape}, dtype={each.dtype}",
                path=each.path,
            )
    shape = (sum(each.shape[0] for each in arrays), *first.shape[1:])

    def read() -> NDArray[Any]:
        joined = np.empty(shape, first.dtype)
        start = 0
        for each in arrays:
            joined[start : start + each.shape[0]] = each.read()
            start += each.shape[0]
        return joined

    return first if not others else replace(first, shape=shape, read=read)
