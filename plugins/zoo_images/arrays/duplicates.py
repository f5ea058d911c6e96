"""Copies of an image in arrays: found by digests, kept together when a split is cut, and warned of."""

from __future__ import annotations

import hashlib
import warnings
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooWarning

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

_DIGEST = 16  # bytes


def image_digests(images: NDArray[np.uint8]) -> list[bytes]:
    """Return a digest of each image ``(height, width, channels)``: about 0.2 s for 70,000 images of 28x28."""
    return [hashlib.blake2b(image.tobytes(), digest_size=_DIGEST).digest() for image in images]


def first_copies(digests: Iterable[bytes]) -> NDArray[np.intp]:
    """Return ``(n,)``: for each image, the position of the first one with the same digest."""
    import numpy as np

    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(digest, i) for i, digest in enumerate(digests)], np.intp)


def warn_of_copies(digests: Mapping[str, Sequence[bytes]], labels: Mapping[str, NDArray[Any]], source: str) -> None:
    """Warn about identical images with different labels, or in more than one part.

    Only one label can be right, and a model must not be trained on test or validation images.

    Args:
        digests: Of each part, the digests of its images.
        labels: Of each part, ``(n,)``.
        source: Name of the file or folder.
    """
    import numpy as np

    sizes = [len(each) for each in digests.values()]
    first = first_copies(digest for each in digests.values() for digest in each)
    if (first == np.arange(len(first))).all():
        return
    numbers = np.concatenate([labels[part] for part in digests])
    part_of = np.repeat(np.arange(len(sizes)), sizes)
    within = np.concatenate([np.arange(size) for size in sizes])
    names = list(digests)
    for values, where, cure in (
        (numbers, "class", "Keep only the copies with the right label"),
        (part_of, "split", "Keep one copy of each: otherwise, metrics look better than they are"),
    ):
        others = np.flatnonzero(values != values[first])
        if not len(others):
            continue
        count = len(np.unique(first[others]))
        pair = [f"{names[part_of[i]]} image {within[i]}".strip() for i in (first[others[0]], others[0])]
        warnings.warn(
            f"{count:,} image{'s are' if count > 1 else ' is'} in more than one {where} of {source}, for example "
            f"{pair[0]} and {pair[1]}, counted from 0. {cure}.",
            ZooWarning,
            stacklevel=4,
        )
