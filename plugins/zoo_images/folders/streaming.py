"""Image files that stay on disk: decoded on demand, and checked to be the files that were scanned."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from zoo import DataError
from zoo.images import WORKERS, decoded, fit, in_order, read, shown, signature_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zoo import ImageInput
    from zoo.images import Signature
    from zoo_images.folders.decoded_images import DecodedImages
    from zoo_images.folders.scanning import Scan

_AT_ONCE = 32 * WORKERS  # images in progress: some tasks wait for each thread, since some files take much longer


class FileExamples:
    """Image files with labels, decoded on demand.

    Args:
        root: Folder that contains the files.
        names: Their paths, relative to ``root``.
        labels: ``(n,)``, integers from 0.
        scan: Results of scanning the files.
        shape: Height, width and channels of the decoded images.
        form: How files are brought to this shape.
        kept: Keeps decoded images, by the positions of their files in the scan. Once kept, an image stays: since each
            epoch has a new random order, recent images would evict most others before their next use.
    """

    def __init__(
        self,
        root: Path,
        names: Sequence[str],
        labels: NDArray[np.integer[Any]],
        scan: Scan,
        shape: tuple[int, int, int],
        form: ImageInput,
        kept: DecodedImages,
    ) -> None:
        """Store the arguments; no file is read yet."""
        self._root, self._names, self._labels = root, names, labels
        self._digests, self._signatures = scan.digests, scan.signatures
        self._shape, self._form = shape, form
        self._kept, self._numbers = kept, scan.sound
        self._pool = ThreadPoolExecutor(WORKERS)  # its threads start on demand, and end with this object

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self._labels)

    @property
    def labels(self) -> NDArray[np.integer[Any]]:
        """The labels of all examples, ``(n,)``."""
        return self._labels

    def __getitem__(self, indices: NDArray[np.intp], /) -> tuple[NDArray[np.uint8], NDArray[np.integer[Any]]]:
        """Return images ``(n, height, width, channels)`` uint8 and labels ``(n,)``.

        Raises:
            DataError: A file has changed since the scan; the message names it.
        """
        import numpy as np

        images = np.empty((len(indices), *self._shape), np.uint8)

        def fill(position: int) -> None:
            self._fill(images[position], int(indices[position]))

        for _ in in_order(self._pool, fill, range(len(indices)), ahead=_AT_ONCE):
            pass
        return images, self._labels[indices]

    def _fill(self, image: NDArray[np.uint8], index: int) -> None:
        name, number = self._names[index], int(self._numbers[index])
        is_kept = self._kept.copy_to(image, number)
        if is_kept and self._is_as_it_was(index, self._signature(name)):
            return
        data, signature = read(self._root / name)
        if not self._is_as_it_was(index, signature):
            # perhaps it was only copied back or touched: the content decides
            if hashlib.sha256(data).digest() != self._digests[index].tobytes():
                raise DataError(
                    f"{shown(self._root / name)} has changed since the dataset was loaded. Leave the files unchanged "
                    "during a run, and start again.",
                    path=self._root / name,
                )
            self._signatures[index] = signature
        if is_kept:
            return
        form = self._form
        with decoded(
            data, shown(name), background=form.background, near=self._shape[:2], value_range=form.value_range
        ) as file:
            image[:] = fit(file, self._shape, form.crop, form.background)
        self._kept.put(number, image)

    def _signature(self, name: str) -> Signature | None:
        try:
            return signature_of(os.stat(os.path.join(self._root, name)))
        except OSError:
            return None  # reading it reports why

    def _is_as_it_was(self, index: int, signature: Signature | None) -> bool:
        return signature is not None and tuple(self._signatures[index].tolist()) == signature
