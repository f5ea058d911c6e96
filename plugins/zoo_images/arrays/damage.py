"""Files of arrays: errors of those that are damaged or are not what their names say, and digests."""

from __future__ import annotations

import contextlib
import hashlib
from typing import IO, TYPE_CHECKING

from zoo import DataError
from zoo.images import BLOCK, is_web_page, shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_START = 512  # bytes that tell a web page from data


@contextlib.contextmanager
def damage_errors(path: Path, what: str, cure: str) -> Iterator[None]:
    """Turn any exception that a damaged file raises into a `DataError` that names the file.

    Args:
        path: The file.
        what: What it is not: ``"a valid .npz file"``.
        cure: Last sentence of the message.
    """
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy's reader raise many types
        said = shown(" ".join(str(error).split()) or type(error).__name__)  # it may quote bytes of the file
        raise DataError(f"{shown(path)} is not {what}: {said:.200}. {cure}", path=path) from error


def check_not_a_page(file: IO[bytes], path: Path) -> None:
    """Raise `DataError` if a file is a web page, as a failed download leaves it; leave the file at its start."""
    start = file.read(_START)
    file.seek(0)
    if is_web_page(start):
        raise DataError(
            f"{shown(path)} is a web page, not data: the download failed. Open the page to see why, and download the "
            "file again.",
            path=path,
        )


def digest_of(file: IO[bytes], path: Path) -> str:
    """Return the SHA-256 of an open file, and leave it at its start.

    Raises:
        DataError: The file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        file.seek(0)
        while block := file.read(BLOCK):
            digest.update(block)
        file.seek(0)
    except OSError as error:
        raise DataError(f"{shown(path)} cannot be read: {error.strerror}.", path=path) from error
    return digest.hexdigest()
