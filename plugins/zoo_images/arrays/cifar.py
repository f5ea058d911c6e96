"""The dataset ``cifar``: CIFAR-10 or CIFAR-100 in the binary version, 60,000 color images of 32x32 pixels.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Literal

from zoo import DataError, Dataset, ImageInput
from zoo.images import open_regular, shown
from zoo_images.arrays.cifar_files import find_folder, find_version, read_class_names
from zoo_images.arrays.cifar_records import open_records
from zoo_images.arrays.damage import digest_of
from zoo_images.arrays.names import Role
from zoo_images.arrays.split import make_split
from zoo_images.arrays.stored_arrays import check_headers
from zoo_images.splitting import Share  # noqa: TC001  # types of settings are read at run time

if TYPE_CHECKING:
    from pathlib import Path

    from zoo import Split
    from zoo_images.arrays.cifar_files import CifarLabels, CifarVersion
    from zoo_images.arrays.stored_arrays import StoredArray


@dataclass(frozen=True, kw_only=True)
class Cifar(Dataset):
    """CIFAR-10 or CIFAR-100, whichever is in a folder, in the binary version.

    Args:
        validation_share: Share of the training images used for validation; 0 leaves the split to the recipe.
        labels: The 100 ``fine`` classes of CIFAR-100, or the 20 ``coarse`` ones.
    """

    validation_share: Share = 0.1
    labels: Literal["fine", "coarse"] = "fine"

    needs_data_dir = True
    is_mirrorable = True

    @property
    def image_input(self) -> ImageInput:
        """Preprocessing of new images: photographs, which are not inverted."""
        return ImageInput(inverted=False)

    def check_data_dir(self, data_dir: Path | None) -> None:
        """Raise `zoo.DataError` unless all files of a version exist and have the size of its records."""
        folder = find_folder(data_dir)
        with contextlib.ExitStack() as stack:
            check_headers(self._open(folder, find_version(folder), stack)[0], folder)

    def load(self, data_dir: Path | None) -> Split:
        """Return the images in a folder.

        Args:
            data_dir: A folder with ``data_batch_1.bin`` to ``data_batch_5.bin`` and ``test_batch.bin``; or with
                ``train.bin`` and ``test.bin``; or with the folder that is in the published archive of either.

        Raises:
            DataError: A file is missing or invalid; the message names it.
        """
        folder = find_folder(data_dir)
        version = find_version(folder)
        with contextlib.ExitStack() as stack:
            arrays, files = self._open(folder, version, stack)
            check_headers(arrays, folder)
            return make_split(
                arrays,
                folder,
                digests={path.name: digest_of(file, path) for path, file in files.items()},
                class_names=read_class_names(folder, self._labels_of(folder, version)),
                validation_share=self.validation_share,
            )

    def _open(
        self, folder: Path, version: CifarVersion, stack: contextlib.ExitStack
    ) -> tuple[dict[Role, StoredArray], dict[Path, IO[bytes]]]:
        """Return the arrays in the files of a version, of which nothing is read yet, and the open files."""
        labels = self._labels_of(folder, version)
        arrays: dict[Role, StoredArray] = {}
        files: dict[Path, IO[bytes]] = {}
        for part, names in (("train", version.train), ("test", (version.test,))):
            opened: dict[Path, IO[bytes]] = {
                folder / name: stack.enter_context(open_regular(folder / name)) for name in names
            }
            stored = open_records(opened, len(version.labels), labels.column, labels.count)
            arrays[Role(part, "images")], arrays[Role(part, "labels")] = stored
            files |= opened
        return arrays, files

    def _labels_of(self, folder: Path, version: CifarVersion) -> CifarLabels:
        if self.labels not in version.labels:
            raise DataError(
                f"{shown(folder)} has CIFAR-10, which has no coarse classes. Leave out dataset.labels. "
                f"Received: labels={self.labels}",
                path=folder,
            )
        return version.labels[self.labels]
