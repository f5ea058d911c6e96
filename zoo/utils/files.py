"""Write files atomically and read them safely. Every error names the path and the cause."""

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
_OF_NAME = 100  # bytes of a file's name that its temporary name contains: names have at most 255 bytes, or 143
_CHUNK = 1 << 20
_CURES = {
    errno.ENOENT: "Check the path",
    errno.ENOSPC: "Free some space or choose another disk",
    errno.EDQUOT: "Free some space or choose another disk",
    errno.EFBIG: "Raise the file size limit or choose another disk",
    errno.EIO: "The disk may be failing: choose another",
    errno.EACCES: "Choose a folder that you have access to",
    errno.EPERM: "Choose a folder that you have access to",
    errno.EROFS: "Choose a writable folder",
    errno.EISDIR: "A folder has this name: choose another name",
    errno.EEXIST: "A file has this name: choose another name",
    errno.ENOTDIR: "A folder in the path is a file: choose another path",
    errno.ENAMETOOLONG: "Choose a shorter name",
}


def write_file(path: str | Path, data: bytes) -> None:
    """Write a file atomically: readers see either the old or the new content, even after a crash.

    If the path is a symbolic link, the link is replaced, not its target.

    Args:
        path: The file, in an existing folder.
        data: Its entire content.

    Raises:
        RunFolderError: The file cannot be written. An existing file is unchanged, or completely replaced if the disk
            fails after the replacement.
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
    """Check, before doing the work, whether a file can be written, by creating and removing an empty file next to it.

    It cannot detect whether the disk has room for the content, whether an existing file can be replaced (it may be
    immutable, or belong to another user in a folder like ``/tmp``), or what changes later.

    Args:
        path: As for `write_file`.

    Raises:
        RunFolderError: The file cannot be written.
    """
    path = _validated_path(path)
    with translate_os_errors("write", path):
        with contextlib.suppress(FileNotFoundError):
            os.lstat(path)  # fails if the name is too long, which the temporary name never is
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        temporary = _temporary_name(path)
        try:
            _write_new(temporary, b"")
        finally:
            remove(temporary)


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a new folder of files atomically: all of it or nothing, even after a crash.

    Raises:
        RunFolderError: The folder cannot be written, or already exists.
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
        RunFolderError: The file is missing, unreadable, too large or not a regular file.
    """
    with translate_os_errors("read", path), _open_regular(path) as descriptor:
        size = os.fstat(descriptor).st_size
        if size > limit:
            raise RunFolderError(
                f"{path} has {size} bytes, but a valid file has at most {limit}. {_RESTORE}", path=path
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
    """Return the SHA-256 digest of bytes, in hexadecimal."""
    import hashlib

    return hashlib.sha256(data).hexdigest()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 digest of a regular file, in hexadecimal, without holding the file in memory.

    Raises:
        RunFolderError: As for `read`, except that a file of any size is read.
    """
    import hashlib

    with (
        translate_os_errors("read", path),
        _open_regular(path) as descriptor,
        open(descriptor, "rb", closefd=False) as file,
    ):
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_folder(path: Path) -> None:
    """Create a folder and its parents, if they do not exist.

    Raises:
        RunFolderError: The folder cannot be created.
    """
    with translate_os_errors("create", path):
        path.mkdir(parents=True, exist_ok=True)


def remove(path: Path) -> None:
    """Remove a file or folder of ours, if it exists. Errors are ignored."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def discard_temporaries(folder: Path, name_of: str = "") -> None:
    """Remove temporary files that a killed writer left in a folder: all, or those of names that start with a name."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if _TEMPORARY.fullmatch(name) and name.startswith(f".{name_of}"):
                remove(folder / name)


def discard_folder(path: Path) -> None:
    """Remove a folder atomically: even after a crash, its name refers to the whole folder or to nothing."""
    with contextlib.suppress(OSError):
        doomed = _temporary_name(path)
        os.rename(path, doomed)
        remove(doomed)


def sync_folder(path: Path) -> None:
    """Sync the names in a folder to disk. Skipped for a folder without read permission, which writing does not need.

    Raises:
        RunFolderError: The disk reports an error.
    """
    with translate_os_errors("write", path):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except PermissionError:  # the file is written all the same
            return
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that does not support it is fine
                raise
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def translate_os_errors(verb: str, path: Path) -> Iterator[None]:
    """Convert an `OSError` to a `RunFolderError` that names the path, the cause and, if known, a cure."""
    try:
        yield
    except OSError as error:
        cause = error.strerror or str(error)
        cure = _CURES.get(error.errno or 0)
        raise RunFolderError(f"Cannot {verb} {path}: {cause}{'. ' + cure if cure else ''}.", path=path) from error


def _validated_path(path: str | Path) -> Path:
    """Return the path if a file can have it."""
    found = Path(path)
    if not found.name or "\0" in str(found):
        raise RunFolderError(f"This is not a valid file name. Choose another. Received: path={str(path)!r}", path=path)
    return found


def _temporary_name(path: Path) -> Path:
    """Return a temporary path in the same folder, with a name that is never too long if the path's own name is not."""
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
                f"{path} is a symbolic link, not a regular file. Replace it with the file itself.", path=path
            ) from None
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise RunFolderError(f"{path} is not a regular file. {_RESTORE}", path=path)
        yield descriptor
    finally:
        os.close(descriptor)
