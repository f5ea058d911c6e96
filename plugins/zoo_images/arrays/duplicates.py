"""Copies of an image in arrays: found by digests, and warned of."""

from __future__ import annotations

import hashlib
import warnings
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooWarning
from zoo_images.copies import find_conflicts, first_copies

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

_DIGEST = 16  # bytes


def image_digests(images: NDArray[np.uint8]) -> list[bytes]:
    """Return a digest of each image ``(height, width, channels)``: about 0.2 s for 70,000 images of 28x28."""
    return [hashlib.blake2b(image.tobytes(), digest_size=_DIGEST).digest() for image in images]


def warn_of_copies(digests: Mapping[str, Sequence[bytes]], labels: Mapping[str, NDArray[Any]], source: str) -> None:
    """Warn about identical images with different labels, or in more than one part.

    Args:
        digests: Of each part, the digests of its images.
        labels: Of each part, ``(n,)``.
        source: Name of the file or folder.
    """
    import numpy as np

    names, sizes = list(digests), [len(each) for each in digests.values()]
    first = first_copies(digest for each in digests.values() for digest in each)
    part_of = np.repeat(np.arange(len(sizes)), sizes)
    within = np.concatenate([np.arange(size) for size in sizes])
    for where, count, one, other, cure in find_conflicts(
        first, np.concatenate([labels[part] for part in digests]), part_of
    ):
        pair = [f"{names[part_of[i]]} image {within[i]}".strip() for i in (one, other)]
        warnings.warn(
            f"{count:,} image{'s are' if count > 1 else ' is'} in more than one {where} of {source}, for example "
            f"{pair[0]} and {pair[1]}, counted from 0. {cure}.",
            ZooWarning,
            stacklevel=4,
        )
