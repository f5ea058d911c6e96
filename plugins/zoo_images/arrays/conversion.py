"""Brings images to uint8 with channels last, as people store them: other types, 0 to 1, channels first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from zoo import DataError
from zoo_images.arrays.stored_arrays import is_channels_first

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

_BLOCK = 1 << 20  # values converted at a time
_BRIGHTEST = 255
NEARLY_BLACK = 32
"""Images of which no pixel is above this, an eighth of 256, are probably of another range, such as 0 to 16."""


class Pixels(NamedTuple):
    """Images as models are trained on them.

    Args:
        images: ``(n, height, width, channels)`` uint8.
        scale: What their values were multiplied by.
        largest: Their largest value.
        highest: The largest value before the conversion.
        done: What was done to them, as clauses of a warning.
    """

    images: NDArray[np.uint8]
    scale: int
    largest: int
    highest: float
    done: tuple[str, ...]


def to_pixels(images: NDArray[Any], title: str, path: Path) -> Pixels:
    """Return images as uint8 with channels last.

    Arrays of other types must have values that are pixels from 0 to 255; those of floating-point numbers and booleans
    that are at most 1 are scaled by 255. Both are rounded. Arrays that clearly have their channels first are
    transposed.

    Args:
        images: ``(n, height, width)``, or four-dimensional.
        title: Name of the array in error messages.
        path: Its file, for errors.

    Raises:
        DataError: The values are not pixels: negative, too large or NaN.
    """
    import numpy as np

    done: list[str] = []
    scale, highest = 1, None
    if images.dtype != np.uint8:
        dtype = images.dtype
        highest = float(images.max())
        images, scale = _to_uint8(images, title, path)
        done.append(f"{dtype} from 0 to 1 to uint8 from 0 to 255" if scale > 1 else f"{dtype} to uint8")
    if is_channels_first(images.shape):
        images = np.ascontiguousarray(np.moveaxis(images, 1, 3))
        done.append("channels first to channels last")
    largest = int(images.max(initial=0))
    return Pixels(
        images=images[..., None] if images.ndim == 3 else images,
        scale=scale,
        largest=largest,
        highest=largest if highest is None else highest,
        done=tuple(done),
    )


def _to_uint8(images: NDArray[Any], title: str, path: Path) -> tuple[NDArray[np.uint8], int]:
    """Return images as uint8, and what their values were multiplied by."""
    import numpy as np

    with np.errstate(invalid="ignore"):
        low, high = images.min(), images.max()  # NaN if any value is
    is_real = images.dtype.kind in "fb"
    scale = _BRIGHTEST if is_real and float(high) <= 1 + 0.5 / _BRIGHTEST else 1
    if not -0.5 <= float(low) * scale <= float(high) * scale < _BRIGHTEST + 0.5:
        raise DataError(
            f"{title} must have pixels from 0 to 255 or, as floating-point numbers, from 0 to 1. {_cure(images, low)} "
            f"Received: dtype={images.dtype}, values from {low} to {high}",
            path=path,
        )
    converted = np.empty(images.shape, np.uint8)
    step = max(1, _BLOCK * len(images) // images.size)
    for i in range(0, len(images), step):
        block = images[i : i + step]
        converted[i : i + step] = np.rint(block * np.float64(scale)) if is_real else block
    return converted, scale


def _cure(images: NDArray[Any], low: Any) -> str:
    """Return how to save images whose values are not pixels."""
    if images.dtype.kind in "iu":
        highest = "the highest possible value, 65535 for 16 bits"
        return f"Divide them by {highest}, and save floating-point numbers." if low >= 0 else "Save them as uint8."
    if -1 <= low < 0:
        return "If they are scaled to -1 to 1, save (images + 1) / 2."
    return "If they were normalized by mean and standard deviation, save them as they were before, without NaN."
