"""The images of tables of pixels, listed and digested like image files."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from zoo import DataError
from zoo.images import shown
from zoo_images.folders.scanning import Scan
from zoo_images.tables.marks import Marks, check_trained, list_marks
from zoo_images.tables.pixels import image_shape, read_pixels

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from zoo_images.folders.listing import Listing
    from zoo_images.tables.rows import Source


def list_pixels(
    sources: Sequence[Source], shape: tuple[int, int, int] | None, skip_bad: bool
) -> tuple[Listing, NDArray[np.uint8]]:
    """Return what tables list, and the images ``(n, height, width, channels)``; their names are lines of the tables.

    Args:
        sources: The tables.
        shape: Height, width and channels; None if they are gray, and square or as names of columns say.
        skip_bad: Whether to skip rows without a label.

    Raises:
        DataError: A row is malformed, or the images of the tables have different sizes.
    """
    import numpy as np

    marks = Marks()
    several: list[NDArray[np.uint8]] = []
    for source in sources:
        found = image_shape(source, shape) if source.columns.pixels else None
        if (several and found != several[0].shape[1:]) or found is None:
            raise DataError(
                f"{shown(source.path)} must have images of the same size as {shown(sources[0].path)}. Pass tables of "
                f"one kind. Received: {found or 'no pixels'}",
                path=source.path,
            )
        pixels, rows = read_pixels(source, found[0] * found[1] * found[2])
        is_used = [marks.add(source, line, fields) for line, fields in rows]
        several.append((pixels if all(is_used) else pixels[np.array(is_used)]).reshape(-1, *found))
    listing, labels = list_marks(sources, marks, skip_bad, sources[0].path.parent)
    listing.labels = labels
    listing.names = marks.all_places()
    listing.part_of = marks.parts
    listing.groups = marks.all_groups()
    check_trained(listing)
    return listing, several[0] if len(several) == 1 else np.concatenate(several)


def scan_arrays(images: NDArray[np.uint8]) -> Scan:
    """Return what a scan of these images as files would find; there are no files to have signatures."""
    import numpy as np

    digests = [hashlib.sha256(image).digest() for image in images]
    return Scan(
        sound=np.arange(len(images)),
        is_gray=np.full(len(images), images.shape[-1] == 1),
        digests=np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32),
        signatures=np.zeros((len(images), 4), np.uint64),
        largest=np.full(len(images), -1, np.int32),
        bad=[],
    )
