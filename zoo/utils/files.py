"""Files written whole or not at all and read with care; every fault names the path and the cause."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import RunFolderError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_RESTORE = "Restore it from a copy, or train again."
_TEMPORARY = re.compile(r"\..+\.\d+\.[0-9a-f]{8}\.tmp")
_OF_NAME = 100  # bytes of a file's name that one beside it has: names have at most 255, or 143
_CHUNK = 1 << 20
_CURES = {
    errno.ENOSPC: "free some space or choose another disk",
    errno.EDQUOT: "free some space or choose another disk",
    errno.EFBIG: "raise the limit on the size of files, or choose another disk",
    errno.EIO: "the disk may be failing, choose another",
    errno.EACCES: "choose a folder that you may use",
    errno.EPERM: "choose a folder that you may use",
    errno.EROFS: "choose a folder that can be written",
    errno.EISDIR: "a folder is in its place, choose another name",
    errno.EEXIST: "a file is in its place, choose another name",
    errno.ENOTDIR: "a file is in its place, choose another name",
    errno.ENAMETOOLONG: "choose a shorter name",
}


def write_file(path: str | Path, data: bytes) -> None:
    """Write a file so that a reader sees the old content, or all of the new, also after a crash.

    A symbolic link in its place is replaced, not what it points to.

    Args:
        path: The file, in a folder that is there.
        data: All of its content.

    Raises:
        RunFolderError: It cannot be written; what was there before is untouched, or replaced whole if the disk itself
            fails after that.
    """
    path = _validated_path(path)
    with translate_os_errors("write", path):
        temporary = _temporary_name(path)
    try:
        with translate_os_errors("write", path):
            _write_new(temporary, data)
            os.replace(temporary, path)
    finally:
        remove(temporary)
    sync_folder(path.parent)


def check_writable(path: str | Path) -> None:
    """Find out, before the work, whether a file can be written: one without content is made beside it, and removed.

    What it cannot find out: whether the disk has room for the content, whether the system lets a file that is there be
    replaced (one that is immutable, or another user's in a folder like ``/tmp``), and what changes until then.

    Args:
        path: As for `write_file`.

    Raises:
        RunFolderError: It cannot.
    """
    path = _validated_path(path)
    with translate_os_errors("write", path):
        with contextlib.suppress(FileNotFoundError):
            os.lstat(path)  # which fails if the name is too long, as that of the file beside it never is
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        temporary = _temporary_name(path)
        try:
            _write_new(temporary, b"")
        finally:
            remove(temporary)


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a new folder of files so that it is there whole, also after a crash, or not at all.

    Raises:
        RunFolderError: It cannot be written, or is there already.
    """
    with translate_os_errors("write", path):
        temporary = _temporary_name(path)
    try:
        with translate_os_errors("write", path):
            temporary.mkdir()
            for name, data in files.items():
                _write_new(temporary / name, data)
        sync_folder(temporary)
        with translate_os_errors("write", path):
            os.rename(temporary, path)
    finally:
        remove(temporary)
    sync_folder(path.parent)


def read(path: Path, limit: int) -> bytes:
    """Return the content of a regular file of at most ``limit`` bytes.

    Raises:
        RunFolderError: It is missing, unreadable, too large or not a regular file.
    """
    with translate_os_errors("read", path), _open_regular(path) as descriptor:
        size = os.fstat(descriptor).st_size
        if size > limit:
            raise RunFolderError(
                f"{path} has {size} bytes, more than the {limit} that it can need. {_RESTORE}", path=path
            )
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(limit)


def size_of(path: Path) -> int:
    """Return the size of a regular file in bytes.

    Raises:
        RunFolderError: As for `read`.
    """
    with translate_os_errors("read", path), _open_regular(path) as descriptor:
        return os.fstat(descriptor).st_size


def sha256(data: bytes) -> str:
    """Return the SHA-256 of bytes, in hexadecimal digits."""
    import hashlib

    return hashlib.sha256(data).hexdigest()


def make_folder(path: Path) -> None:
    """Make a folder and those above it, unless it is there.

    Raises:
        RunFolderError: It cannot be made.
    """
    with translate_os_errors("make", path):
        path.mkdir(parents=True, exist_ok=True)


def remove(path: Path) -> None:
    """Remove a file or a folder of ours if it is there; one that cannot be removed stays."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def discard_temporaries(folder: Path) -> None:
    """Remove what a writer that was killed has left in a folder."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if _TEMPORARY.fullmatch(name):
                remove(folder / name)


def discard_folder(path: Path) -> None:
    """Remove a folder so that, also after a crash, it is there whole or not under its name."""
    with contextlib.suppress(OSError):
        doomed = _temporary_name(path)
        os.rename(path, doomed)
        remove(doomed)


def sync_folder(path: Path) -> None:
    """Bring the names in a folder to the disk, if the folder may be read, which writing into it does not take.

    Raises:
        RunFolderError: The disk reports an error.
    """
    with translate_os_errors("write", path):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except PermissionError:  # the file is there all the same
            return
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that cannot is not a failure
                raise
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def translate_os_errors(verb: str, path: Path) -> Iterator[None]:
    """Turn what the system says into an error that names the path, the cause and, where one is known, a cure."""
    try:
        yield
    except OSError as error:
        cause = error.strerror or str(error)
        cure = _CURES.get(error.errno or 0)
        raise RunFolderError(f"Cannot {verb} {path}: {cause}{'; ' + cure if cure else ''}.", path=path) from error


def _validated_path(path: str | Path) -> Path:
    """Return a path that can be that of a file."""
    found = Path(path)
    if not found.name or "\0" in str(found):
        raise RunFolderError(f"No file can have that name: give another. Received: path={str(path)!r}", path=path)
    return found


def _temporary_name(path: Path) -> Path:
    """Return a name beside a path, never too long where that of the path is not."""
    name = os.fsdecode(os.fsencode(path.name)[:_OF_NAME])
    return path.with_name(f".{name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")


def _write_new(path: Path, data: bytes) -> None:
    with open(path, "xb", buffering=0) as file:
        rest = memoryview(data)
        while rest:
            rest = rest[file.write(rest[:_CHUNK]) :]
        os.fsync(file.fileno())


@contextlib.contextmanager
def _open_regular(path: Path) -> Iterator[int]:
    try:
        # without O_NONBLOCK, opening a FIFO would wait for a writer
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise RunFolderError(
                f"{path} is a symbolic link, not a regular file. Put the file itself there.", path=path
            ) from None
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise RunFolderError(f"{path} is not a regular file. {_RESTORE}", path=path)
        yield descriptor
    finally:
        os.close(descriptor)
