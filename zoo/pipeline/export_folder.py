"""The folder that exports are written to: an export is complete or absent, and replaces only files of its own run."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from zoo.errors import RunFolderError, ZooError
from zoo.pipeline.exported import decode_metadata
from zoo.runs import record_io
from zoo.runs.export_files import record_path
from zoo.runs.exports import ExportFileRecord
from zoo.utils import files, locks
from zoo.utils.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoo.interfaces import Exporter

_PREFIX = ".export-"
_NEW = "new"
_ROOM = 16 << 20  # bytes that an exporter needs for anything but weights, at most
_FILE = re.compile(rb'"(\.[^"]*)": \{')  # in a record: what follows the stem of a file's name


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where an export of a run is written.

    Args:
        path: The file, or the folder of a format that has folders.
        suffix: Suffix of the format.
        exporter: The exporter of the format.
        exporter_name: Its qualified name.
        run: Id of the run.
    """

    path: Path
    suffix: str
    exporter: Exporter
    exporter_name: str
    run: str


@contextlib.contextmanager
def made_folder(folder: Path) -> Iterator[None]:
    """Create a folder and its parents. In the end, those that were created and are empty are removed."""
    with files.translate_os_errors("create", folder):
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        files.make_folder(folder)
        yield
    finally:
        with contextlib.suppress(OSError):
            for each in missing:
                each.rmdir()


@contextlib.contextmanager
def new_folder(target: Target) -> Iterator[Path]:
    """Create a temporary folder beside a target, and discard those of exports that were killed."""
    parent = target.path.parent
    with contextlib.ExitStack() as stack:
        with locks.locked(parent):
            _discard_abandoned(target)
            with files.translate_os_errors("write", parent):
                folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
                stack.callback(shutil.rmtree, folder, ignore_errors=True)
                (folder / _NEW).mkdir()
            stack.enter_context(locks.locked(folder))  # shows that this process is alive
        yield folder / _NEW


def _discard_abandoned(target: Target) -> None:
    """Remove what killed exports left in the folder, which is locked."""
    parent = target.path.parent
    files.discard_temporaries(parent, target.path.name)
    with contextlib.suppress(OSError):
        for each in parent.glob(f"{_PREFIX}*"):
            with locks.abandoned(each) as is_abandoned:
                if is_abandoned and set(os.listdir(each)) <= {locks.NAME, _NEW}:
                    files.remove(each)


@contextlib.contextmanager
def disk_errors(path: Path, weights: int) -> Iterator[None]:
    """Report a full or read-only disk as that, not as a fault of the exporter.

    Args:
        path: The export.
        weights: Bytes of the model's weights, which an exporter needs at least.
    """
    try:
        yield
    except ZooError:
        raise
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        full = _full_disk(path.parent, weights + _ROOM, is_full=number == errno.ENOSPC)
        if full is not None and number not in (errno.EDQUOT, errno.EROFS):
            cure = "choose another" if full == path.parent else "set TMPDIR to a folder on another disk"
            raise RunFolderError(
                f"Cannot write {path}: the disk of {full} is full or nearly full. Free some space or {cure}. "
                f"Received: {one_line(error)}",
                path=full,
            ) from error
        if number not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        with files.translate_os_errors("write", path):
            raise


def _full_disk(folder: Path, needed: int, *, is_full: bool) -> Path | None:
    """Return the folder for exports or for temporary files whose disk has less space than is needed, or None.

    If it is known that one is full, but both have space, it was the one for temporary files, which are gone by now.
    """
    with contextlib.suppress(OSError):
        if shutil.disk_usage(folder).free < needed:
            return folder
        temporary = Path(tempfile.gettempdir())
        if is_full or shutil.disk_usage(temporary).free < needed:
            return temporary
    return None


