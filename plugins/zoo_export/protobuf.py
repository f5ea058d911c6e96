"""The fields of a protocol buffer message, as far as they have bytes; and how such a field is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field.

    Args:
        number: Its number.
        start: Where it begins.
        content: Where its content begins.
        end: Where it ends.
        value: Its value if it is an integer, else None.
    """

    number: int
    start: int
    content: int
    end: int
    value: int | None = None


def fields(data: bytes, start: int, end: int) -> Iterator[Field]:
    """Yield the fields of a message in part of the data.

    Raises:
        ValueError: The data is not such a message.
    """
    position = start
    while position < end:
        begin = position
        key, position = _varint(data, position, end)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, position = _varint(data, position, end)
            yield Field(number=number, start=begin, content=position, end=position, value=value)
        elif kind in (_FIXED32, _FIXED64):
            position += 4 if kind == _FIXED32 else 8
        elif kind == _BYTES:
            length, content = _varint(data, position, end)
            position = content + length
            if position > end:
                raise ValueError("it ends too early")
            yield Field(number=number, start=begin, content=content, end=position)
        else:
            raise ValueError(f"field {number} has unknown type {kind}")


def encode_field(number: int, content: bytes) -> bytes:
    """Return a field of bytes."""
    return _encode(number << 3 | _BYTES) + _encode(len(content)) + content


def _encode(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if position >= end:
            raise ValueError("it ends too early")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte <= 0x7F:
            return value, position
    raise ValueError("it has a number of more than 64 bits")
