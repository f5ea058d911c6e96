"""The chunks of a PNG: checksums are compared, and chunks that hold no pixels are left out before Pillow reads it.

The PNG specification (W3C, third edition) describes the format: a signature, then chunks of a length, a type of four
letters, the data, and a CRC-32 of type and data.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zoo.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
"""The first bytes of a PNG."""

MOST_CHUNKS = 1 << 17
"""Maximum number of chunks; a file of 64 MiB in the usual pieces of 8 KiB has 8,192."""

_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")  # chunks that determine pixels
_OVERHEAD = 12  # bytes of a chunk without its data
_HEADER_BYTES = 13
_DEPTH_AT = 24  # position of the bit depth, before that of the color type
_INDEXED = 3  # color type of an image with a palette
_MOST_TEXT = 1 << 20  # bytes of a text after inflating it
_XMP, _RAW_EXIF = b"XML:com.adobe.xmp\0", b"Raw profile type exif\0"


@dataclass(frozen=True, kw_only=True)
class Png:
    """A PNG that is ready to be decoded.

    Args:
        data: The file, without the chunks that hold no pixels.
        depth: Bits per channel.
        color: Color type: 0 gray, 2 color, 3 palette, 4 gray and 6 color with transparency.
        info: Metadata that may have the orientation, by the names that Pillow gives them.
    """

    data: bytes
    depth: int
    color: int
    info: dict[str, bytes | str] = field(default_factory=dict)


def read_png(data: bytes, source: str) -> Png:
    """Return a PNG without its metadata, after comparing the checksums of all chunks that determine pixels.

    A wrong checksum of metadata costs nothing, unless type or length of a chunk with pixels may be what is wrong.

    Args:
        data: Content of the file.
        source: Name of the file in error messages.

    Raises:
        DataError: A checksum is wrong, the file is cut off, it does not begin with its header, an image with a palette
            has none, or the file has more than `MOST_CHUNKS` chunks.
    """
    pieces, found = list[bytes | memoryview]([SIGNATURE]), set[bytes]()
    texts = dict[str, tuple[bytes, memoryview]]()  # the last chunk with each, read at the end: inflating takes time
    for kind, chunk in _chunks(data, source):
        content, checksum = chunk[8:-4], int.from_bytes(chunk[-4:])
        is_intact = zlib.crc32(chunk[4:-4]) == checksum
        if kind in _PIXELS:
            if not is_intact:
                raise _damaged(source, f"the checksum of the PNG's {kind.decode()} chunk is wrong")
            pieces.append(chunk)
            found.add(kind)
        elif kind[:1].isupper():
            raise _damaged(source, f"the PNG has a chunk that zoo does not know, {kind.decode()!r}")
        else:
            if not is_intact:
                _check_metadata(bytes(content), checksum, source)
            if (name := _name_of_text(kind, content)) is not None:
                texts[name] = kind, content
    depth, color = data[_DEPTH_AT], data[_DEPTH_AT + 1]
    if b"IDAT" not in found:
        raise _damaged(source, "the PNG has no pixels")
    if color == _INDEXED and b"PLTE" not in found:
        raise _damaged(source, "the PNG has no palette")
    is_whole = sum(map(len, pieces)) == len(data)
    info = {name: _text(*chunk) for name, chunk in texts.items()}
    return Png(data=data if is_whole else b"".join(pieces), depth=depth, color=color, info=info)


def _chunks(data: bytes, source: str) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the type of each chunk and all of its bytes, up to the last one.

    Raises:
        DataError: The file is cut off, does not begin with its header, or has more than `MOST_CHUNKS` chunks.
    """
    view, at, kind = memoryview(data), len(SIGNATURE), b""
    for number in range(MOST_CHUNKS):
        if kind == b"IEND":
            return
        if at + _OVERHEAD > len(data):
            raise _damaged(source, "the PNG is cut off")
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + _OVERHEAD + length
        if not kind.isalpha():
            raise _damaged(source, "the PNG has a broken chunk")
        if not number and (kind != b"IHDR" or length != _HEADER_BYTES):
            raise _damaged(source, "the PNG does not begin with its header")
        if number and kind == b"IHDR":
            raise _damaged(source, "the PNG has two headers")
        if end > len(data):
            raise _damaged(source, "the PNG is cut off")
        yield kind, view[at:end]
        at = end
    raise DataError(f"{source} has too many PNG chunks: save it again with fewer than {MOST_CHUNKS:,}.", path=source)


def _check_metadata(content: bytes, checksum: int, source: str) -> None:
    """Raise `DataError` if a chunk with a wrong checksum may be one with pixels, or may contain one."""
    is_renamed = any(zlib.crc32(content, zlib.crc32(kind)) == checksum for kind in _PIXELS)
    if is_renamed or any(kind in content for kind in _PIXELS):  # its type, or its length, is what is wrong
        raise _damaged(source, "a checksum of the PNG is wrong")


def _name_of_text(kind: bytes, content: memoryview) -> str | None:
    """Return the name, as Pillow has it, of a chunk's metadata if they may have the orientation."""
    if kind == b"eXIf":
        return "exif"
    data = bytes(content[: len(_RAW_EXIF)])
    if kind == b"iTXt" and data.startswith(_XMP) and len(content) > len(_XMP) + 2:
        return "XML:com.adobe.xmp"
    if kind in (b"tEXt", b"zTXt") and data.startswith(_RAW_EXIF):
        return "Raw profile type exif"
    return None


def _text(kind: bytes, content: memoryview) -> bytes | str:
    """Return the metadata of a chunk that `_name_of_text` has a name for."""
    if kind == b"eXIf":
        return bytes(content)
    if kind == b"iTXt":
        is_compressed, rest = content[len(_XMP)] == 1, bytes(content[len(_XMP) + 2 :])
        text = rest.split(b"\0", 2)[-1]
        return _inflated(text) if is_compressed else text[:_MOST_TEXT]
    rest = bytes(content[len(_RAW_EXIF) :])
    text = _inflated(rest[1:]) if kind == b"zTXt" else rest[:_MOST_TEXT]
    return text.decode("latin-1")


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, _MOST_TEXT)
    except zlib.error:
        return b""


def _damaged(source: str, fault: str) -> DataError:
    return DataError(f"{source} is damaged: {fault}.", path=source)
