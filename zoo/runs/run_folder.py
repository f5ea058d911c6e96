"""The run folder: claimed once, read with care, what it holds by name. Needs no TensorFlow."""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import RunFolderError
from zoo.runs import record_io
from zoo.runs.records import Metrics, RunRecord
from zoo.utils import files, locks

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORD = "run.json"
MODEL = "model.safetensors"
HISTORY = "history.csv"
PREDICTIONS = "predictions.png"
TEST_PREDICTIONS = "test-predictions.safetensors"
CURVES = "curves.png"
CHECKPOINTS = "checkpoints"
_LOGS = (".err", ".log", ".out", ".txt")  # what a shell or a queue of jobs may have begun before the run
_OF_THE_DISK = "lost+found"


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run folder and what its ``run.json`` says.

    Args:
        path: The folder.
        record: Recipe, settings, environment, history, results.
        is_pretrained: Whether it ships with a recipe, so that nothing is written into its folder.
    """

    path: Path
    record: RunRecord = field(repr=False)
    is_pretrained: bool = False

    @property
    def validation_metrics(self) -> Metrics | None:
        """Validation metrics of the best epoch, None if the run has no validation split."""
        return self.record.validation

    @property
    def test_metrics(self) -> Metrics | None:
        """Test metrics, None before the run was tested."""
        return self.record.test


def new_id() -> str:
    """Return a name for a new run: local time and a short random part."""
    return f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def now() -> str:
    """Return the time in UTC as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def is_run(path: Path) -> bool:
    """Return whether a folder holds a run.

    Raises:
        RunFolderError: It cannot be looked into.
    """
    with files.translate_os_errors("read", path):
        try:
            os.lstat(path / RECORD)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True


def ensure_empty(path: Path) -> None:
    """Raise `RunFolderError` if a folder holds a run, or anything else but logs and hidden files, or is in use."""
    locks.check_free(path)
    _check_empty(path)


@contextlib.contextmanager
def lock_run_folder(path: Path) -> Iterator[None]:
    """Hold the lock on a run folder, made if need be; removed again if nothing was put into it.

    Raises:
        RunFolderError: It cannot be made, or another run holds it.
    """
    made = [folder for folder in (path, *path.parents) if not os.path.lexists(folder)]
    try:
        files.make_folder(path)
        with locks.locked(path):
            files.discard_temporaries(path)
            yield
    finally:
        for folder in made:
            with contextlib.suppress(OSError):  # it is not empty
                folder.rmdir()


def create(path: Path, record: RunRecord) -> Run:
    """Write the first ``run.json`` of a run into a folder that is locked.

    Raises:
        RunFolderError: It holds a run already, or something else, or cannot be written.
    """
    _check_empty(path)
    return update(Run(path=path, record=record), record)


def update(run: Run, record: RunRecord) -> Run:
    """Replace a run's ``run.json`` and return the run with the new record."""
    files.write_file(run.path / RECORD, record_io.encode(record))
    return Run(path=run.path, record=record)


def open_run(path: Path) -> Run:
    """Return the run in a folder.

    Raises:
        RunFolderError: There is none, or its ``run.json`` is not valid.
    """
    if not is_run(path):
        reason = (
            "it has no run.json" if path.is_dir() else "it is a file" if path.exists() else "there is no such folder"
        )
        raise RunFolderError(
            f"{path} is not a run folder: {reason}. Give the folder that `zoo run` or `zoo train` named. "
            f"Received: run={str(path)!r}",
            path=path,
        )
    source = path / RECORD
    return Run(path=path, record=record_io.decode(files.read(source, record_io.LIMIT), RunRecord, str(source)))


def find_runs(folder: str | Path) -> list[Path]:
    """Return the run folders in a folder and those below it, sorted, sound or not; the folder itself may be one.

    Symbolic links are not followed, hidden folders are left out, and so is what lies in a run folder.

    Raises:
        RunFolderError: There is no such folder, or it cannot be read.
    """
    top = Path(folder)
    with files.translate_os_errors("read", top):
        os.listdir(top)
    found = []
    for place, below, names in os.walk(top):  # what cannot be read below it is passed over
        if RECORD in names:
            found.append(Path(place))
            below.clear()
        below[:] = [name for name in below if not name.startswith(".")]
    return sorted(found)


def history_csv(record: RunRecord) -> bytes:
    """Return the history of a run as CSV: a line an epoch, empty fields where there was no validation."""
    lines = ["epoch,loss,accuracy,validation_loss,validation_accuracy,seconds"]
    for epoch in record.history:
        validation = [epoch.validation.loss, epoch.validation.accuracy] if epoch.validation else ["", ""]
        fields = [epoch.epoch, epoch.train.loss, epoch.train.accuracy, *validation, round(epoch.seconds, 3)]
        lines.append(",".join(map(str, fields)))
    return ("\n".join(lines) + "\n").encode()


def _check_empty(path: Path) -> None:
    for name in (RECORD, MODEL, HISTORY, PREDICTIONS, TEST_PREDICTIONS, CURVES, CHECKPOINTS):
        if os.path.lexists(path / name):
            raise RunFolderError(
                f"{path} already holds a run, which is never overwritten: choose another folder{_or_go_on(path)}. "
                f"Received: out={str(path)!r}, in which {name} exists",
                path=path,
            )
    with files.translate_os_errors("read", path):
        if others := _unexpected_entries(path):
            raise RunFolderError(
                f"{path} is not empty and holds no run, so a run would be mixed up with what is there: choose another "
                f"folder. Received: out={str(path)!r}, in which {others[0]!r} exists",
                path=path,
            )


def _unexpected_entries(path: Path) -> list[str]:
    """Return what a folder holds, sorted, but for logs and hidden files, like locks and what a killed writer left."""
    try:
        with os.scandir(path) as entries:
            return sorted(entry.name for entry in entries if not _is_passed_over(entry))
    except (FileNotFoundError, NotADirectoryError):  # it is made, or cannot be, when it is claimed
        return []


def _is_passed_over(entry: os.DirEntry[str]) -> bool:
    is_log = entry.name.endswith(_LOGS) and entry.is_file()
    return is_log or entry.name.startswith(".") or entry.name == _OF_THE_DISK


def _or_go_on(path: Path) -> str:
    try:
        status = open_run(path).record.status
    except RunFolderError:
        return ""
    return "" if status in ("trained", "tested") else f", or go on with it (zoo resume {shlex.quote(str(path))})"
