"""Metadata of an ONNX file, read without a runtime, which would take much longer.

A file is a message of protocol buffers: fields, each with a number and a type, of which all but the properties are
skipped. Since a message may be continued by appending fields, properties are written after the rest of the file: one
with the metadata, and one with the digest of all bytes before it.

Source: onnx.proto in the ONNX project; ``ModelProto.metadata_props`` is field 14.
"""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

from zoo.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_METADATA, _DIGEST = "zoo", "zoo_sha256"
_PROPERTIES = 14
_KEY, _VALUE = 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def with_metadata(data: bytes, metadata: str) -> bytes:
    """Return the content of an ONNX file with metadata and a digest appended."""
    data += _property(_METADATA, metadata)
    return data + _property(_DIGEST, hashlib.sha256(data).hexdigest())


def read_metadata(path: Path) -> str:
    """Return the metadata of an ONNX file, empty if it has none.

    Raises:
        ArtifactError: The file cannot be read, or it was changed after `with_metadata` returned its content.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}.", path=path) from error
    try:
        found = {key: (value, start) for key, value, start in _properties(data)}
    except ValueError as error:
        raise ArtifactError(
            f"{path} is not an ONNX file, or it is damaged: {error}. Export the run again.", path=path
        ) from error
    metadata, _ = found.get(_METADATA, ("", 0))
    if not metadata:
        return ""
    digest, start = found.get(_DIGEST, ("", len(data)))
    if digest != hashlib.sha256(memoryview(data)[:start]).hexdigest():
        raise ArtifactError(
            f"{path} was changed or damaged after zoo wrote it. Restore it from a copy, or export the run again.",
            path=path,
        )
    return metadata


def _property(key: str, value: str) -> bytes:
    entry = _field(_KEY, key.encode()) + _field(_VALUE, value.encode())
    return _field(_PROPERTIES, entry)


def _field(number: int, content: bytes) -> bytes:
    return _encoded(number << 3 | _BYTES) + _encoded(len(content)) + content


def _encoded(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _properties(data: bytes) -> Iterator[tuple[str, str, int]]:
    """Yield the key and the value of each property, and where it starts."""
    file = io.BytesIO(data)
    for number, start, content, length in _fields(file, len(data)):
        if number == _PROPERTIES:
            entry = {}
            file.seek(content)
            for inner, _, at, size in _fields(file, content + length):
                entry[inner] = data[at : at + size].decode()
            yield entry.get(_KEY, ""), entry.get(_VALUE, ""), start


def _fields(file: io.BytesIO, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield the number, the start, the start of the content and its length, of each field that has bytes."""
    position = file.tell()
    while position < end:
        start = file.seek(position)
        key = _varint(file)
        number, kind = key >> 3, key & 7
        if kind == _BYTES:
            length, content = _varint(file), file.tell()
            position = content + length
            if position > end:
                raise ValueError("it ends too early")
            yield number, start, content, length
        elif kind == _VARINT:
            _varint(file)
            position = file.tell()
        elif kind in (_FIXED32, _FIXED64):
            position = file.tell() + (4 if kind == _FIXED32 else 8)
        else:
            raise ValueError(f"field {number} has unknown type {kind}")


def _varint(file: io.BytesIO) -> int:
    value = 0
    for shift in range(0, 64, 7):
        byte = file.read(1)
        if not byte:
            raise ValueError("it ends too early")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] <= 0x7F:
            return value
    raise ValueError("it has a number of more than 64 bits")
