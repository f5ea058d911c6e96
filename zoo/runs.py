"""The run folder: claimed once, each file written whole or not at all, read with care. Needs no TensorFlow."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from zoo.errors import RunFolderError
from zoo.records import Metrics, RunRecord, decode_record, encode_record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RECORD = "run.json"
MODEL = "model.safetensors"
HISTORY = "history.csv"
PREDICTIONS = "predictions.png"
CURVES = "curves.png"

_RECORD_LIMIT = 16 << 20
_RESTORE = "Restore it from a copy, or train again."
_NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS)  # what file systems without them answer


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run folder and what its ``run.json`` says.

    Args:
        path: The folder.
        record: Recipe, settings, environment, history, results.
    """

    path: Path
    record: RunRecord = field(repr=False)

    @property
    def validation(self) -> Metrics | None:
        """Validation metrics of the best epoch, None if the run has no validation split."""
        return self.record.validation

    @property
    def test(self) -> Metrics | None:
        """Test metrics, None before the run was tested."""
        return self.record.test


def new_id() -> str:
    """Return a name for a new run: local time and a short random part."""
    return f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def now() -> str:
    """Return the time in UTC as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def check_unused(path: Path) -> None:
    """Raise `RunFolderError` if a folder holds a run, or anything that a run would write."""
    for name in (RECORD, MODEL, HISTORY, PREDICTIONS, CURVES):
        if os.path.lexists(path / name):
            raise RunFolderError(
                f"{path} already holds a run, which is never overwritten: choose another folder. "
                f"Received: out={str(path)!r}, in which {name} exists"
            )


def create(path: Path, record: RunRecord) -> Run:
    """Make a run folder and claim it: of several that try, one succeeds.

    Raises:
        RunFolderError: It holds a run already, or cannot be made or written.
    """
    with _reporting("make", path):
        path.mkdir(parents=True, exist_ok=True)
    check_unused(path)
    target = path / RECORD
    temporary = _write_temporary(target, encode_record(record))
    try:
        with _reporting("write", target):
            os.link(temporary, target)  # unlike a rename, fails where the target exists
    except RunFolderError as error:
        if isinstance(error.__cause__, FileExistsError):
            check_unused(path)
        if getattr(error.__cause__, "errno", None) not in _NO_HARD_LINKS:
            raise
        _claim_by_rename(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path)
    return Run(path=path, record=record)


def update(run: Run, record: RunRecord) -> Run:
    """Replace a run's ``run.json`` and return the run with the new record."""
    write(run.path / RECORD, encode_record(record))
    return Run(path=run.path, record=record)


def write(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old content, or all of the new, also after a crash.

    Raises:
        RunFolderError: It cannot be written; what was there before is untouched.
    """
    temporary = _write_temporary(path, data)
    try:
        with _reporting("write", path):
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def read(path: Path, limit: int) -> bytes:
    """Return the content of a regular file of at most ``limit`` bytes.

    Raises:
        RunFolderError: It is missing, unreadable, too large or not a regular file.
    """
    with _reporting("read", path):
        # without O_NONBLOCK, opening a FIFO would wait for a writer
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise RunFolderError(f"{path} is not a regular file. {_RESTORE}")
            if status.st_size > limit:
                raise RunFolderError(
                    f"{path} has {status.st_size} bytes, more than the {limit} that it can need. {_RESTORE}"
                )
            return file.read(limit)


def open_run(path: Path) -> Run:
    """Return the run in a folder.

    Raises:
        RunFolderError: There is none, or its ``run.json`` is not valid.
    """
    if not os.path.lexists(path / RECORD):
        reason = (
            "it has no run.json" if path.is_dir() else "it is a file" if path.exists() else "there is no such folder"
        )
        raise RunFolderError(
            f"{path} is not a run folder: {reason}. Give the folder that `zoo run` or `zoo train` named. "
            f"Received: run={str(path)!r}"
        )
    source = path / RECORD
    return Run(path=path, record=decode_record(read(source, _RECORD_LIMIT), str(source)))


def history_csv(record: RunRecord) -> bytes:
    """Return the history of a run as CSV: a line an epoch, empty fields where there was no validation."""
    lines = ["epoch,loss,accuracy,validation_loss,validation_accuracy,seconds"]
    for epoch in record.history:
        validation = [epoch.validation.loss, epoch.validation.accuracy] if epoch.validation else ["", ""]
        fields = [epoch.epoch, epoch.train.loss, epoch.train.accuracy, *validation, round(epoch.seconds, 3)]
        lines.append(",".join(map(str, fields)))
    return ("\n".join(lines) + "\n").encode()


def _write_temporary(path: Path, data: bytes) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with _reporting("write", path), open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    return temporary


def _claim_by_rename(temporary: Path, target: Path) -> None:
    """Rename where there are no hard links; the one that makes the lock file may."""
    lock = target.with_name(f".{target.name}.lock")
    with _reporting("write", target):
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError as error:
            raise RunFolderError(f"{target.parent} is being claimed by another run: choose another folder.") from error
        os.rename(temporary, target)
        lock.unlink()


def _sync_folder(path: Path) -> None:
    with _reporting("write", path):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that cannot is not a failure
                raise
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _reporting(verb: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        cause = error.strerror or str(error)
        cure = {
            errno.ENOSPC: "free some space or choose another disk",
            errno.EDQUOT: "free some space or choose another disk",
            errno.EACCES: "choose a folder that you may use",
            errno.EPERM: "choose a folder that you may use",
            errno.EROFS: "choose a folder that can be written",
            errno.EEXIST: "a file is in its place, choose another name",
            errno.ENOTDIR: "a file is in its place, choose another name",
            errno.ENAMETOOLONG: "choose a shorter name",
        }.get(error.errno or 0)
        raise RunFolderError(f"Cannot {verb} {path}: {cause}{'; ' + cure if cure else ''}.") from error
