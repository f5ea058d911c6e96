"""Real faults of disks under the command line: full, limited, read-only, forbidden, failing. What is there stays."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.command_line import Zoo
from tests.support.golden import Golden
from zoo import Run
from zoo.runs.checkpoints import Checkpoint, Checkpoints
from zoo.runs.run_folder import open_run

pytestmark = pytest.mark.usefixtures("pictures")  # they need room too

ROOT = Path(__file__).parents[2]
EPOCHS = 8
# root without the right to pass over permissions: refused as any owner of a folder would be, and can read this Python
REFUSABLE = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]


def small_zoo(*arguments: str | Path, prefix: tuple[str, ...] = (), code: str = "") -> subprocess.Popen[str]:
    """Start the command line with the small recipe in a process of its own.

    Args:
        arguments: What follows ``zoo``.
        prefix: A program that starts it.
        code: What the process does first.
    """
    start = f"{code}\nimport runpy; runpy.run_module('tests.support.small_zoo', run_name='__main__')"
    program = ["-c", start] if code else ["-m", "tests.support.small_zoo"]
    command = [*prefix, sys.executable, *program, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end_of(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Return how a process ended: its status, and what it said."""
    try:
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    return process.returncode, out, err


def check_refused(status: int, err: str, number: int, path: Path) -> None:
    """Check that a call ended with an error of ours: a line that names what it happened to, the cause, and a cure."""
    assert status == 1, err
    assert len(err.splitlines()) == 1, err
    assert err.startswith("Error: ")
    assert str(path) in err
    _, cause, cure = err.partition(os.strerror(number))
    assert cause, err
    assert len(cure.split()) > 2, err


def newest(folder: Path) -> Checkpoint:
    """Return the newest checkpoint of a run, none of which may be damaged."""
    skipped: list[str] = []
    found = Checkpoints(folder, open_run(folder).record.id).newest((1 << 20, 1 << 20), lambda it, _: it, skipped.append)
    assert skipped == []
    assert found is not None
    return found


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def digest(folder: Path) -> str | None:
    return open_run(folder).record.model_sha256


