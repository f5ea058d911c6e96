"""Copies of one image where they do harm: in several classes, or in several parts of the data."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooWarning
from zoo_images.natural_sort import shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zoo_images.listing import Listing
    from zoo_images.scanning import Scan


def warn_of_copies(listing: Listing, scanned: Scan) -> None:
    """Warn of files with the same content in several class folders, and in several parts' folders.

    Of those in several classes all but one are wrong; what is tested, or chosen by, must not have been trained on.
    The digests that the files were scanned with are compared, so nothing is read again.
    """
    import numpy as np

    _, first, which = np.unique(scanned.digests, axis=0, return_index=True, return_inverse=True)
    first_of = first[which.ravel()]  # of each file, the first with that content
    for numbers, where, harm in (
        (listing.labels, "more than one class folder", "keep the copies that are right"),
        (listing.part_of, "more than one part", "keep one copy of each, or figures look better than they are"),
    ):
        _warn(listing, scanned, first_of, np.array(numbers)[scanned.sound], where, harm)


def _warn(
    listing: Listing, scanned: Scan, first_of: NDArray[np.intp], numbers: NDArray[Any], where: str, harm: str
) -> None:
    """Warn if a file's number, of its class or part, is not that of the first file with the same content."""
    import numpy as np

    others = np.flatnonzero(numbers != numbers[first_of])
    if not len(others):
        return
    names = [shown(listing.names[scanned.sound[i]]) for i in (first_of[others[0]], others[0])]
    count = len(np.unique(first_of[others]))
    warnings.warn(
        f"{count} image{'s lie' if count > 1 else ' lies'} in {where} of {shown(listing.root)}, as "
        f"{names[0]} and {names[1]}: {harm}.",
        ZooWarning,
        stacklevel=4,
    )
