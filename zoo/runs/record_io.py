"""Records as JSON files that tell when a byte of them was changed: typed, capped, sealed with their own digest.

The seal is a last key ``sha256``, the digest of all bytes before it. It finds damage; it is no signature, since whoever
can write the file can seal it anew.
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
"""Version of the layout of a run folder: of its records, its checkpoints and its artifact."""

LIMIT = 16 << 20
"""The most bytes that a record can have: a hundred times those of a run of a hundred epochs."""

_RESTORE = "Restore it from a copy."

Record = TypeVar("Record", bound=msgspec.Struct)


class _Version(msgspec.Struct):
    format: int


def encode(record: msgspec.Struct) -> bytes:
    """Return a record as indented JSON with its seal.

    Raises:
        RunFolderError: It holds what could not be read again: a number that is not finite, text that is none, too much.
    """
    try:
        body = msgspec.json.format(msgspec.json.encode(record), indent=2).removesuffix(b"\n}")
        data = body + f',\n  "sha256": "{sha256(body)}"\n}}\n'.encode()
        if len(data) > LIMIT:
            raise ValueError(f"it has {len(data):,} bytes, more than {LIMIT:,}")
        msgspec.json.decode(body + b"\n}", type=type(record))
    except (msgspec.MsgspecError, OverflowError, TypeError, ValueError) as error:
        raise RunFolderError(
            f"What is to be recorded could not be read again: {error!s:.300}. Received: a {type(record).__name__}"
        ) from error
    return data


def decode(data: bytes, kind: type[Record], source: str) -> Record:
    """Return the record that `encode` wrote.

    Args:
        data: Content of the file.
        kind: Type of the record, a struct with a field ``format``.
        source: What to call the file in messages.

    Raises:
        RunFolderError: A byte was changed since it was written; a newer version of zoo wrote it; or it lacks a key, has
            one too many, twice, or with a value of another type.
    """
    _check_format(data, source)  # another version may seal otherwise
    body = strict_json.verified_content(data)
    if body is None:
        raise RunFolderError(f"{source} is not as zoo wrote it: it is damaged or was changed. {_RESTORE}", path=source)
    try:
        record = msgspec.json.decode(body, type=kind)
        strict_json.check_keys(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise RunFolderError(f"{source} is not a valid record: {error!s:.300}. {_RESTORE}", path=source) from error
    return record


def write_record(path: Path, record: msgspec.Struct) -> None:
    """Write a record as a sealed JSON file, in place of the one that is there, so that nobody reads half of one.

    Args:
        path: The file; its folder must exist.
        record: A struct with a field ``format``, which is `FORMAT`.

    Raises:
        RunFolderError: It cannot be written, what was there before is untouched; or it holds what could not be read
            again: a number that is not finite, text that is none, too much.
    """
    files.write_file(path, encode(record))


def read_record(path: Path, kind: type[Record]) -> Record:
    """Return the record in a file that `write_record` wrote.

    Args:
        path: The file.
        kind: Type of the record, a struct with a field ``format``.

    Raises:
        RunFolderError: It cannot be read; a byte was changed since it was written; a newer version of zoo wrote it; or
            it is not a record of this type.
    """
    return decode(files.read(path, LIMIT), kind, str(path))


def _check_format(data: bytes, source: str) -> None:
    try:
        version = msgspec.json.decode(data, type=_Version).format
    except (msgspec.DecodeError, ValueError, RecursionError):
        return  # what it is instead is told elsewhere
    if version != FORMAT:
        raise RunFolderError(
            f"{source} has format {version!s:.20}, and this version of zoo reads format {FORMAT}: "
            "read it with the version of keras-zoo that wrote it.",
            path=source,
        )
