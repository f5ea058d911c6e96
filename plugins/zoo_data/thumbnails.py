"""Small gray versions of images, in which copies are looked for."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SIDE = 32
"""The longest side of a thumbnail, in pixels: images of up to that size are compared as they are."""

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as when images are converted to gray


def thumbnails_of(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return small gray versions of images: each pixel is the mean of those that it stands for.

    Args:
        images: ``(n, height, width, channels)``.

    Returns:
        ``(n, min(height, 32), min(width, 32))``.
    """
    import numpy as np

    gray: NDArray[Any]
    if images.shape[-1] == 1:
        gray = images[..., 0].astype(np.float32)
    elif images.shape[-1] == 3:
        gray = images @ np.array(_LUMA, np.float32)
    else:
        gray = images.mean(axis=-1, dtype=np.float32)
    rows, columns = (_averaging(size, min(size, SIDE)) for size in gray.shape[1:])
    return np.clip(np.rint(rows @ gray @ columns.T), 0, 255).astype(np.uint8)


@functools.cache
def _averaging(size: int, small: int) -> NDArray[np.float32]:
    """Return the matrix ``(small, size)`` that averages ``size`` pixels over ``small`` intervals of equal length."""
    import numpy as np

    edges = np.linspace(0, size, small + 1)
    low, high = edges[:-1, None], edges[1:, None]
    pixel = np.arange(size)[None, :]
    overlap = np.clip(np.minimum(high, pixel + 1) - np.maximum(low, pixel), 0, None)
    matrix: NDArray[np.float32] = (overlap / overlap.sum(axis=1, keepdims=True)).astype(np.float32)
    return matrix
