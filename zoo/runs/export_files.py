"""Exported files on disk: the files of one export, their digests, and the record beside them.

An export has a path, such as ``models/net.xml``, and may consist of more files with the same stem, such as
``models/net.bin``, or of a folder. Its record, ``models/net.xml.json``, has a digest for each by what follows the stem,
so that an export can be renamed together with its record.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from zoo.errors import ArtifactError
from zoo.runs import record_io
from zoo.runs.exports import ExportFileRecord
from zoo.runs.records import FileRecord
from zoo.utils import files


def record_path(path: Path) -> Path:
    """Return the path of the record of an export."""
    return path.with_name(path.name + ".json")


def describe_files(path: Path, suffix: str) -> dict[str, FileRecord]:
    """Return the sizes and digests of the files of an export, by what follows its stem: ``{".xml": ..., ".bin": ...}``.

    Args:
        path: The export, in a folder of its own.
        suffix: Suffix of the format.
    """
    stem = str(path)[: -len(suffix)]
    found = sorted(each for each in path.parent.rglob("*") if each.is_file())
    return {
        str(each).removeprefix(stem): FileRecord(size=each.stat().st_size, sha256=files.sha256_of(each))
        for each in found
    }


def files_of(path: Path, suffix: str, record: ExportFileRecord) -> list[Path]:
    """Return the files of an export.

    Raises:
        ArtifactError: The record is not that of this export.
    """
    stem, names = path.name[: -len(suffix)], list(record.files)
    is_own = any(name == suffix or name.startswith(f"{suffix}/") for name in names)
    if not is_own or any(not name.startswith(".") or ".." in PurePosixPath(name).parts for name in names):
        raise ArtifactError(
            f"{record_path(path)} is not the record of {path.name}. Export the run again. "
            f"Received: files={names!r:.200}",
            path=record_path(path),
        )
    return [path.with_name(stem + name.partition("/")[0]) / name.partition("/")[2] for name in names]


def read_export_record(path: Path, suffix: str) -> ExportFileRecord | None:
    """Return the record beside an export, whose files have the recorded digests; None if there is no record.

    Raises:
        ArtifactError: A file is missing, or is not the one that was exported, or the record is of another export.
        RunFolderError: The record cannot be read, or is not valid.
    """
    beside = record_path(path)
    if not beside.exists():
        return None
    record = record_io.read_record(beside, ExportFileRecord)
    check_files(path, suffix, record)
    return record


def check_files(path: Path, suffix: str, record: ExportFileRecord) -> None:
    """Raise `ArtifactError` unless the files of an export are those of its record."""
    beside = record_path(path)
    for file, expected in zip(files_of(path, suffix, record), record.files.values(), strict=True):
        if not file.is_file():
            raise ArtifactError(
                f"{file} is missing: {path.name} needs it. Copy it too, or export the run again.", path=file
            )
        if file.stat().st_size != expected.size or files.sha256_of(file) != expected.sha256:
            raise ArtifactError(
                f"{file} is not what zoo exported: its digest differs from the one in {beside.name}. Restore it from a "
                "copy, or export the run again.",
                path=file,
            )
