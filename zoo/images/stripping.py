"""Image files without their metadata, which Pillow would otherwise read, and refuse the file if they are broken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zoo.errors import DataError
from zoo.images import jpeg_segments, png_chunks
from zoo.images.formats import FORMATS, unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class StrippedFile:
    """A file without its metadata, as Pillow gets it.

    Args:
        data: Its content.
        formats: The formats that it may have.
        info: Metadata that may have the orientation.
        depth: Bits per channel of a PNG.
        color: Color type of a PNG.
    """

    data: bytes
    formats: tuple[str, ...]
    info: Mapping[str, bytes | str] = field(default_factory=dict)
    depth: int = 8
    color: int = 0


def without_metadata(data: bytes, source: str) -> StrippedFile:
    """Return a file for Pillow.

    Args:
        data: Content of the file.
        source: Name of the file in error messages.

    Raises:
        DataError: It is damaged, or in a format that is not read.
    """
    if data.startswith(png_chunks.SIGNATURE):
        png = png_chunks.read_png(data, source)
        return StrippedFile(data=png.data, formats=("PNG",), info=png.info, depth=png.depth, color=png.color)
    if data.startswith(jpeg_segments.SIGNATURE):
        jpeg = jpeg_segments.read_jpeg(data, source)
        return StrippedFile(data=jpeg.data, formats=("JPEG",), info=jpeg.info)
    if (fault := unreadable(data)) is not None:
        raise DataError(f"{source} {fault}.", path=source)
    return StrippedFile(data=data, formats=FORMATS)
