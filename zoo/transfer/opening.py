"""Open a file that may be anything, once, and keep what it contained at that moment."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from typing import TYPE_CHECKING

from zoo.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHUNK = 1 << 20
_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


@contextlib.contextmanager
def open_regular(path: Path) -> Iterator[int]:
    """Open a regular file, or a symbolic link to one, without waiting for anything."""
    _check_regular(os.stat(path), path)  # before it is opened, which can do something to a device
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        _check_regular(os.fstat(descriptor), path)
        yield descriptor
    finally:
        os.close(descriptor)


def _check_regular(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise ArtifactError(f"{path} is {kind}. Choose a weights file.", path=path)


@contextlib.contextmanager
def sealed_copy(source: int, size: int) -> Iterator[tuple[int, str]]:
    """Copy a file to memory, unchangeable, and return a descriptor of the copy and the digest of its content."""
    import hashlib

    digest = hashlib.sha256()
    copy = os.memfd_create("weights", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        while size > 0 and (data := os.read(source, min(_CHUNK, size))):
            size -= len(data)
            digest.update(data)
            while data:
                data = data[os.write(copy, data) :]
        fcntl.fcntl(copy, fcntl.F_ADD_SEALS, _SEALS)
        os.lseek(copy, 0, os.SEEK_SET)
        yield copy, digest.hexdigest()
    finally:
        os.close(copy)
