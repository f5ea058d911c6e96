"""Reads untrusted files: only regular files, and only up to a maximum size."""

from __future__ import annotations

import os
import stat
from typing import IO, TYPE_CHECKING, BinaryIO

from zoo.errors import DataError
from zoo.images.natural_sort import shown

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

MAX_BYTES = 1 << 26
"""Maximum size of an image file: 64 MiB."""

BLOCK = 1 << 22
"""Bytes read at a time."""

_WORD = 1 << 64

Signature = tuple[int, int, int, int]
"""Inode, size, and times of the last change of content and of status in nanoseconds: differs if the content differs.

All values are from 0 to 2**64 - 1: times before 1970 are two's complements.
"""


def open_regular(path: str | Path, source: str | None = None) -> BinaryIO:
    """Open a regular file for reading; never wait for any other file, such as a FIFO.

    Args:
        path: The file.
        source: As for `read`.

    Raises:
        DataError: The path is not a regular file, or it cannot be read.
    """
    try:
        # a FIFO without a writer would otherwise block
        file = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")  # noqa: SIM115  # the caller closes it
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return file
        file.close()
        raise DataError(f"{source or shown(path)} is not a regular file.", path=path)
    except OSError as error:
        raise DataError(f"{source or shown(path)} cannot be read: {error.strerror}.", path=path) from error


def read(path: str | Path, source: str | None = None) -> tuple[bytes, Signature]:
    """Return the content of an image file and its signature.

    Args:
        path: The file.
        source: Name of the file in error messages; None for its path.

    Raises:
        DataError: The file is not a regular file, is empty, is larger than `MAX_BYTES`, or cannot be read.
    """
    source = source or shown(path)
    with open_regular(path, source) as file:
        try:
            # limited by the file's size: every thread would allocate all the requested bytes immediately
            data = file.read(min(MAX_BYTES, os.fstat(file.fileno()).st_size) + 1)
            signature = signature_of(os.fstat(file.fileno()))
        except OSError as error:
            raise DataError(f"{source} cannot be read: {error.strerror}.", path=source) from error
    check_size(data, source)
    return data, signature


def fill(array: NDArray[np.uint8], file: IO[bytes], source: str, path: Path) -> None:
    """Fill an array with the rest of a file, which must have exactly as many bytes.

    Args:
        array: The array to fill.
        file: The open file.
        source: Name of the file in error messages.
        path: Path of the file, or of the archive that contains it.

    Raises:
        DataError: The file has more bytes or fewer.
    """
    content, done = array.data, 0
    while done < len(array) and (block := file.read(min(BLOCK, len(array) - done))):
        content[done : done + len(block)] = block
        done += len(block)
    if done < len(array) or file.read(1):
        raise DataError(
            f"{source} has {'fewer' if done < len(array) else 'more'} bytes than the {len(array)} its header declares. "
            "Replace it with an intact copy.",
            path=path,
        )


def check_size(data: bytes, source: str) -> None:
    """Raise `DataError` if the content of an image file is empty or too large."""
    if not data:
        raise DataError(f"{source} is empty.", path=source)
    if len(data) > MAX_BYTES:
        raise DataError(
            f"{source} is too large for an image file: reduce it to at most {MAX_BYTES >> 20} MiB.", path=source
        )


def signature_of(status: os.stat_result) -> Signature:
    """Return the signature of a file from its status."""
    return status.st_ino, status.st_size, status.st_mtime_ns % _WORD, status.st_ctime_ns % _WORD
