"""Records as JSON files that tell when a byte of them was changed: typed, capped, sealed with their own digest.

The seal is a last key ``sha256``, the digest of all bytes before it. It finds damage; it is no signature, since whoever
can write the file can seal it anew.
"""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar

import msgspec

from zoo.errors import RunFolderError
from zoo.files import sha256

FORMAT = 1
"""Version of the layout of a run folder: of its records, its checkpoints and its artifact."""

LIMIT = 16 << 20
"""The most bytes that a record can have: a hundred times those of a run of a hundred epochs."""

_SEAL = re.compile(rb',\n  "sha256": "([0-9a-f]{64})"\n}\n\Z')
_RESTORE = "Restore it from a copy, or train again."

Record = TypeVar("Record", bound=msgspec.Struct)


class _Version(msgspec.Struct):
    format: int


def encode(record: msgspec.Struct) -> bytes:
    """Return a record as indented JSON with its seal."""
    body = msgspec.json.format(msgspec.json.encode(record), indent=2).removesuffix(b"\n}")
    return body + f',\n  "sha256": "{sha256(body)}"\n}}\n'.encode()


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
    seal = _SEAL.search(data)
    if seal is None or sha256(data[: seal.start()]) != seal[1].decode():
        _check_format(data, source)  # another version may seal otherwise
        raise RunFolderError(f"{source} is not as zoo wrote it: it is damaged or was changed. {_RESTORE}")
    _check_format(data, source)
    body = data[: seal.start()] + b"\n}"
    try:
        record = msgspec.json.decode(body, type=kind)
        json.loads(body, object_pairs_hook=_without_duplicates)  # of two equal keys msgspec takes the last
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise RunFolderError(f"{source} is not a valid record: {error}. {_RESTORE}") from error
    return record


def _check_format(data: bytes, source: str) -> None:
    try:
        version = msgspec.json.decode(data, type=_Version).format
    except (msgspec.DecodeError, ValueError, RecursionError):
        return  # what it is instead is told elsewhere
    if version != FORMAT:
        raise RunFolderError(
            f"{source} has format {version!s:.20}, and this version of zoo reads format {FORMAT}: "
            "read it with the version of keras-zoo that wrote it."
        )


def _without_duplicates(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r:.100} is there twice")
