"""The run folder: its file names, creating it once, and reading it safely. Does not need a backend."""

from __future__ import annotations

import contextlib
import csv
import errno
import io
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
_LOGS = (".err", ".log", ".out", ".txt")  # a shell or a job queue may create these before the run starts
_OF_THE_DISK = "lost+found"


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run folder and the content of its ``run.json``.

    Args:
        path: The folder.
        record: Recipe, settings, environment, history, results.
        is_pretrained: Whether it ships with a recipe; then nothing is written to its folder.
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
        """Test metrics, None if the run has not been tested."""
        return self.record.test


def new_id() -> str:
    """Return an id for a new run: local time and a short random suffix."""
    return f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def now() -> str:
    """Return the current time in UTC, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def is_run(path: Path) -> bool:
    """Return whether a folder contains a run.

    Raises:
        RunFolderError: The folder cannot be read.
    """
    with files.translate_os_errors("read", path):
        try:
            os.lstat(path / RECORD)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True


def ensure_empty(path: Path) -> None:
    """Raise `RunFolderError` if a folder cannot be created, is in use, or has a run or other files than logs.

    Nothing is created. Hidden files are no obstacle.
    """
    with files.translate_os_errors("create", path):
        nearest = next(folder for folder in (path, *path.parents) if os.path.lexists(folder) or folder == folder.parent)
        if not nearest.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if nearest != path and not os.access(nearest, os.W_OK | os.X_OK):
            number = errno.EROFS if os.statvfs(nearest).f_flag & os.ST_RDONLY else errno.EACCES
            raise OSError(number, os.strerror(number))
    locks.check_free(path)
    _check_empty(path)


@contextlib.contextmanager
def lock_run_folder(path: Path) -> Iterator[None]:
    """Hold the lock on a run folder. Create the folder if needed, and remove it again if it stays empty.

    Raises:
        RunFolderError: The folder cannot be created, or another run holds the lock.
    """
    made = [folder for folder in (path, *path.parents) if not os.path.lexists(folder)]
    try:
        files.make_folder(path)
        with locks.locked(path):
            files.discard_temporaries(path)
            yield
    finally:
        for folder in made:
            with contextlib.suppress(OSError):  # not empty
                folder.rmdir()


def create(path: Path, record: RunRecord) -> Run:
    """Write the first ``run.json`` of a run to a locked folder.

    Raises:
        RunFolderError: The folder already contains a run or something else, or cannot be written.
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
        RunFolderError: The folder contains no run, or its ``run.json`` is invalid.
    """
    if not is_run(path):
        reason = (
            "it has no run.json" if path.is_dir() else "it is a file" if path.exists() else "there is no such folder"
        )
        raise RunFolderError(
            f"{path} is not a run folder: {reason}. Pass a folder that `zoo run` or `zoo train` created. "
            f"Received: run={str(path)!r}",
            path=path,
        )
    source = path / RECORD
    return Run(path=path, record=record_io.decode(files.read(source, record_io.LIMIT), RunRecord, str(source)))


def find_runs(folder: str | Path) -> list[Path]:
    """Return all run folders at or below a folder, sorted, whether their records are valid or not.

    Symbolic links are not followed. Hidden folders and the contents of run folders are skipped.

    Raises:
        RunFolderError: The folder does not exist or cannot be read.
    """
    top = Path(folder)
    with files.translate_os_errors("read", top):
        os.listdir(top)
    found = []
    for place, below, names in os.walk(top):  # unreadable folders below it are skipped
        if RECORD in names or RECORD in below:  # a record that is a folder is damaged
            found.append(Path(place))
            below.clear()
        below[:] = [name for name in below if not name.startswith(".")]
    return sorted(found)


def history_csv(record: RunRecord) -> bytes:
    """Return the history of a run as CSV: one line per epoch, with empty fields if there is no validation.

    Registered metrics follow as ``validation_<name>``, and then what callbacks added to the logs.
    """
    rows = []
    for epoch in record.history:
        validation = epoch.validation
        row: dict[str, object] = {"epoch": epoch.epoch, "loss": epoch.train.loss, "accuracy": epoch.train.accuracy}
        row |= {
            "validation_loss": validation.loss if validation else "",
            "validation_accuracy": validation.accuracy if validation else "",
            "seconds": round(epoch.seconds, 3),
        }
        row |= {f"validation_{name}": value for name, value in (validation.others if validation else {}).items()}
        rows.append(row | {f"logs_{name}" if name in row else name: value for name, value in epoch.logs.items()})
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _check_empty(path: Path) -> None:
    for name in (RECORD, MODEL, HISTORY, PREDICTIONS, TEST_PREDICTIONS, CURVES, CHECKPOINTS):
        if os.path.lexists(path / name):
            raise RunFolderError(
                f"{path} already holds a run, which is never overwritten. Choose another folder{_or_go_on(path)}. "
                f"Received: out={str(path)!r}, which contains {name}",
                path=path,
            )
    with files.translate_os_errors("read", path):
        if others := _unexpected_entries(path):
            raise RunFolderError(
                f"{path} contains files that do not belong to a run. Choose an empty or new folder. "
                f"Received: out={str(path)!r}, which contains {others[0]!r}",
                path=path,
            )


def _unexpected_entries(path: Path) -> list[str]:
    """Return the entries of a folder, sorted, except logs and hidden files (locks, a killed writer's files)."""
    try:
        with os.scandir(path) as entries:
            return sorted(entry.name for entry in entries if not _is_passed_over(entry))
    except (FileNotFoundError, NotADirectoryError):  # creating it comes later, and may fail then
        return []


def _is_passed_over(entry: os.DirEntry[str]) -> bool:
    is_log = entry.name.endswith(_LOGS) and entry.is_file()
    return is_log or entry.name.startswith(".") or entry.name == _OF_THE_DISK


def _or_go_on(path: Path) -> str:
    try:
        status = open_run(path).record.status
    except RunFolderError:
        return ""
    return (
        ""
        if status in ("trained", "tested", "imported")
        else f", or resume that run with `zoo resume {shlex.quote(str(path))}`"
    )
