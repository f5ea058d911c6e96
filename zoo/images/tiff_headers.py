"""Checks of a TIFF before it is decoded: bounded memory, and kinds of pixels that have a range of 8 or 16 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.errors import DataError
from zoo.images.orientation import ORIENTATION

if TYPE_CHECKING:
    from PIL.Image import Image

_BITS, _PHOTOMETRIC, _TILE_WIDTH, _TILE_HEIGHT = 258, 262, 322, 323  # numbers of tags
_WHITE_IS_ZERO = 0
_TILE_PIXELS = 1 << 22  # maximum of a tile in a small image; tiles usually have 256x256


def prepare_tiff(image: Image, source: str) -> int:
    """Check an open TIFF, keep Pillow from reading more of its metadata, and return its orientation, 1 to 8.

    Args:
        image: The image, before it is loaded.
        source: Name of the file in error messages.

    Raises:
        DataError: The tiles are too large.
    """
    tags: Any = getattr(image, "tag_v2", {})
    width, height = _number(tags, _TILE_WIDTH), _number(tags, _TILE_HEIGHT)
    if width * height > max(_TILE_PIXELS, 4 * image.width * image.height):  # a tile is decoded as one piece
        raise DataError(
            f"{source} has too large TIFF tiles: save it again without tiles. "
            f"Received: tile_width={width}, tile_height={height}",
            path=source,
        )
    found = _number(tags, ORIENTATION)
    # after the pixels, Pillow reads and writes EXIF anew, which fails for metadata that cost no pixels
    image.load_end = lambda: None  # type: ignore[attr-defined]
    return found if 1 <= found <= 8 else 1


def bits_per_value(image: Image) -> int:
    """Return the number of bits of a gray value of a TIFF: 12 or 16, for example."""
    return _number(getattr(image, "tag_v2", {}), _BITS)


def is_white_zero(image: Image) -> bool:
    """Return whether a TIFF stores white as 0. Pillow inverts such images itself, except those of 12 and 16 bits."""
    tags: Any = getattr(image, "tag_v2", {})
    return _PHOTOMETRIC in tags and _number(tags, _PHOTOMETRIC) == _WHITE_IS_ZERO


def _number(tags: Any, tag: int) -> int:
    """Return the value of a tag, or its first value; 0 if there is none that is an integer."""
    found = tags.get(tag, 0)
    found = found[0] if isinstance(found, tuple) and found else found
    return found if isinstance(found, int) else 0
