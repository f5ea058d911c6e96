"""Perceptual hashes: numbers of which nearly all bits agree for images that look the same.

The hash is that of Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (diploma thesis,
University of Applied Sciences Hagenberg, 2010), section 3.2.1: the lowest 8 x 8 coefficients of the discrete cosine
transform of a small gray version, each one bit, by whether it exceeds their median. Unlike there, the coefficient of
the mean is left out, so that brightness does not matter, and its bit is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SMALLEST = 16
"""The shortest side of a thumbnail that is hashed, in pixels: smaller images have too little detail to tell apart."""

_COEFFICIENTS = 8


@dataclass(frozen=True, kw_only=True)
class Hashes:
    """Hashes of images, and the numbers that they are made of.

    Args:
        bits: ``(n,)`` uint64.
        low: ``(n, 63)`` float32, the lowest coefficients of an orthonormal cosine transform of the image, shifted and
            scaled to mean 0 and length 1. So the distance of two of these vectors is at most that of the images.
    """

    bits: NDArray[np.uint64]
    low: NDArray[np.float32]


def hash_images(thumbnails: NDArray[np.uint8]) -> tuple[Hashes, Hashes]:
    """Return the hashes of images and those of their mirror images.

    Args:
        thumbnails: ``(n, height, width)``, both sides at least `SMALLEST`; none of one brightness.
    """
    import numpy as np

    height, width = thumbnails.shape[1:]
    rows, columns = _cosines(height), _cosines(width)
    low = np.empty((len(thumbnails), _COEFFICIENTS, _COEFFICIENTS), np.float32)
    for start in range(0, len(thumbnails), 4096):
        low[start : start + 4096] = rows @ standardize(thumbnails[start : start + 4096]) @ columns.T
    mirrored = low * np.resize(np.array([1, -1], np.float32), _COEFFICIENTS)  # odd waves change their sign
    return _hashes(low), _hashes(mirrored)


def standardize(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return images ``(n, height, width)`` with mean 0 and length 1: a product of two is their correlation."""
    import numpy as np

    found = images.astype(np.float32)
    found -= found.mean(axis=(1, 2), keepdims=True)
    found /= np.maximum(np.sqrt((found**2).sum(axis=(1, 2), keepdims=True)), 1e-6)
    return found


def _hashes(low: NDArray[np.float32]) -> Hashes:
    import numpy as np

    flat = low.reshape(len(low), -1)[:, 1:]
    above = flat > np.median(flat, axis=1, keepdims=True)
    bits = np.packbits(np.pad(above, ((0, 0), (1, 0))), axis=1)
    return Hashes(bits=bits.view(np.uint64)[:, 0], low=np.ascontiguousarray(flat))


def _cosines(size: int) -> NDArray[np.float32]:
    """Return the lowest rows of the orthonormal cosine transform (DCT-II): ``(8, size)``."""
    import numpy as np

    waves = np.cos(np.pi / size * np.outer(np.arange(_COEFFICIENTS), np.arange(size) + 0.5))
    waves[0] /= np.sqrt(2)
    found: NDArray[np.float32] = (waves * np.sqrt(2 / size)).astype(np.float32)
    return found
