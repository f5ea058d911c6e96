"""Which way up an image is stored: the one thing read from EXIF and XMP, whatever else of them is broken.

CIPA DC-008 (EXIF) and TIFF 6.0 describe the block: a header, then a directory of 12-byte entries.
"""

from __future__ import annotations

import contextlib
import re
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from PIL.Image import Image

ORIENTATION = 0x0112
"""Number of the tag."""

_NAME = b"Exif\0\0"
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_ENTRY = 12  # bytes
_TYPES = {3: "H", 4: "I"}  # of the values that are read, as `struct` writes them
_IN_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
_METHODS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # orientation: `PIL.Image.Transpose`


def orientation_of(info: Mapping[Any, Any]) -> int:
    """Return the orientation that metadata give, 1 to 8; 1, upright, if they give none that can be read.

    Args:
        info: Metadata by the names that Pillow gives them: ``exif``, ``Raw profile type exif`` and, if these have no
            orientation, ``XML:com.adobe.xmp`` or ``xmp``.
    """
    exif = info.get("exif")
    if exif is None and isinstance(text := info.get("Raw profile type exif"), str):
        with contextlib.suppress(ValueError):
            exif = bytes.fromhex("".join(text.split("\n")[3:]))
    found = _in_exif(exif) if isinstance(exif, bytes) else None
    if found is None:
        xmp = info.get("XML:com.adobe.xmp") or info.get("xmp") or b""
        xmp = xmp.encode(errors="replace") if isinstance(xmp, str) else xmp
        match = _IN_XMP.search(xmp) if isinstance(xmp, bytes) else None
        found = int(match[1]) if match else None
    return found if found in _METHODS else 1


def upright(image: Image, orientation: int) -> Image:
    """Return an image, turned or mirrored as its orientation asks."""
    import PIL.Image

    method = _METHODS.get(orientation)
    return image if method is None else image.transpose(PIL.Image.Transpose(method))


def _in_exif(block: bytes) -> int | None:
    """Return the orientation in the first directory of an EXIF block; its last entry counts, as in Pillow."""
    start = 0
    while block.startswith(_NAME, start):  # some programs write the name more than once
        start += len(_NAME)
    order = _ORDERS.get(block[start : start + 4])
    if order is None:
        return None
    found = None
    with contextlib.suppress(struct.error):  # cut off: what is there counts
        (at,) = struct.unpack_from(f"{order}I", block, start + 4)
        (count,) = struct.unpack_from(f"{order}H", block, start + at)
        for entry in range(start + at + 2, start + at + 2 + count * _ENTRY, _ENTRY):
            tag, kind, values = struct.unpack_from(f"{order}HHI", block, entry)
            if tag == ORIENTATION and kind in _TYPES and values == 1:
                (found,) = struct.unpack_from(order + _TYPES[kind], block, entry + 8)
    return found
