"""Reads an IDX file, the format of MNIST, compressed with gzip or not.

LeCun, Cortes and Burges, "The MNIST database of handwritten digits", describes the format: two zero bytes, a byte for
the type, a byte for the number of dimensions, the dimensions as big-endian 32-bit integers, then the values.

Plugin ``fashion`` has its own reader, because plugins do not import each other. That reader knows the shapes of its
four files in advance; this one accepts any shapes that fit into memory.
"""

from __future__ import annotations

import contextlib
import gzip
import math
import struct
import zlib
from typing import IO, TYPE_CHECKING, Any, cast

from zoo import DataError
from zoo.images import fill, shown
from zoo_images.arrays.damage import check_not_a_page
from zoo_images.arrays.stored_arrays import StoredArray

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

_UNSIGNED_BYTES = 8
_DTYPES = {_UNSIGNED_BYTES: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_GZIP = b"\x1f\x8b"


def read_idx_header(file: IO[bytes], path: Path, dimensions: tuple[int, ...]) -> StoredArray:
    """Return the array in an open file, of which the header is read now.

    Args:
        file: The file, compressed or not: its first bytes tell, not its name.
        path: Its path.
        dimensions: Numbers of dimensions that it may have.

    Raises:
        DataError: It is not such a file.
    """
    import numpy as np

    check_not_a_page(file, path)
    with _inflated(file, path) as content:
        shape, dtype = _parse_header(content, path, dimensions)

    def read() -> NDArray[Any]:
        with _inflated(file, path) as content:
            _parse_header(content, path, dimensions)
            array = np.empty(math.prod(shape), dtype)
            fill(array.view(np.uint8), content, shown(path), path)
        # in the machine's byte order
        return array.astype(dtype.newbyteorder("="), copy=False).reshape(shape)

    return StoredArray(name=path.name, title=shown(path), path=path, shape=shape, dtype=dtype, read=read)


@contextlib.contextmanager
def _inflated(file: IO[bytes], path: Path) -> Iterator[IO[bytes]]:
    """Return the content of a file from its start, decompressed if it is compressed."""
    try:
        file.seek(0)
        is_packed = file.read(len(_GZIP)) == _GZIP
        file.seek(0)
        if is_packed:
            with gzip.GzipFile(fileobj=file) as inflated:
                yield cast("IO[bytes]", inflated)
        else:
            yield file
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{shown(path)} cannot be read: {error}. Replace it with an intact copy.", path=path) from error


def _parse_header(file: IO[bytes], path: Path, dimensions: tuple[int, ...]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    import numpy as np

    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _DTYPES or start[3] not in dimensions:
        wanted = " or ".join(f"{_UNSIGNED_BYTES << 8 | count}" for count in dimensions)
        received = int.from_bytes(start) if len(start) == 4 else f"{len(start)} bytes"
        raise DataError(
            f"{shown(path)} is not an IDX file with the right number of dimensions. Save it as unsigned bytes, with "
            f"the magic number {wanted}. Received: magic={received}",
            path=path,
        )
    header = file.read(4 * start[3])
    if len(header) < 4 * start[3]:
        raise DataError(
            f"{shown(path)} is truncated: it ends within its header. Replace it with an intact copy.", path=path
        )
    return struct.unpack(f">{start[3]}I", header), np.dtype(_DTYPES[start[2]])