def check_replaceable(target: Target, new: Path | None = None) -> None:
    """Raise `RunFolderError` if an export would replace a file that is not of an earlier export of the same run.

    Which files are is known from the record beside it or, without one, from the metadata in the file. Their contents
    are not compared, so that a damaged export is replaced.

    Args:
        target: The export.
        new: Folder with what will be moved to its place; None if that is not yet known.
    """
    path, recorded = target.path, _recorded_files(target)
    is_own = recorded is not None or _names_run(target)
    if not is_own and os.path.lexists(path):
        missing = f"its record {record_path(path).name} is missing or empty"
        _refuse(target, path, f"is not known to be an export of this run, since {missing}")
    own = set(recorded or ())
    if is_own and (new or not recorded):
        own.update(_files_at(target, (new or path.parent) / path.name))
    for name in [path.name] if new is None else sorted(os.listdir(new)):
        for tail, file in _files_at(target, path.with_name(name)).items():
            if tail not in own:
                _refuse(target, file, "is not a file of an earlier export of this run")


def publish(new: Path, target: Target, record: ExportFileRecord) -> None:
    """Move what was written to its place; the record first, since it shows whose files the rest are.

    If this is interrupted, the digests in the record differ from those of the files, so that the files of two exports
    are never taken for one, and the next export of the run replaces them.
    """
    path = target.path
    with files.translate_os_errors("write", path):
        for written in new.rglob("*"):
            if written.is_file():
                with written.open("rb") as file:
                    os.fsync(file.fileno())
    with locks.locked(path.parent):
        check_replaceable(target, new)
        files.write_file(record_path(path), record_io.encode(record))
        with files.translate_os_errors("write", path):
            for written in sorted(new.iterdir()):
                place = path.with_name(written.name)
                if place.is_dir() and not place.is_symlink():
                    files.discard_folder(place)
                os.replace(written, place)
        files.sync_folder(path.parent)


def _recorded_files(target: Target) -> set[str] | None:
    """Return the files that the record beside an export lists, by what follows the stem; None if there is no record.

    A damaged record lists what can still be read of it.

    Raises:
        RunFolderError: It is not a record of this run.
    """
    beside = record_path(target.path)
    if not os.path.lexists(beside):
        return None
    data = files.read(beside, record_io.LIMIT)
    if not data:  # nothing is lost
        return None
    try:
        record = record_io.decode(data, ExportFileRecord, str(beside))
    except RunFolderError:
        of_record = (f'"exporter": "{target.exporter_name}"', f'"run": "{target.run}"')
        if all(text.encode() in data for text in of_record):
            return {name.decode(errors="replace") for name in _FILE.findall(data)}
        _refuse(target, beside, "is not the record of an export of this run")
    if record.export.run != target.run:
        existing = target.path if os.path.lexists(target.path) else beside
        _refuse(target, existing, f"is of another run ({record.export.run})")
    return set(record.files)


def _names_run(target: Target) -> bool:
    """Return whether the metadata in a file is that of an export of this run."""
    with contextlib.suppress(Exception):  # whatever it is, it is not an export of this run
        text = target.exporter.read_metadata(target.path) if target.path.exists() else None
        return text is not None and decode_metadata(text, target.path).run == target.run
    return False


def _files_at(target: Target, path: Path) -> dict[str, Path]:
    """Return the file at a path or the files in the folder there, by what follows the stem of the export's name."""
    if path.is_dir() and not path.is_symlink():
        found = [each for each in path.rglob("*") if each.is_symlink() or not each.is_dir()]
    else:
        found = [path] if os.path.lexists(path) else []
    stem = target.path.name[: -len(target.suffix)]
    return {each.relative_to(path.parent).as_posix().removeprefix(stem): each for each in found}


def _refuse(target: Target, path: Path, why: str) -> NoReturn:
    raise RunFolderError(
        f"{path} {why}, so it is not replaced. Remove or rename it, or choose another folder. "
        f"Received: out={str(target.path.parent)!r}",
        path=path,
    )
