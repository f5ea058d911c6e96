"""Gray values of 16 bits: reduced to eight, from all of their range or from a part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

ValueRange = tuple[int, int]
"""The values that become black and white."""

FULL_RANGE: ValueRange = (0, 65535)
"""All values of 16 bits."""

MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I")
"""Modes of images with such values."""

_WHITE = 255
_DEPTHS = (8, 10, 12, 14, 16)  # bits of the values that cameras and scanners measure


def range_holding(largest: int) -> ValueRange:
    """Return the range of the smallest usual number of bits, 8, 10, 12, 14 or 16, that holds a value."""
    bits = next((depth for depth in _DEPTHS if largest < 1 << depth), _DEPTHS[-1])
    return 0, (1 << bits) - 1


def stored_values(image: Image) -> NDArray[np.integer]:
    """Return the values of an image in one of `MODES`, ``(height, width)``, 0 to 65,535."""
    import numpy as np

    return np.asarray(image).clip(0, FULL_RANGE[1])


def reduced(stored: NDArray[np.integer], value_range: ValueRange | None) -> NDArray[np.uint8]:
    """Return values reduced to eight bits: of the full range, their upper eight.

    Args:
        stored: As `stored_values` returns them.
        value_range: The values that become 0 and 255: those between are spread evenly, others are cut off. None for
            `FULL_RANGE`.
    """
    import numpy as np

    if value_range is None or value_range == FULL_RANGE:
        return (stored >> 8).astype(np.uint8)
    low, high = value_range
    values = stored.clip(low, high).astype(np.uint32) - np.uint32(low)
    if high - low < _WHITE:  # fewer values than there are grays: equal shares of these would leave out white
        return (values * _WHITE // (high - low)).astype(np.uint8)
    return (values * 256 // (high - low + 1)).astype(np.uint8)
