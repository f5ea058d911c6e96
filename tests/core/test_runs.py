"""The run folder: claimed once, never half written, read with care."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

import zoo
from tests.support.golden import Golden
from tests.support.sealing import seal
from zoo import Metrics, Run
from zoo.errors import RunFolderError
from zoo.runs import EpochRecord, RunRecord, record_io
from zoo.runs.run_folder import create, ensure_empty, history_csv, lock_run_folder, open_run
from zoo.utils import files


def test_record_survives_the_file_exactly(small_run: Run) -> None:
    read = open_run(small_run.path).record
    assert read == small_run.record
    assert record_io.encode(read) == (small_run.path / "run.json").read_bytes()


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A record of a plugin's own."""

    format: int
    text: str


def test_record_of_a_plugin_survives_its_file_and_a_change_is_seen(tmp_path: Path, golden: Golden) -> None:
    path = tmp_path / "note.json"
    zoo.runs.write_record(path, Note(format=1, text="first"))
    zoo.runs.write_record(path, Note(format=1, text="second"))
    assert zoo.runs.read_record(path, Note) == Note(format=1, text="second")
    assert list(tmp_path.iterdir()) == [path]
    path.write_bytes(path.read_bytes().replace(b"second", b"SECOND"))
    with golden.raises(RunFolderError, path=str(path)):
        zoo.runs.read_record(path, Note)
    with golden.raises(RunFolderError, path=str(tmp_path / "none.json")):
        zoo.runs.read_record(tmp_path / "none.json", Note)


def test_only_one_of_several_claims_a_folder(small_run: Run, tmp_path: Path, golden: Golden) -> None:
    barrier = threading.Barrier(8)

    def claim(_: int) -> RunFolderError | None:
        barrier.wait()
        try:
            with lock_run_folder(tmp_path / "run"):
                create(tmp_path / "run", small_run.record)
                time.sleep(1)
        except RunFolderError as error:
            return error
        return None

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(claim, range(8)))
    refusals = [answer for answer in answers if answer is not None]
    assert [error.path for error in refusals] == 7 * [str(tmp_path / "run" / ".lock")]
    (said,) = {str(error) for error in refusals}
    assert str(os.getpid()) in said
    assert platform.node() in said
    golden.says(said)
    assert os.listdir(tmp_path / "run") == ["run.json"]


def test_folder_that_cannot_be_made_leaves_none_above_it(tmp_path: Path, golden: Golden) -> None:
    path = tmp_path / "a" / ("n" * 300)
    with golden.raises(RunFolderError, path=str(path)), lock_run_folder(path):
        pass
    assert os.listdir(tmp_path) == []


def test_folder_made_for_nothing_is_removed(tmp_path: Path) -> None:
    with lock_run_folder(tmp_path / "a" / "b"):
        assert os.listdir(tmp_path / "a" / "b") == [".lock"]
    assert os.listdir(tmp_path) == []


