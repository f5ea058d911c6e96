"""Records as typed JSON files of limited size, sealed with a digest that detects changes.

The seal is the last key, ``sha256``: the digest of all bytes before it. It detects damage, but it is not a signature:
anyone who can write the file can also write a new seal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from zoo.errors import RunFolderError
from zoo.utils import files, strict_json
from zoo.utils.files import sha256

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1
"""Version of the layout of a run folder: its records, checkpoints and artifact."""

LIMIT = 16 << 20
"""Maximum size of a record in bytes: a hundred times the size for a run of a hundred epochs."""

_RESTORE = "Restore it from a copy."

Record = TypeVar("Record", bound=msgspec.Struct)


class _Version(msgspec.Struct):
    format: int


def encode(record: msgspec.Struct) -> bytes:
    """Encode a record as indented JSON with a seal.

    Raises:
        RunFolderError: The record could not be read back: a number is not finite, a string is invalid, or it is too
            large.
    """
    try:
        body = msgspec.json.format(msgspec.json.encode(record), indent=2).removesuffix(b"\n}")
        data = body + f',\n  "sha256": "{sha256(body)}"\n}}\n'.encode()
        if len(data) > LIMIT:
            raise ValueError(f"it has {len(data):,} bytes; the maximum is {LIMIT:,}")
        msgspec.json.decode(body + b"\n}", type=type(record))
    except (msgspec.MsgspecError, OverflowError, TypeError, ValueError) as error:
        raise RunFolderError(
            f"The record cannot be written because it could not be read back: {error!s:.300}. "
            f"Received: a {type(record).__name__}"
        ) from error
    return data


def decode(data: bytes, kind: type[Record], source: str) -> Record:
    """Decode a record that `encode` wrote.

    Args:
        data: Content of the file.
        kind: Type of the record, a struct with a field ``format``.
        source: How messages refer to the file.

    Raises:
        RunFolderError: The content was changed since it was written, another version of zoo wrote it in another format,
            or a key is missing, unknown, duplicate or has a value of the wrong type.
    """
    _check_format(data, source)  # first, because another version may seal differently
    body = strict_json.verified_content(data)
    if body is None:
        raise RunFolderError(f"{source} was changed or damaged after zoo wrote it. {_RESTORE}", path=source)
    try:
        record = msgspec.json.decode(body, type=kind)
        strict_json.check_keys(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise RunFolderError(f"{source} is not a valid record: {error!s:.300}. {_RESTORE}", path=source) from error
    return record


def write_record(path: Path, record: msgspec.Struct) -> None:
    """Write a record as a sealed JSON file. An existing file is replaced atomically.

    Args:
        path: The file. Its folder must exist.
        record: A struct with a field ``format``, which is `FORMAT`.

    Raises:
        RunFolderError: The file cannot be written (an existing file is unchanged), or the record could not be read
            back: a number is not finite, a string is invalid, or it is too large.
    """
    files.write_file(path, encode(record))


def read_record(path: Path, kind: type[Record]) -> Record:
    """Read a record from a file that `write_record` wrote.

    Args:
        path: The file.
        kind: Type of the record, a struct with a field ``format``.

    Raises:
        RunFolderError: The file cannot be read, was changed since it was written, is in the format of another version
            of zoo, or is not a record of this type.
    """
    return decode(files.read(path, LIMIT), kind, str(path))


def _check_format(data: bytes, source: str) -> None:
    try:
        version = msgspec.json.decode(data, type=_Version).format
    except (msgspec.DecodeError, ValueError, RecursionError):
        return  # decode() reports what is wrong
    if version != FORMAT:
        raise RunFolderError(
            f"{source} has format {version!s:.20}, but this version of zoo reads only format {FORMAT}. "
            "Read it with the version of keras-zoo that wrote it.",
            path=source,
        )
