"""The dataset ``npz``: NumPy arrays in a file written by `numpy.savez`, or in a folder of such files."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo import Dataset
from zoo_images.arrays.damage import digest_of
from zoo_images.arrays.numpy_files import open_arrays, open_files, source_of
from zoo_images.arrays.split import make_split
from zoo_images.arrays.stored_arrays import check_headers
from zoo_images.data_dirs import require
from zoo_images.splitting import PositiveShare, Sampling, Share  # noqa: TC001  # types of settings are read at run time

if TYPE_CHECKING:
    from pathlib import Path

    from zoo import Split


@dataclass(frozen=True, kw_only=True)
class NpzFile(Dataset):
    """Images and labels in an .npz file, or in a folder of .npz and .npy files.

    Args:
        test_share: Share of each class used for testing, if there are no test arrays.
        validation_share: Share of the rest used for validation, if there are no validation arrays; 0 leaves the split
            to the recipe.
        sampling: Train on each image once an epoch (``natural``), or repeat images of smaller classes until each class
            has as many as the largest (``balanced``).
    """

    test_share: PositiveShare = 0.2
    validation_share: Share = 0.1
    sampling: Sampling = "natural"

    takes_file = True
    needs_data_dir = True

    def check_data_dir(self, data_dir: Path | None) -> None:
        """Raise `zoo.DataError` unless the headers of the arrays are those of images and labels; no array is read."""
        data_dir = require(data_dir, "npz", "an .npz file", "FILE.npz")
        with contextlib.ExitStack() as stack:
            files = open_files(data_dir, stack)
            check_headers(open_arrays(files, stack), source_of(files, data_dir))

    def load(self, data_dir: Path | None) -> Split:
        """Return the arrays of a file or folder.

        Args:
            data_dir: The file; a folder with exactly one ``.npz`` file; or a folder of ``.npz`` and ``.npy`` files,
                each of which has the array that it is named after. The names are those of `zoo_images.arrays.names`:
                ``train_images`` and ``train_labels``, optionally with ``test_...`` and ``validation_...``; or
                ``images`` and ``labels``, from which all splits are made. Images are ``(n, height, width)``, ``(n,
                height, width, channels)`` or ``(n, channels, height, width)``; labels ``(n,)`` or ``(n, 1)`` integers
                or texts, or ``(n, k)`` one-hot. ``class_names`` is an array of strings; without it, the class names
                are the labels.

        Raises:
            DataError: The file does not exist, or an array is invalid.
        """
        data_dir = require(data_dir, "npz", "an .npz file", "FILE.npz")
        with contextlib.ExitStack() as stack:
            files = open_files(data_dir, stack)
            arrays, source = open_arrays(files, stack), source_of(files, data_dir)
            check_headers(arrays, source)
            return make_split(
                arrays,
                source,
                digests={path.name: digest_of(file, path) for path, file in files.items()},
                test_share=self.test_share,
                validation_share=self.validation_share,
                sampling=self.sampling,
            )