def test_folder_sync_that_the_file_system_does_not_know_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def refuse_folders(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(22, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    files.write_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


@pytest.mark.parametrize(
    "name",
    ["run.json", "model.safetensors", "history.csv", "predictions.png", "curves.png", "test-predictions.safetensors"],
)
def test_folder_with_any_file_of_a_run_is_refused_and_unchanged(
    small_run: Run, tmp_path: Path, golden: Golden, name: str
) -> None:
    (tmp_path / name).write_text("mine")
    with golden.raises(RunFolderError, path=str(tmp_path)):
        create(tmp_path, small_run.record)
    assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_folder_with_other_files_is_refused_but_for_logs_and_hidden_ones(
    small_run: Run, tmp_path: Path, golden: Golden
) -> None:
    for name in ("photo.jpg", "run.log", "log.txt", ".gitignore"):
        (tmp_path / name).touch()
    with golden.raises(RunFolderError, path=str(tmp_path)):
        create(tmp_path, small_run.record)
    assert sorted(os.listdir(tmp_path)) == [".gitignore", "log.txt", "photo.jpg", "run.log"]
    (tmp_path / "photo.jpg").unlink()
    create(tmp_path, small_run.record)
    assert sorted(os.listdir(tmp_path)) == [".gitignore", "log.txt", "run.json", "run.log"]


def test_folder_with_logs_of_shells_and_queues_of_jobs_is_taken(small_run: Run, tmp_path: Path, golden: Golden) -> None:
    (tmp_path / "lost+found").mkdir()  # the top of a disk has one
    for name in ("nohup.out", "slurm-1.out", "job.err"):
        (tmp_path / name).touch()
    for name in ("data.txt", "job.log"):
        (tmp_path / name).mkdir()
        with golden.raises(RunFolderError, path=str(tmp_path)):
            ensure_empty(tmp_path)
        (tmp_path / name).rmdir()
    os.mkfifo(tmp_path / "job.log")
    with golden.raises(RunFolderError, path=str(tmp_path)):
        ensure_empty(tmp_path)
    (tmp_path / "job.log").unlink()
    ensure_empty(tmp_path)
    create(tmp_path, small_run.record)


@pytest.mark.parametrize(
    "path",
    [Path(), "", ".", "/", "a\0b", "a\0b/c"],
    ids=["empty-path", "empty", "here", "root", "null", "null-in-folder"],
)
def test_what_is_no_name_of_a_file_is_told(golden: Golden, path: str | Path) -> None:
    for write in (zoo.utils.check_writable, lambda path: zoo.utils.write_file(path, b"")):
        with golden.raises(RunFolderError, path=os.fspath(path)):
            write(path)


def test_longest_name_is_written_and_a_longer_one_refused(tmp_path: Path, golden: Golden) -> None:
    for name in ("n" * 250 + ".html", "\N{GREEK SMALL LETTER PI}" * 127):
        zoo.utils.check_writable(str(tmp_path / name))
        zoo.utils.write_file(str(tmp_path / name), b"new")
        assert (tmp_path / name).read_bytes() == b"new"
    written = sorted(os.listdir(tmp_path))
    for write in (zoo.utils.check_writable, lambda path: zoo.utils.write_file(path, b"")):
        with golden.raises(RunFolderError, path=str(tmp_path / ("n" * 256))):
            write(tmp_path / ("n" * 256))
    assert sorted(os.listdir(tmp_path)) == written


def test_folder_that_may_be_written_and_not_read_is_good_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_ = os.open

    def refuse_folders(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        if flags & os.O_DIRECTORY:  # which would stop no superuser
            raise PermissionError(13, "Permission denied")
        return open_(path, flags, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse_folders)
    zoo.utils.check_writable(tmp_path / "file")
    zoo.utils.write_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_failed_write_leaves_the_old_content_and_no_debris(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Golden
) -> None:
    target = tmp_path / "file"
    files.write_file(target, b"old")

    def fsync(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with golden.raises(RunFolderError, path=str(target)):
        files.write_file(target, b"new")
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_folder_that_cannot_be_made_is_named(tmp_path: Path, golden: Golden) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "run"
    with golden.raises(RunFolderError, path=str(path)), lock_run_folder(path):
        pass


def edited(record: RunRecord, **changes: Any) -> bytes:
    return seal({**msgspec.to_builtins(record), **changes})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", 2),
        ("format", "1"),
        ("surprise", 1),
        ("status", "perfect"),
        ("parameters", "many"),
        ("validation", {"loss": None, "accuracy": 1}),
        ("data", {}),
    ],
)
def test_malformed_record_is_refused(small_run: Run, tmp_path: Path, key: str, value: Any) -> None:
    (tmp_path / "run.json").write_bytes(edited(small_run.record, **{key: value}))
    with pytest.raises(RunFolderError) as raised:
        open_run(tmp_path)
    assert raised.value.path == str(tmp_path / "run.json")
    assert key in str(raised.value)  # not golden: most of it are words of msgspec


def test_key_that_is_there_twice_is_refused(small_run: Run, tmp_path: Path, golden: Golden) -> None:
    body = (
        record_io.encode(small_run.record).rpartition(b',\n  "sha256"')[0]
        + b',\n  "test": {"loss": 0.0, "accuracy": 1.0}'
    )
    seal = f',\n  "sha256": "{hashlib.sha256(body).hexdigest()}"\n}}\n'.encode()
    (tmp_path / "run.json").write_bytes(body + seal)
    with golden.raises(RunFolderError, path=str(tmp_path / "run.json")):
        open_run(tmp_path)


def test_changed_digit_is_seen(small_run: Run, tmp_path: Path, golden: Golden) -> None:
    content = (small_run.path / "run.json").read_text()
    accuracy = f'"accuracy": {small_run.record.test.accuracy}' if small_run.record.test else ""
    assert accuracy in content
    (tmp_path / "run.json").write_text(content.replace(accuracy, '"accuracy": 0.99'))
    with golden.raises(RunFolderError, path=str(tmp_path / "run.json")):
        open_run(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b"null"],
    ids=["empty", "cut-off", "list", "no-utf-8", "deep", "null"],
)
def test_what_is_no_record_is_refused(tmp_path: Path, golden: Golden, content: bytes) -> None:
    (tmp_path / "run.json").write_bytes(content)
    with golden.raises(RunFolderError, path=str(tmp_path / "run.json")):
        open_run(tmp_path)


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path, golden: Golden) -> None:
    os.mkfifo(tmp_path / "run.json")
    with golden.raises(RunFolderError, path=str(tmp_path / "run.json")):
        open_run(tmp_path)


def test_too_large_a_file_is_refused(tmp_path: Path, golden: Golden) -> None:
    (tmp_path / "big").write_bytes(b"x" * 11)
    with golden.raises(RunFolderError, path=str(tmp_path / "big")):
        files.read(tmp_path / "big", 10)


@pytest.mark.parametrize("folder", [".", "nowhere"])
def test_what_is_no_run_folder_is_named(tmp_path: Path, golden: Golden, folder: str) -> None:
    with golden.raises(RunFolderError, path=str(tmp_path / folder)):
        open_run(tmp_path / folder)


def test_history_as_csv(small_run: Run) -> None:
    epoch = EpochRecord(epoch=1, train=Metrics(loss=0.1, accuracy=0.9), validation=None, seconds=1.23456)
    record = msgspec.structs.replace(small_run.record, history=[epoch], best_epoch=1)
    assert history_csv(record).decode() == (
        "epoch,loss,accuracy,validation_loss,validation_accuracy,seconds\n1,0.1,0.9,,,1.235\n"
    )


def test_needs_neither_numpy_nor_a_backend() -> None:
    code = "import sys, zoo.runs.run_folder; assert not {'numpy', 'keras', 'tensorflow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["EACCES", "EEXIST", "EFBIG", "EIO", "EISDIR", "ENOENT", "ENOSPC", "ENOTDIR", "EROFS"])
def test_faults_of_the_system_are_told_with_their_cures(tmp_path: Path, golden: Golden, name: str) -> None:
    with golden.raises(RunFolderError, path=str(tmp_path)), files.translate_os_errors("write", tmp_path):
        raise OSError(getattr(errno, name), os.strerror(getattr(errno, name)))
