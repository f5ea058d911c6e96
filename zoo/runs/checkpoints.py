"""Checkpoints of a run: commit them atomically, and find the newest intact one. Does not need a backend.

A checkpoint is a folder ``checkpoints/<number>`` in the run folder. It is written under a temporary name, synced to
disk and renamed. The previous checkpoint is kept until the next one is committed.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from zoo.errors import RunFolderError, ZooError
from zoo.runs import record_io
from zoo.runs.records import CheckpointRecord, FileRecord
from zoo.runs.run_folder import CHECKPOINTS
from zoo.utils import files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from zoo.runs.run_folder import Run

MANIFEST = "manifest.json"
TRAINING = "training.safetensors"
BEST = "best.safetensors"

Used = TypeVar("Used")

_NUMBER = re.compile(r"\d{6,11}")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Everything that a run needs to resume as if it had not been stopped.

    Args:
        record: Position in the training, and the results so far.
        training: State of the training, as the bytes of a safetensors file.
        best: Weights of the best epoch so far, as the bytes of a safetensors file; None if no epoch is complete.
    """

    record: CheckpointRecord
    training: bytes
    best: bytes | None


class Checkpoints:
    """The checkpoints of one run.

    Args:
        run: The run folder, locked.
        run_id: Id of the run in its record. Checkpoints of another run are refused.
    """

    def __init__(self, run: Path, run_id: str) -> None:
        """Remove temporary files that a killed writer left behind.

        Raises:
            RunFolderError: ``checkpoints`` is not a folder.
        """
        self.run_id = run_id
        self.folder = run / CHECKPOINTS
        self._last: Path | None = None
        if _is_folder(self.folder):
            files.discard_temporaries(self.folder)

    def commit(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint. The previous one is kept; older ones are removed.

        Raises:
            RunFolderError: It cannot be written. Existing checkpoints are unchanged.
        """
        if not _is_folder(self.folder):
            with files.translate_os_errors("create", self.folder):
                self.folder.mkdir()  # without parents: a run folder that was removed is not created again
            files.sync_folder(self.folder.parent)
        numbers = numbers_in(self.folder.parent)
        path = self.folder / f"{(numbers[-1] if numbers else 0) + 1:06d}"
        content = {MANIFEST: record_io.encode(checkpoint.record), TRAINING: checkpoint.training}
        if checkpoint.best is not None:
            content[BEST] = checkpoint.best
        files.write_folder(path, content)
        for number in numbers:
            if (old := self.folder / f"{number:06d}") != self._last:
                files.discard_folder(old)
        self._last = path

    def newest(
        self, limits: tuple[int, int], use: Callable[[Checkpoint, str], Used], on_skip: Callable[[str], None]
    ) -> Used | None:
        """Return the result of ``use`` for the newest intact checkpoint, or None if there is no checkpoint.

        Args:
            limits: Maximum sizes in bytes of the training state and of the weights.
            use: Called with a checkpoint and its path. If it raises a `ZooError`, the checkpoint is not intact.
            on_skip: Called with a message for each newer checkpoint that is not intact.

        Raises:
            RunFolderError: There are checkpoints, but none of them is intact.
        """
        numbers = numbers_in(self.folder.parent)
        for number in reversed(numbers):
            path = self.folder / f"{number:06d}"
            try:
                used = use(_read(path, self.run_id, limits), str(path))
            except ZooError as error:
                on_skip(f"Checkpoint {path} is skipped: {error}")
                continue
            self._last = path
            return used
        if numbers:
            raise RunFolderError(
                f"No checkpoint in {self.folder} is intact. Restore one from a copy, or remove that folder to train "
                "from the start.",
                path=self.folder,
            )
        return None

    def discard(self) -> None:
        """Remove all checkpoints, and their folder if it contains nothing else."""
        for number in numbers_in(self.folder.parent):
            files.discard_folder(self.folder / f"{number:06d}")
        with contextlib.suppress(OSError):  # it contains other files, or was never created
            self.folder.rmdir()


def is_finished(run: Run) -> bool:
    """Return whether a run has reached its goal, with nothing left to do.

    Raises:
        RunFolderError: As for `numbers_in`.
    """
    if numbers_in(run.path):
        return False
    record = run.record
    return record.status in ("tested", "imported") or (record.goal == "trained" and record.status == "trained")


def numbers_in(run: Path) -> list[int]:
    """Return the numbers of the checkpoints in a run folder in ascending order, whether they are intact or not.

    Raises:
        RunFolderError: ``checkpoints`` is not a folder, or cannot be read.
    """
    folder = run / CHECKPOINTS
    if not _is_folder(folder):
        return []
    with files.translate_os_errors("read", folder):
        return sorted(int(name) for name in os.listdir(folder) if _is_number(name))


def describe(data: bytes) -> FileRecord:
    """Return the manifest record of a file with this content."""
    return FileRecord(size=len(data), sha256=files.sha256(data))


def _is_folder(path: Path) -> bool:
    with files.translate_os_errors("read", path):
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            return False
    if stat.S_ISLNK(status.st_mode):  # a link could lead anywhere
        raise RunFolderError(f"{path} is a symbolic link, not a folder. Replace it with the folder itself.", path=path)
    if not stat.S_ISDIR(status.st_mode):
        raise RunFolderError(f"{path} is not a folder. Remove it, or replace it with the folder.", path=path)
    return True


def _is_number(name: str) -> bool:
    return _NUMBER.fullmatch(name) is not None and name == f"{int(name):06d}"


def _read(path: Path, run_id: str, limits: tuple[int, int]) -> Checkpoint:
    with files.translate_os_errors("read", path):
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise RunFolderError("it is not a folder.")
    record = record_io.decode(files.read(path / MANIFEST, record_io.LIMIT), CheckpointRecord, str(path / MANIFEST))
    _check(record, run_id, str(path / MANIFEST))
    training_limit, best_limit = limits
    return Checkpoint(
        record=record,
        training=_content(path / TRAINING, record.training, training_limit),
        best=None if record.best is None else _content(path / BEST, record.best, best_limit),
    )


def _content(path: Path, record: FileRecord, limit: int) -> bytes:
    data = files.read(path, limit)
    if describe(data) != record:
        raise RunFolderError(f"{path} was changed or damaged after zoo wrote it: its digest differs.", path=path)
    return data


def _check(record: CheckpointRecord, run_id: str, source: str) -> None:
    """Raise `RunFolderError` unless a manifest belongs to this run and is consistent."""
    fault = None
    if record.run != run_id:
        fault = f"it belongs to another run, {record.run!r:.100}"
    elif len(record.history) != record.epoch:
        fault = "its history does not match its number of epochs"
    elif (record.best is None) != (record.best_epoch == 0):
        fault = "it has a best epoch without weights, or weights without a best epoch"
    elif record.stopped and (record.step or not record.epoch):
        fault = "it is marked as stopped, but not at the end of an epoch"
    if fault:
        raise RunFolderError(f"{source} cannot be used: {fault}.", path=source)
