"""Checkpoints of a run: committed whole, the newest sound one found again. Needs no TensorFlow.

A checkpoint is a folder ``checkpoints/<number>`` in the run folder. It is written under another name, brought to the
disk and renamed; the one before it stays until the next is there.
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
    """All that a run needs to go on as if it had not been stopped.

    Args:
        record: Where it was, and what it had come to.
        training: State of the training, as the bytes of a safetensors file.
        best: Weights of the best epoch so far, likewise; None if no epoch was done.
    """

    record: CheckpointRecord
    training: bytes
    best: bytes | None


class Checkpoints:
    """The checkpoints of one run.

    Args:
        run: The run folder, locked.
        run_id: What the run is called in its record: a checkpoint of another run is not taken.
    """

    def __init__(self, run: Path, run_id: str) -> None:
        """Remove what a writer that was killed has left.

        Raises:
            RunFolderError: Something else is in the place of their folder.
        """
        self.run_id = run_id
        self.folder = run / CHECKPOINTS
        self._last: Path | None = None
        if _is_folder(self.folder):
            files.discard_temporaries(self.folder)

    def commit(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint; the one before it stays, older ones go.

        Raises:
            RunFolderError: It cannot be written; those that are there are untouched.
        """
        if not _is_folder(self.folder):
            with files.translate_os_errors("make", self.folder):
                self.folder.mkdir()  # not those above it: a run folder that is gone is not made again
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
        """Return what is made of the newest checkpoint that is sound, None if there is none at all.

        Args:
            limits: The most bytes that the state of the training and the weights can have.
            use: Makes it, of a checkpoint and what to call it; one of which it raises a `ZooError` is not sound.
            on_skip: Is told, in a sentence, of each newer one that is not sound.

        Raises:
            RunFolderError: There are checkpoints, and none of them is sound.
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
                f"No checkpoint in {self.folder} is sound. Restore one from a copy, or remove that folder to train "
                "from the start.",
                path=self.folder,
            )
        return None

    def discard(self) -> None:
        """Remove all checkpoints, with their folder if nothing else is in it."""
        for number in numbers_in(self.folder.parent):
            files.discard_folder(self.folder / f"{number:06d}")
        with contextlib.suppress(OSError):  # something of somebody else's is in it, or it was never made
            self.folder.rmdir()


def is_finished(run: Run) -> bool:
    """Return whether nothing is left to do for a run to come to the end that it was started for.

    Raises:
        RunFolderError: As for `numbers_in`.
    """
    if numbers_in(run.path):
        return False
    record = run.record
    return record.status == "tested" or (record.goal == "trained" and record.status == "trained")


def numbers_in(run: Path) -> list[int]:
    """Return the numbers of the checkpoints in a run folder, sound or not, in order.

    Raises:
        RunFolderError: Something else is in the place of their folder.
    """
    folder = run / CHECKPOINTS
    if not _is_folder(folder):
        return []
    with files.translate_os_errors("read", folder):
        return sorted(int(name) for name in os.listdir(folder) if _is_number(name))


def describe(data: bytes) -> FileRecord:
    """Return what a manifest says of a file."""
    return FileRecord(size=len(data), sha256=files.sha256(data))


def _is_folder(path: Path) -> bool:
    with files.translate_os_errors("read", path):
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            return False
    if stat.S_ISLNK(status.st_mode):  # which could lead anywhere
        raise RunFolderError(f"{path} is a symbolic link, not a folder. Put the folder itself there.", path=path)
    if not stat.S_ISDIR(status.st_mode):
        raise RunFolderError(f"{path} is not a folder. Remove it, or put the folder itself there.", path=path)
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
        raise RunFolderError(f"{path} is not as zoo wrote it: its digest is another.", path=path)
    return data


def _check(record: CheckpointRecord, run_id: str, source: str) -> None:
    """Raise `RunFolderError` unless a manifest is of this run and agrees with itself."""
    fault = None
    if record.run != run_id:
        fault = f"it belongs to another run, {record.run!r:.100}"
    elif len(record.history) != record.epoch or any(e.epoch != n for n, e in enumerate(record.history, start=1)):
        fault = "its history does not have the epochs that it counts"
    elif record.best_epoch > record.epoch or (record.best_epoch == 0) != (record.epoch == 0):
        fault = "its best epoch is none of those in its history"
    elif (record.best is None) != (record.best_epoch == 0):
        fault = "it has a best epoch without weights, or weights without one"
    elif record.stopped and (record.step or not record.epoch):
        fault = "it was to stop, and not after an epoch"
    if fault:
        raise RunFolderError(f"{source} cannot be used: {fault}.", path=source)
