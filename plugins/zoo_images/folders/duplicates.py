"""Warnings about copies of an image in more than one class or in more than one split."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooWarning
from zoo.images import shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zoo_images.folders.listing import Listing
    from zoo_images.folders.scanning import Scan


def warn_of_copies(listing: Listing, scanned: Scan) -> None:
    """Warn about files with identical content in more than one class folder, or in the folders of more than one split.

    Only one label can be right, and a model must not be trained on test or validation images.
    The digests from the scan are compared, so no file is read again.
    """
    import numpy as np

    _, first, which = np.unique(scanned.digests, axis=0, return_index=True, return_inverse=True)
    first_of = first[which.ravel()]  # for each file, the first file with the same content
    classes = "more than one class" if listing.table else "more than one class folder"
    for numbers, where, harm in (
        (listing.labels, classes, "Keep only the copies with the right label"),
        (listing.part_of, "more than one split", "Keep one copy of each: otherwise, metrics look better than they are"),
    ):
        _warn(listing, scanned, first_of, np.array(numbers)[scanned.sound], where, harm)


def _warn(
    listing: Listing, scanned: Scan, first_of: NDArray[np.intp], numbers: NDArray[Any], where: str, harm: str
) -> None:
    """Warn if the class or split number of a file differs from that of the first file with the same content."""
    import numpy as np

    others = np.flatnonzero(numbers != numbers[first_of])
    if not len(others):
        return
    names = [shown(listing.names[scanned.sound[i]]) for i in (first_of[others[0]], others[0])]
    count = len(np.unique(first_of[others]))
    warnings.warn(
        f"{count} image{'s are' if count > 1 else ' is'} in {where} of {shown(listing.source)}, "
        f"for example {names[0]} and {names[1]}. {harm}.",
        ZooWarning,
        stacklevel=5,
    )
