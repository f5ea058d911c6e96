"""Metadata of an ONNX file, and what it must not contain, read without a runtime, which would take much longer.

A file is a message of protocol buffers. Since a message may be continued by appending fields, properties are written
after the rest of the file: one with the metadata and, as the last, one with the digest of all bytes before it.

Source of the numbers: onnx.proto in the ONNX project.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from zoo.errors import ArtifactError
from zoo_export.protobuf import encode_field, fields
from zoo_export.reading import read_file

if TYPE_CHECKING:
    from pathlib import Path

_METADATA, _DIGEST = "zoo", "zoo_sha256"
_PROPERTIES = 14
_KEY, _VALUE = 1, 2

_MESSAGES = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
}
"""The messages in which there may be tensors: by the number of a field, the message in it."""
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # of a tensor


def with_metadata(data: bytes, metadata: str) -> bytes:
    """Return the content of an ONNX file with metadata and a digest appended."""
    data += _property(_METADATA, metadata)
    return data + _property(_DIGEST, hashlib.sha256(data).hexdigest())


def read_metadata(path: Path) -> str:
    """Return the metadata of an ONNX file, empty if it has none.

    Raises:
        ArtifactError: The file cannot be read, or it was changed after `with_metadata` returned its content.
    """
    data = read_file(path)
    try:
        found = _properties(data)
    except ValueError as error:
        raise _damaged(path, error) from error
    metadata = [value for key, value, _, _ in found if key == _METADATA]
    if not metadata:
        return ""
    key, digest, start, end = found[-1]
    is_whole = key == _DIGEST and end == len(data) and len(metadata) == 1
    if not is_whole or digest != hashlib.sha256(memoryview(data)[:start]).hexdigest():
        raise ArtifactError(
            f"{path} was changed or damaged after zoo wrote it. Restore it from a copy, or export the run again.",
            path=path,
        )
    return metadata[0]


def check_self_contained(data: bytes, path: Path) -> None:
    """Raise `ArtifactError` if an ONNX file refers to another file, which the runtime would read."""
    waiting = [("model", 0, len(data))]
    try:
        while waiting:
            kind, start, end = waiting.pop()
            for field in fields(data, start, end):
                if kind == "tensor":
                    if field.number == _EXTERNAL_DATA or (field.number == _DATA_LOCATION and field.value):
                        raise ArtifactError(
                            f"{path} has weights in another file, which zoo does not read. Use a file that "
                            "`zoo export` wrote.",
                            path=path,
                        )
                elif field.value is None and (inner := _MESSAGES[kind].get(field.number)):
                    waiting.append((inner, field.content, field.end))
    except ValueError as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: ValueError) -> ArtifactError:
    return ArtifactError(f"{path} is not an ONNX file, or it is damaged: {error}. Export the run again.", path=path)


def _property(key: str, value: str) -> bytes:
    return encode_field(_PROPERTIES, encode_field(_KEY, key.encode()) + encode_field(_VALUE, value.encode()))


def _properties(data: bytes) -> list[tuple[str, str, int, int]]:
    """Return the key and the value of each property, and where it starts and ends."""
    found = []
    for field in fields(data, 0, len(data)):
        if field.number == _PROPERTIES and field.value is None:
            entry = {
                inner.number: data[inner.content : inner.end].decode()
                for inner in fields(data, field.content, field.end)
            }
            found.append((entry.get(_KEY, ""), entry.get(_VALUE, ""), field.start, field.end))
    return found
