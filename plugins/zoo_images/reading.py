"""The bytes of files that nobody vouches for: regular ones, and not too many bytes."""

from __future__ import annotations

import os
import stat
from typing import IO, TYPE_CHECKING, BinaryIO

from zoo import DataError
from zoo_images.natural_sort import shown

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

MAX_BYTES = 1 << 26
"""Most bytes of an image file: 64 MiB."""

BLOCK = 1 << 22
"""Bytes that are read at a time."""

_WORD = 1 << 64

Signature = tuple[int, int, int, int]
"""Inode, size and the nanoseconds of the last change of content and of status: other ones for other content.

All are from 0 to 2**64 - 1: times before 1970 are held as two's complements.
"""


def open_regular(path: str | Path, source: str | None = None) -> BinaryIO:
    """Open a regular file to read; nothing else is waited for.

    Args:
        path: The file.
        source: As for `read`.

    Raises:
        DataError: There is none, or it cannot be read.
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
        source: What to call it in messages, if not by its path.

    Raises:
        DataError: It is no regular file, is empty, has more than `MAX_BYTES`, or cannot be read.
    """
    source = source or shown(path)
    with open_regular(path, source) as file:
        try:
            # no more than there is: memory for all that is asked for would be taken at once, by every thread
            data = file.read(min(MAX_BYTES, os.fstat(file.fileno()).st_size) + 1)
            signature = signature_of(os.fstat(file.fileno()))
        except OSError as error:
            raise DataError(f"{source} cannot be read: {error.strerror}.", path=source) from error
    check_size(data, source)
    return data, signature


def fill(array: NDArray[np.uint8], file: IO[bytes], source: str) -> None:
    """Read an array's bytes from a file that must end with them.

    Raises:
        DataError: There are more or fewer.
    """
    content, done = array.data, 0
    while done < len(array) and (block := file.read(min(BLOCK, len(array) - done))):
        content[done : done + len(block)] = block
        done += len(block)
    if done < len(array) or file.read(1):
        raise DataError(
            f"{source} has {'fewer' if done < len(array) else 'more'} bytes than its header says: {len(array)}.",
            path=source,
        )


def check_size(data: bytes, source: str) -> None:
    """Raise `DataError` if the content of an image file is empty or too large."""
    if not data:
        raise DataError(f"{source} is empty.", path=source)
    if len(data) > MAX_BYTES:
        raise DataError(f"{source} is larger than an image file may be: {MAX_BYTES >> 20} MiB.", path=source)


def signature_of(status: os.stat_result) -> Signature:
    """Return the signature of a file."""
    return status.st_ino, status.st_size, status.st_mtime_ns % _WORD, status.st_ctime_ns % _WORD