@dataclass(frozen=True)
class Disk:
    """A small disk of its own."""

    path: Path

    def fill(self) -> None:
        """Take all the space that is left."""
        for size in (1 << 16, 1 << 12, 1):  # the last page, too
            with open(self.path / f"filler {size}", "ab", buffering=0) as file:
                try:
                    while file.write(b"x" * size):
                        pass
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def free(self) -> None:
        for filler in self.path.glob("filler *"):
            filler.unlink()

    def forbid_writing(self) -> None:
        command = ["mount", "-o", "remount,ro", str(self.path)]
        subprocess.run(command, check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=0755", "zoo-test", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if done.returncode:
        pytest.skip(f"mounting is not allowed: {done.stderr.strip()}")
    try:
        yield Disk(path)
    finally:
        command = ["umount", "--lazy", str(path)]
        subprocess.run(command, check=True)


@pytest.mark.slow
def test_disk_that_fills_costs_no_checkpoint_and_no_other_run(
    tmp_path: Path, disk: Disk, small_run: Run, run_zoo: Zoo
) -> None:
    other, path = disk.path / "other", disk.path / "run"
    shutil.copytree(small_run.path, other)
    before = content(other)
    process = small_zoo("train", "small", "--epochs", str(EPOCHS), "--out", path, "--quiet")
    try:
        while process.poll() is None:
            if (path / "checkpoints" / "000001").is_dir():
                disk.fill()  # again and again: older checkpoints make room when they go
            time.sleep(0.01)
    finally:
        status, _, err = end_of(process)
    check_refused(status, err, errno.ENOSPC, path)
    kept = newest(path).record.epoch
    assert 1 <= kept < EPOCHS
    disk.free()
    resumed = run_zoo("resume", path, "--quiet")
    assert (resumed.status, resumed.err) == (0, "")
    assert run_zoo("train", "small", "--epochs", str(EPOCHS), "--out", tmp_path / "whole", "--quiet").status == 0
    assert digest(path) == digest(tmp_path / "whole")
    assert content(other) == before
    assert sorted(os.listdir(path)) == ["curves.png", "history.csv", "model.safetensors", "run.json"]


def test_full_disk_is_told_before_anything_is_lost(disk: Disk, run_zoo: Zoo) -> None:
    disk.fill()
    done = run_zoo("run", "small", "--out", disk.path / "run", "--quiet")
    check_refused(done.status, done.err, errno.ENOSPC, disk.path / "run")


@pytest.mark.slow
def test_file_larger_than_the_limit_is_told(golden: Golden, tmp_path: Path) -> None:
    path = tmp_path / "run"
    limited = ("/bin/sh", "-c", 'ulimit -f 64; exec "$@"', "sh")  # of 512 bytes: the state of the training has 40 KB
    status, _, err = end_of(small_zoo("run", "small", "--out", path, "--quiet", prefix=limited))
    check_refused(status, err, errno.EFBIG, path / "checkpoints" / "000001")
    golden.says(err)
    assert os.listdir(path / "checkpoints") == []
    assert open_run(path).record.status == "failed"


@pytest.mark.full
def test_run_that_was_limited_goes_on_without_the_limit(tmp_path: Path, small_run: Run) -> None:
    path = tmp_path / "run"
    limited = ("/bin/sh", "-c", 'ulimit -f 64; exec "$@"', "sh")
    assert end_of(small_zoo("run", "small", "--out", path, "--quiet", prefix=limited))[0] == 1
    status, _, err = end_of(small_zoo("resume", path, "--quiet"))
    assert (status, err) == (0, "")
    assert digest(path) == small_run.record.model_sha256


def test_read_only_disk_is_named(disk: Disk, run_zoo: Zoo) -> None:
    disk.forbid_writing()
    done = run_zoo("run", "small", "--out", disk.path / "run", "--quiet")
    check_refused(done.status, done.err, errno.EROFS, disk.path)


def test_finished_run_on_a_read_only_disk_is_tested_and_shown(disk: Disk, run_zoo: Zoo, small_run: Run) -> None:
    path = disk.path / "run"
    shutil.copytree(small_run.path, path)
    before = content(path)
    disk.forbid_writing()
    tested = run_zoo("test", path, "--json", "--quiet")
    assert (tested.status, tested.err) == (0, "")
    assert small_run.test_metrics is not None
    assert json.loads(tested.out)["test"] == {
        "loss": small_run.test_metrics.loss,
        "accuracy": small_run.test_metrics.accuracy,
    }
    assert run_zoo("resume", path, "--quiet").status == 0
    assert content(path) == before


def end_in_folder_of_mode(mode: int, folder: Path, inner: str) -> tuple[int, str]:
    """Start a run in a folder with such permissions; return its status and what it said."""
    prefix = tuple(REFUSABLE) if os.geteuid() == 0 else ()
    if prefix and shutil.which(prefix[0]) is None:
        pytest.skip("there is no setpriv, and root may write anywhere")
    folder.mkdir(mode=mode)
    try:
        status, _, err = end_of(small_zoo("run", "small", "--out", folder / inner, "--quiet", prefix=prefix))
    finally:
        folder.chmod(0o755)
    assert os.listdir(folder) == []
    return status, err


@pytest.mark.parametrize(
    ("mode", "inner"),
    [
        (0o555, "run"),
        pytest.param(0o555, ".", marks=pytest.mark.full),
        pytest.param(0o000, ".", marks=pytest.mark.full),
    ],
)
def test_folder_without_permission_is_named(tmp_path: Path, mode: int, inner: str) -> None:
    status, err = end_in_folder_of_mode(mode, tmp_path / "closed", inner)
    check_refused(status, err, errno.EACCES, tmp_path / "closed")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("training.safetensors", errno.EIO),
        ("checkpoints", errno.EIO),
        pytest.param("manifest.json", errno.EIO, marks=pytest.mark.full),
        pytest.param("best.safetensors", errno.EIO, marks=pytest.mark.full),
        pytest.param("training.safetensors", errno.EDQUOT, marks=pytest.mark.full),
    ],
)
def test_disk_that_fails_to_keep_costs_no_checkpoint(
    tmp_path: Path, run_zoo: Zoo, small_run: Run, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    path, fsync, seen = tmp_path / "run", os.fsync, 0

    def fail_the_second_time(descriptor: int) -> None:
        nonlocal seen
        seen += Path(os.readlink(f"/proc/self/fd/{descriptor}")).name == name
        if seen == 2:
            seen += 1
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail_the_second_time)
    done = run_zoo("run", "small", "--out", path, "--quiet")
    check_refused(done.status, done.err, number, path / "checkpoints")
    kept = newest(path).record.epoch
    # the new one has its name when the folder is brought to the disk
    assert kept == (2 if name == "checkpoints" else 1)
    assert open_run(path).record.status == "failed"
    assert run_zoo("resume", path, "--quiet").status == 0
    assert digest(path) == small_run.record.model_sha256


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        ".run.json",
        pytest.param(".model.safetensors", marks=pytest.mark.full),
        pytest.param(".history.csv", marks=pytest.mark.full),
    ],
)
def test_disk_that_fails_later_costs_no_checkpoint(
    tmp_path: Path, run_zoo: Zoo, small_run: Run, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path, fsync = tmp_path / "run", os.fsync

    def fail(descriptor: int) -> None:
        file = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if file.name.startswith(name) and (path / "checkpoints" / "000002").exists():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        done = run_zoo("run", "small", "--out", path, "--quiet")
    check_refused(done.status, done.err, errno.EIO, path / name.removeprefix("."))
    assert newest(path).record.epoch == 2
    assert run_zoo("resume", path, "--quiet").status == 0
    assert digest(path) == small_run.record.model_sha256


@pytest.mark.slow
def test_runs_without_a_folder_for_temporary_files(
    tmp_path: Path, run_zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:  # pytest needs one again at the end
        patch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
        done = run_zoo("run", "small", "--epochs", "1", "--out", tmp_path / "run", "--quiet")
    assert (done.status, done.err) == (0, "")


@pytest.mark.full
@pytest.mark.parametrize("how", ["full", "read only"])
def test_process_runs_without_room_for_temporary_files(tmp_path: Path, disk: Disk, how: str) -> None:
    if how == "full":
        disk.fill()
    else:
        disk.forbid_writing()
    code = f"import os, tempfile; tempfile.tempdir = os.environ['TMPDIR'] = {str(disk.path)!r}"
    arguments = ("run", "small", "--epochs", "1", "--out", tmp_path / "run", "--quiet")
    status, _, err = end_of(small_zoo(*arguments, code=code))
    assert (status, err) == (0, "")
