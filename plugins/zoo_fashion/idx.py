"""The IDX format of the MNIST family, here always gzip-compressed: a magic number, dimensions, then bytes."""

from __future__ import annotations

import math
import struct
import zlib
from typing import TYPE_CHECKING

from zoo import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_GZIP = 31  # zlib's window bits for a gzip stream
_UNSIGNED_BYTES = 0x08


def parse_idx(compressed: bytes, shape: tuple[int, ...], source: str) -> NDArray[np.uint8]:
    """Return the array in a gzip-compressed IDX file of unsigned bytes.

    No more is decompressed than the expected shape needs, whatever the header declares.

    Args:
        compressed: Content of the file.
        shape: The shape that the header must declare, ``(60000, 28, 28)``.
        source: Name of the file in error messages.

    Raises:
        DataError: The file is not gzip, has a wrong magic number or shape, is truncated or has trailing bytes.
    """
    import numpy as np

    header_size, body_size = 4 + 4 * len(shape), math.prod(shape)
    inflater = zlib.decompressobj(_GZIP)
    try:
        data = inflater.decompress(compressed, header_size + body_size + 1)
    except zlib.error as error:
        raise DataError(f"{source} is not a valid gzip file: {error}. Use the official file.", path=source) from error
    if len(data) < header_size:
        raise DataError(
            f"{source} is truncated: it ends within its header, after {len(data)} bytes. Use the official file.",
            path=source,
        )
    magic, *sizes = struct.unpack_from(f">{1 + len(shape)}I", data)
    expected = _UNSIGNED_BYTES << 8 | len(shape)
    if magic != expected:
        raise DataError(
            f"{source} is not the right type of IDX file: its magic number is {magic}, not {expected}. Use the "
            "official file.",
            path=source,
        )
    if tuple(sizes) != shape:
        raise DataError(
            f"{source} has the wrong shape: its header declares {_by(sizes)}, not {_by(shape)}. Use the official file.",
            path=source,
        )
    if len(data) < header_size + body_size or not (inflater.eof or len(data) > header_size + body_size):
        raise DataError(
            f"{source} is truncated: it has {len(data) - header_size} of {body_size} bytes. Use the official file.",
            path=source,
        )
    if len(data) > header_size + body_size or inflater.unused_data:
        raise DataError(
            f"{source} has trailing bytes after its {body_size} bytes of content. Use the official file.", path=source
        )
    return np.frombuffer(data, np.uint8, offset=header_size).reshape(shape)


def _by(sizes: tuple[int, ...] | list[int]) -> str:
    return "x".join(map(str, sizes))
