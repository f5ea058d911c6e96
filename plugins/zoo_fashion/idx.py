"""The IDX format of the MNIST family: a magic number, sizes, then bytes; here always inside gzip."""

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
    """Return the array of a gzip-compressed IDX file of unsigned bytes.

    No more is inflated than the expected shape needs, whatever the file says.

    Args:
        compressed: Content of the file.
        shape: The sizes that the header must give, ``(60000, 28, 28)``.
        source: What to call the file in messages.

    Raises:
        DataError: It is not gzip, has another magic number or other sizes, is truncated or has trailing bytes.
    """
    import numpy as np

    header_size, body_size = 4 + 4 * len(shape), math.prod(shape)
    inflater = zlib.decompressobj(_GZIP)
    try:
        data = inflater.decompress(compressed, header_size + body_size + 1)
    except zlib.error as error:
        raise DataError(f"{source} is not a sound gzip file: {error}.", path=source) from error
    if len(data) < header_size:
        raise DataError(f"{source} is truncated: it ends within its header, after {len(data)} bytes.", path=source)
    magic, *sizes = struct.unpack_from(f">{1 + len(shape)}I", data)
    expected = _UNSIGNED_BYTES << 8 | len(shape)
    if magic != expected:
        raise DataError(
            f"{source} is not an IDX file of its kind: its magic number is {magic}, not {expected}.", path=source
        )
    if tuple(sizes) != shape:
        raise DataError(
            f"{source} has other counts: its header says {_by(sizes)}, and {_by(shape)} belong there.", path=source
        )
    if len(data) < header_size + body_size or not (inflater.eof or len(data) > header_size + body_size):
        raise DataError(f"{source} is truncated: it holds {len(data) - header_size} of {body_size} bytes.", path=source)
    if len(data) > header_size + body_size or inflater.unused_data:
        raise DataError(f"{source} has trailing bytes after its {body_size} bytes of content.", path=source)
    return np.frombuffer(data, np.uint8, offset=header_size).reshape(shape)


def _by(sizes: tuple[int, ...] | list[int]) -> str:
    return "x".join(map(str, sizes))
