"""The second look at two images whose hashes agree: are they copies, or do they only look alike from afar?

Two trousers have the same outline and nearly the same pixels, so that a correlation of all pixels does not tell copies
from other images of the same kind. So the images are compared in small windows, as by the structural similarity of
Wang, Bovik, Sheikh and Simoncelli, "Image Quality Assessment: From Error Visibility to Structural Similarity" (IEEE
Transactions on Image Processing 13(4), 2004), equation 13 with contrast and structure: in a copy, nearly all windows
agree; of another image, only those do that have no detail or an outline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CORRELATION = 0.97
"""The smallest correlation of the pixels of near copies."""

_WINDOW = 0.95  # similarity of a window that agrees
_SHARE = 0.9  # share of the windows with detail that must agree
_NOISE = (0.03 * 255) ** 2  # the constant of the paper: variances below it count little


def are_copies(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return whether nearly all windows with detail of pairs of images agree, ``(n,)``.

    Brightness and contrast of the whole image do not matter.

    Args:
        first: ``(n, height, width)``.
        second: The same.
    """
    import numpy as np

    left, right = first.astype(np.float32), second.astype(np.float32)
    deviations = [np.maximum(each.std(axis=(1, 2), keepdims=True), 1e-3) for each in (left, right)]
    contrast = np.maximum(*deviations)
    left, right = (
        (each - each.mean(axis=(1, 2), keepdims=True)) * (contrast / deviation)
        for each, deviation in zip((left, right), deviations, strict=True)
    )
    sides = [max(3, side // 4) for side in left.shape[1:]]
    means = [_window_means(each, sides) for each in (left, right)]
    variances = [_window_means(each**2, sides) - mean**2 for each, mean in zip((left, right), means, strict=True)]
    covariance = _window_means(left * right, sides) - means[0] * means[1]
    similar = (2 * covariance + _NOISE) / (variances[0] + variances[1] + _NOISE)
    detailed = np.maximum(*variances) > _NOISE / 2
    count = detailed.sum(axis=(1, 2))
    agree = ((similar >= _WINDOW) & detailed).sum(axis=(1, 2))
    found: NDArray[np.bool_] = (count > 0) & (agree >= _SHARE * count)
    return found


def _window_means(images: NDArray[np.float32], sides: list[int]) -> NDArray[np.float64]:
    """Return the means of all windows with these sides, from a table of sums."""
    import numpy as np

    high, wide = sides
    sums = np.pad(images, ((0, 0), (1, 0), (1, 0))).cumsum(axis=1, dtype=np.float64).cumsum(axis=2)
    found: NDArray[np.float64] = (
        sums[:, high:, wide:] - sums[:, :-high, wide:] - sums[:, high:, :-wide] + sums[:, :-high, :-wide]
    )
    found /= high * wide
    return found
