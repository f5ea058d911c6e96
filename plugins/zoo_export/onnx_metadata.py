"""Reads the properties of an ONNX file without a runtime, which would take much longer.

A file is a message of protocol buffers: fields, each with a number and a type, of which all but the properties are
skipped. Source: onnx.proto in the ONNX project (``ModelProto.metadata_props`` is field 14).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from zoo.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PROPERTIES = 14
_KEY, _VALUE = 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LIMIT = 1 << 24  # bytes of a property


def read_properties(path: Path) -> dict[str, str]:
    """Return the properties of an ONNX file.

    Raises:
        ArtifactError: The file cannot be read or is damaged.
    """
    found = {}
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            for number, start, length in _fields(file, size):
                if number == _PROPERTIES:
                    entry = _entry(file, start, length)
                    found[entry.get(_KEY, "")] = entry.get(_VALUE, "")
                file.seek(start + length)
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}.", path=path) from error
    except ValueError as error:
        raise ArtifactError(
            f"{path} is no ONNX file, or it is damaged: {error}. Export the run again.", path=path
        ) from error
    return found


def _entry(file: BinaryIO, start: int, length: int) -> dict[int, str]:
    if length > _LIMIT:
        raise ValueError(f"a property has {length} bytes")
    file.seek(start)
    entry = {}
    for number, begin, size in _fields(file, start + length):
        file.seek(begin)
        entry[number] = file.read(size).decode()
    return entry


def _fields(file: BinaryIO, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield the number, the start and the length of each field of bytes; the caller may move in the file."""
    position = file.tell()
    while position < end:
        file.seek(position)
        key = _varint(file)
        number, kind = key >> 3, key & 7
        if kind == _BYTES:
            length = _varint(file)
            start = file.tell()
            position = start + length
            if position > end:
                raise ValueError("it ends too early")
            yield number, start, length
        elif kind == _VARINT:
            _varint(file)
            position = file.tell()
        elif kind in (_FIXED32, _FIXED64):
            position = file.tell() + (4 if kind == _FIXED32 else 8)
        else:
            raise ValueError(f"field {number} has unknown type {kind}")


def _varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 64, 7):
        byte = file.read(1)
        if not byte:
            raise ValueError("it ends too early")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError("it has a number of more than 64 bits")
