"""Backgrounds of photographs: found from the border of an image, and brought to black for light-on-dark models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

NEAR = 12
"""How much the brightness of a background may vary, of 255: 5 %, as in Fashion-MNIST."""

Kind = Literal["plain", "shaded", "uneven"]

_MOSTLY = 0.5  # of the border, which is black or white
_EVEN = 0.75  # of the border, which has the brightness of the background; subjects may touch the rest
_WEAKEST = 48  # of 255: range between a background and black or white that is stretched to all of it
_POINTS = 1024  # pixels of each side that are looked at
_FITS = 5
_PREVIEW = 128  # pixels on a side
_BLOCK = 1 << 20  # pixels computed at a time


@dataclass(frozen=True, kw_only=True)
class Background:
    """The background of an image.

    Args:
        kind: ``"plain"`` if it is black or white; ``"shaded"`` if its brightness is even, or changes evenly from one
            side to the other, as with light from a window; ``"uneven"`` otherwise.
        slopes: ``(3, channels)``: brightness in the center, and how much it changes to the right and to the lower edge,
            if it is shaded.
    """

    kind: Kind
    slopes: NDArray[np.float64] | None = None


def find_background(image: Image) -> Background:
    """Return the background of an image in mode ``L`` or ``RGB``, from its outermost pixels."""
    import numpy as np

    where, values = _border(image)
    for is_plain in (values >= 255 - NEAR, values <= NEAR):
        if is_plain.all(axis=1).mean() >= _MOSTLY:
            return Background(kind="plain")
    kept = np.ones(len(values), np.bool_)
    for _ in range(_FITS):  # without the pixels of a subject that touches the border
        slopes = np.asarray(np.linalg.lstsq(where[kept], values[kept], rcond=None)[0], np.float64)
        distance = abs(values - where @ slopes).max(axis=1)
        kept = distance <= max(NEAR, float(np.median(distance)))
    is_even = (distance <= NEAR).mean() >= _EVEN
    return Background(kind="shaded", slopes=slopes) if is_even else Background(kind="uneven")


def is_darker(image: Image, background: Background) -> bool | None:
    """Return whether what differs from a shaded background is mostly darker than it; None if nothing differs."""
    import numpy as np
    import PIL.Image

    size = min(image.width, _PREVIEW), min(image.height, _PREVIEW)
    small = _values(image.resize(size, PIL.Image.Resampling.BOX))
    difference = (small - _brightness(background, size, 0, size[1])).mean(axis=2)
    lighter, darker = (float(np.maximum(sign * difference - NEAR, 0).sum()) for sign in (1, -1))
    return None if lighter == darker == 0 else darker > lighter


def on_black(image: Image, background: Background, *, invert: bool) -> Image | None:
    """Return an image whose shaded background is black, or None if too little contrast would be stretched too far.

    Args:
        image: In mode ``L`` or ``RGB``.
        background: Its background.
        invert: Whether the subject is darker than the background, and becomes lighter.
    """
    import numpy as np
    import PIL.Image

    corners = _brightness(background, (2, 2), 0, 2)
    if (corners.min() if invert else 255 - corners.max()) < _WEAKEST:
        return None
    result = PIL.Image.new(image.mode, image.size)
    rows = max(1, _BLOCK // image.width)
    for top in range(0, image.height, rows):
        bottom = min(image.height, top + rows)
        values = _values(image.crop((0, top, image.width, bottom)))
        ground = _brightness(background, image.size, top, bottom)
        levels = 255 - values * 255 / ground if invert else (values - ground) * 255 / (255 - ground)
        levels[(abs(values - ground) <= NEAR).all(axis=2)] = 0  # what is left of it would be stretched, too
        levels = levels.round().clip(0, 255).astype(np.uint8)
        result.paste(PIL.Image.fromarray(levels[..., 0] if image.mode == "L" else levels), (0, top))
    return result


def _values(image: Image) -> NDArray[np.float32]:
    """Return an array ``(height, width, channels)``."""
    import numpy as np

    return np.asarray(image, np.float32).reshape(image.height, image.width, -1)


def _border(image: Image) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return places on the border ``(n, 3)``, to be multiplied with slopes, and their values ``(n, channels)``."""
    import numpy as np

    width, height = image.size
    across, down = (np.unique(np.linspace(0, side - 1, min(side, _POINTS)).astype(int)) for side in image.size)
    down = down[1:-1]  # without the corners
    places, values = [], []
    for y in sorted({0, height - 1}):
        places.append(np.stack([across, np.full(len(across), y)], 1))
        values.append(_values(image.crop((0, y, width, y + 1)))[0, across])
    for x in sorted({0, width - 1}):
        places.append(np.stack([np.full(len(down), x), down], 1))
        values.append(_values(image.crop((x, 0, x + 1, height)))[down, 0])
    where = np.concatenate(places)
    centered = [_centered(where[:, i], side) for i, side in enumerate(image.size)]
    return np.stack([np.ones(len(where)), *centered], 1), np.concatenate(values).astype(np.float64)


def _centered(places: NDArray[np.integer], side: int) -> NDArray[np.float64]:
    """Return places along a side, from -1 to 1."""
    return 2 * (places + 0.5) / side - 1


def _brightness(background: Background, size: tuple[int, int], top: int, bottom: int) -> NDArray[np.float32]:
    """Return the brightness of a shaded background in some rows of an image, ``(rows, width, channels)``."""
    import numpy as np

    slopes = background.slopes
    if slopes is None:
        raise ValueError("only a shaded background has slopes")
    across, down = _centered(np.arange(size[0]), size[0]), _centered(np.arange(top, bottom), size[1])
    found = slopes[0] + across[None, :, None] * slopes[1] + down[:, None, None] * slopes[2]
    return np.asarray(found, np.float32)
