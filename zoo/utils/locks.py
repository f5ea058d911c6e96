"""The lock on a run folder: only one process writes to it, and the lock is released when that process ends."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import platform
import stat
import time
import warnings
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from zoo.errors import RunFolderError, ZooWarning
from zoo.utils.files import translate_os_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = ".lock"

_PATIENCE = 0.5  # seconds: the holder may only be checking, or may not have written its name yet
_HELD: set[int] = set()  # descriptors whose locks a forked child would keep


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock on an existing folder.

    Raises:
        RunFolderError: Another process, or another run in this process, holds the lock (the message says which process,
            on which host and since when), or the lock cannot be created.
    """
    path = folder / NAME
    descriptor = _acquire(path)
    _HELD.add(descriptor)
    try:
        _write_holder(descriptor)
        yield
    finally:
        if descriptor in _HELD:  # False in a child process that was forked meanwhile
            _HELD.remove(descriptor)
            with contextlib.suppress(OSError):
                path.unlink()  # while the lock is held: the next process creates a new file
            os.close(descriptor)


@contextlib.contextmanager
def abandoned(folder: Path) -> Iterator[bool]:
    """Hold the lock on a folder if a killed process left it, and yield whether it did.

    It did not if the folder has no lock file, or if the file system cannot lock.
    """
    try:
        descriptor = os.open(folder / NAME, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_abandoned = True
    except OSError:
        is_abandoned = False
    try:
        yield is_abandoned
    finally:
        os.close(descriptor)


def check_free(folder: Path) -> None:
    """Raise `RunFolderError` if a folder's lock is held."""
    if os.path.lexists(folder / NAME):
        with locked(folder):
            pass


def _acquire(path: Path) -> int:
    """Return a descriptor of the lock file, locked."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        with translate_os_errors("lock", path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
        is_ours = False
        try:
            with translate_os_errors("lock", path):
                is_ours = _try_lock(descriptor, path)
            holder = "" if is_ours else _holder(descriptor)
        finally:
            if not is_ours:
                os.close(descriptor)
        if is_ours:
            return descriptor
        if time.monotonic() > deadline:
            raise RunFolderError(
                f"{path.parent} is in use by another run: {holder}. Wait for it, stop it, or choose another folder.",
                path=path,
            )
        time.sleep(0.02)


def _try_lock(descriptor: int, path: Path) -> bool:
    """Try to take the lock and return whether that succeeded."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise RunFolderError(f"Cannot lock {path}: it is not a regular file. Remove it.", path=path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise
        warnings.warn(
            f"The file system cannot lock {path.parent}. Make sure that no other run uses it.", ZooWarning, stacklevel=5
        )
        return True
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:  # the previous holder has just removed the file
        return False


def _write_holder(descriptor: int) -> None:
    """Write the holder of the lock to its file. If writing fails, the lock is held all the same."""
    holder = {
        "pid": os.getpid(),
        "host": platform.node(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)


def _holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 1000, 0))
        return f"process {holder['pid']:d} on {holder['host']!a} since {datetime.fromisoformat(holder['since'])}"
    except (OSError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError):
        return "unknown process"


def _close_in_child() -> None:
    for descriptor in _HELD:
        os.close(descriptor)
    _HELD.clear()


os.register_at_fork(after_in_child=_close_in_child)
