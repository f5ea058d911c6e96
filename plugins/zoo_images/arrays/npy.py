"""Arrays in NumPy's format ``.npy``, alone or as a member of an ``.npz`` file: header, then content."""

from __future__ import annotations

import math
from typing import IO, TYPE_CHECKING, Any

from zoo import DataError
from zoo.images import fill

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

_LONGEST = 1 << 16  # maximum bytes of a header
_LAST_LETTER = 0x10FFFF
_SURROGATES = (0xD800, 0xDFFF)  # no text of Unicode has them alone


def read_header(file: IO[bytes], title: str, path: Path) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return an array's shape, whether it is in Fortran order, and its type.

    Args:
        file: The open file or member, at its start.
        title: Name of the array in error messages.
        path: The file, for errors.

    Raises:
        DataError: The version is unknown, or a size is negative.
        ValueError: The header is damaged.
    """
    from numpy.lib import format as npy

    readers: dict[tuple[int, int], Any] = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    version = npy.read_magic(file)
    if version not in readers:
        raise DataError(
            f"{title} has an unknown format version. Save it with numpy.savez. Received: version={version}", path=path
        )
    shape, fortran, dtype = readers[version](file, max_header_size=_LONGEST)
    if any(size < 0 for size in shape):  # a negative size would let other arrays exceed the memory limit
        raise DataError(f"{title} has a negative size. Save it with numpy.savez. Received: shape={shape}", path=path)
    return shape, fortran, dtype


def read_content(file: IO[bytes], title: str, path: Path) -> NDArray[Any]:
    """Return an array of exactly as many bytes as its header declares.

    Args:
        file: As for `read_header`, which is checked before: sizes and type are known to be sound.
        title: As for `read_header`.
        path: As for `read_header`.

    Raises:
        DataError: There are more bytes or fewer, or a text has characters that do not exist.
    """
    import numpy as np

    shape, fortran, dtype = read_header(file, title, path)
    array = np.empty(math.prod(shape), dtype)
    fill(array.view(np.uint8), file, title, path)
    if dtype.kind == "U" and dtype.itemsize:
        codes = array.view(f"{dtype.byteorder}u4")
        if ((codes > _LAST_LETTER) | ((codes >= _SURROGATES[0]) & (codes <= _SURROGATES[1]))).any():
            raise DataError(
                f"{title} has texts that are not Unicode. Save them again from strings. "
                f"Received: character code {hex(codes.max())}",
                path=path,
            )
    ordered: NDArray[Any] = array.reshape(shape, order="F" if fortran else "C")
    return ordered
