"""Warnings about copies of an image in more than one class or in more than one split."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from zoo.errors import ZooWarning
from zoo.images import shown
from zoo_images.copies import find_conflicts, first_copies

if TYPE_CHECKING:
    from zoo_images.folders.listing import Listing
    from zoo_images.folders.scanning import Scan


def warn_of_copies(listing: Listing, scanned: Scan) -> None:
    """Warn about files with identical content in more than one class folder, or in the folders of more than one split.

    The digests from the scan are compared, so no file is read again.
    """
    import numpy as np

    first = first_copies(digest.tobytes() for digest in scanned.digests)
    labels, part_of = (np.array(each)[scanned.sound] for each in (listing.labels, listing.part_of))
    for where, count, one, other, cure in find_conflicts(first, labels, part_of):
        place = "class folder" if where == "class" and not listing.table else where
        names = [shown(listing.names[scanned.sound[i]]) for i in (one, other)]
        warnings.warn(
            f"{count} image{'s are' if count > 1 else ' is'} in more than one {place} of {shown(listing.source)}, "
            f"for example {names[0]} and {names[1]}. {cure}.",
            ZooWarning,
            stacklevel=4,
        )
