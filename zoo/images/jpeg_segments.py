"""The segments of a JPEG: those that hold no pixels, such as EXIF, profiles and comments, are left out.

ITU-T T.81, annex B, describes the format; CIPA DC-007 the index of multiple pictures, which is left out, too: the
first picture is the one that is read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from zoo.errors import DataError

SIGNATURE = b"\xff\xd8\xff"
"""The first bytes of a JPEG."""

MOST_SEGMENTS = 1 << 14
"""Maximum number of segments before the first pixels; EXIF, profiles and previews take up to some hundred."""

_APP0, _APP1, _APP14, _APP15, _COMMENT = 0xE0, 0xE1, 0xEE, 0xEF, 0xFE
_SCAN, _END = 0xDA, b"\xff\xd9"
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd9\xff]")  # markers with content; 255 may be repeated before them
_RESERVED = {0xC8, *range(0xF0, 0xFE)}  # which no decoder knows
_MOST_JUNK = 1 << 10  # bytes between segments that are left to Pillow, which reads them one by one
_COLORS = {_APP0: (b"JFIF", 14), _APP14: (b"Adobe", 12)}  # say how colors are stored: first bytes and minimum length
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_MOST_EXIF = 1 << 20  # bytes of EXIF, over all segments


@dataclass(frozen=True, kw_only=True)
class Jpeg:
    """A JPEG that is ready to be decoded.

    Args:
        data: The file, without the segments that hold no pixels.
        info: Metadata that may have the orientation, by the names that Pillow gives them.
    """

    data: bytes
    info: dict[str, bytes] = field(default_factory=dict)


def read_jpeg(data: bytes, source: str) -> Jpeg:
    """Return a JPEG without its metadata.

    Args:
        data: Content of the file.
        source: Name of the file in error messages.

    Raises:
        DataError: The file has more than `MOST_SEGMENTS` segments, or is broken before its pixels begin.
    """
    view, at, begin, count = memoryview(data), 2, 0, 0
    pieces, info = list[memoryview](), dict[str, bytes]()
    while (found := _MARKER.search(data, at)) is not None and (kind := data[found.end() - 1]) != _SCAN:
        start, after = found.start(), found.end()
        if start - at > _MOST_JUNK and data.find(_END, at, start) < 0:
            pieces.append(view[begin:at])
            begin = start
        end = after + int.from_bytes(view[after : after + 2])
        if kind in _RESERVED or not after + 2 <= end <= len(data):
            found = None
            break
        count += 1
        if count > MOST_SEGMENTS:
            raise DataError(
                f"{source} has too many JPEG segments: save it again with at most {MOST_SEGMENTS:,}.", path=source
            )
        if _APP0 <= kind <= _APP15 or kind == _COMMENT:
            content = view[after + 2 : end]
            if kind == _APP1:
                _note(info, bytes(content))
            name, length = _COLORS.get(kind, (b"", 0))
            if not name or len(content) < length or bytes(content[: len(name)]) != name:
                pieces.append(view[begin:start])
                begin = end
        at = end
    if found is None:
        raise DataError(f"{source} is damaged: the JPEG is broken or cut off before its pixels.", path=source)
    kept = b"".join([*pieces, view[begin:]]) if pieces else data
    return Jpeg(data=kept if kept.startswith(SIGNATURE) else data, info=info)


def _note(info: dict[str, bytes], content: bytes) -> None:
    """Add EXIF, which may be in multiple segments, or XMP to the metadata."""
    if content.startswith(_EXIF):
        earlier = info.get("exif", b"")
        info["exif"] = (earlier + content[len(_EXIF) :])[:_MOST_EXIF] if earlier else content
    elif content.startswith(_XMP):
        info["xmp"] = content[len(_XMP) :]
