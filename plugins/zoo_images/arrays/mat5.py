"""Reads arrays of numbers from a MAT file of level 5 (MATLAB 5 to 7); everything else in such a file is refused.

MathWorks, "MAT-File Format", describes it: a header of 128 bytes, then elements of a type, a size and content. An
element is an array, or a compressed array; an array consists of elements itself: flags, dimensions, name and values.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Protocol

from zoo import DataError
from zoo.images import shown
from zoo_images.arrays.damage import check_not_a_page, damage_errors
from zoo_images.arrays.stored_arrays import StoredArray

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

_HEADER = 128
_ARRAY, _COMPRESSED = 14, 15
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_NUMERIC = range(6, 16)  # classes of arrays of numbers: double, single, and integers of 8 to 64 bits
_COMPLEX = 0x0800
_LONGEST = 1 << 10  # bytes of dimensions or a name
_MOST_VARIABLES = 16
_BLOCK = 1 << 20
_PADDING = 8  # elements end at multiples of it
_WHAT = "a valid MAT file of level 5"
_TRUNCATED = "it is truncated"
_CURE = "Download the file again, or save it with version -v7."


def read_variables(file: IO[bytes], path: Path) -> dict[str, StoredArray]:
    """Return the arrays in an open file by name; their headers are read, their values are not.

    Values have the order of the file: ``(n, channels, width, height)`` for a variable of MATLAB's size ``height, width,
    channels, n``.

    Raises:
        DataError: The file is damaged or of another version, or a variable is not an array of real numbers.
    """
    check_not_a_page(file, path)
    with damage_errors(path, _WHAT, _CURE):
        order = _byte_order(file, path)
        found: dict[str, StoredArray] = {}
        position, end = _HEADER, file.seek(0, 2)
        while position < end:
            stored, size = _open_variable(file, position, order, path)
            if stored.name in found or len(found) == _MOST_VARIABLES:
                raise DataError(f"{shown(path)} has a variable twice, or too many. {_CURE}", path=path)
            found[stored.name] = stored
            position += 8 + size
        if position > end:
            raise EOFError(_TRUNCATED)
        return found


def _byte_order(file: IO[bytes], path: Path) -> str:
    file.seek(0)
    header = file.read(_HEADER)
    if header.startswith((b"MATLAB 7.3", b"\x89HDF")):
        raise DataError(
            f"{shown(path)} is a MAT file of version 7.3, which is HDF5 and is not read. Save it with version -v7.",
            path=path,
        )
    order = {b"IM": "<", b"MI": ">"}.get(header[126:128])
    if order is None or struct.unpack(f"{order}H", header[124:126]) != (0x0100,):
        raise DataError(f"{shown(path)} is not {_WHAT}. {_CURE}", path=path)
    return order


class _Stream(Protocol):
    """What is read from: a file, or `_Inflated`."""

    def read(self, size: int, /) -> bytes: ...


@dataclass
class _Inflated:
    """Decompresses part of a file as it is read, never more than asked for."""

    file: IO[bytes]
    left: int  # compressed bytes that were not read from the file

    def __post_init__(self) -> None:
        self._stream = zlib.decompressobj()

    def read(self, size: int, /) -> bytes:
        """Return so many bytes, or fewer at the end."""
        parts = []
        while size and not self._stream.eof:
            data = self._stream.unconsumed_tail
            if not data:
                data = self.file.read(min(_BLOCK, self.left))
                self.left -= len(data)
            part = self._stream.decompress(data, size)
            if not data and not part:
                break
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def check_end(self) -> None:
        """Raise `ValueError` unless at most padding is left, and `zlib.error` if the checksum is wrong."""
        if len(self.read(_PADDING + 1)) > _PADDING or not self._stream.eof:
            raise ValueError("compressed data do not end with the array")


def _open_variable(file: IO[bytes], position: int, order: str, path: Path) -> tuple[StoredArray, int]:
    """Return the array at a position of a file, and the size of its element without its tag."""
    import numpy as np

    def start() -> tuple[_Stream, int]:
        """Return the array's elements, and the size of the outer one."""
        file.seek(position)
        kind, size = struct.unpack(f"{order}II", _exactly(file, 8))
        stream: _Stream = file
        if kind == _COMPRESSED:
            stream = _Inflated(file, size)
            kind, _ = struct.unpack(f"{order}II", _exactly(stream, 8))
        if kind != _ARRAY:
            raise DataError(f"{shown(path)} has an element that is not an array. {_CURE}", path=path)
        return stream, size

    stream, size = start()
    name, shape, dtype = _variable_header(stream, order, path)
    title = f"Variable {shown(name)} in {shown(path)}"

    def read() -> NDArray[Any]:
        with damage_errors(path, _WHAT, _CURE):
            stream, _ = start()
            _variable_header(stream, order, path)
            array = np.empty(math.prod(shape), dtype)
            content = array.view(np.uint8)
            for i in range(0, len(content), _BLOCK):
                block = content[i : i + _BLOCK]
                block[:] = np.frombuffer(_exactly(stream, len(block)), np.uint8)
            if isinstance(stream, _Inflated):
                stream.check_end()
            return array.astype(dtype.newbyteorder("="), copy=False).reshape(shape)

    return StoredArray(name=name, title=title, path=path, shape=shape, dtype=dtype, read=read), size


def _variable_header(stream: _Stream, order: str, path: Path) -> tuple[str, tuple[int, ...], np.dtype[Any]]:
    """Return the name of an array, its shape in the order of its values, and their type; the values come next."""
    import numpy as np

    flags = struct.unpack(f"{order}II", _element(stream, order))[0]
    dimensions = np.frombuffer(_element(stream, order), f"{order}i4")
    name = _element(stream, order).decode("ascii")
    kind, size, _ = _tag(stream, order)
    shape = tuple(map(int, dimensions[::-1]))
    if flags & 0xFF not in _NUMERIC or flags & _COMPLEX or kind not in _TYPES:
        raise DataError(
            f"Variable {shown(name)} in {shown(path)} is not an array of real numbers. Save only images and labels. "
            f"Received: class={flags & 0xFF}, type={kind}",
            path=path,
        )
    dtype = np.dtype(f"{order}{_TYPES[kind]}")
    if any(length < 0 for length in shape) or math.prod(shape) * dtype.itemsize != size:
        raise DataError(
            f"Variable {shown(name)} in {shown(path)} declares a size that its values do not have. {_CURE} "
            f"Received: shape={shape}, {size} bytes of {dtype}",
            path=path,
        )
    return name, shape, dtype


def _element(stream: _Stream, order: str) -> bytes:
    """Return the content of a small element."""
    _, size, alignment = _tag(stream, order)
    if size > _LONGEST:
        raise ValueError(f"an element of {size} bytes where at most {_LONGEST} are expected")
    return _exactly(stream, size + -size % alignment)[:size]


def _tag(stream: _Stream, order: str) -> tuple[int, int, int]:
    """Return type and size of the next element, and what its content is padded to a multiple of."""
    (kind,) = struct.unpack(f"{order}I", _exactly(stream, 4))
    if kind >> 16:  # a short element has both in four bytes, and its content in the next four
        return kind & 0xFFFF, kind >> 16, 4
    (size,) = struct.unpack(f"{order}I", _exactly(stream, 4))
    return kind, size, _PADDING


def _exactly(stream: _Stream, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError(_TRUNCATED)
    return data
