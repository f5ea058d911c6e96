"""What an export replaces, what it leaves when it fails or is killed, and what is reported of several formats."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

import zoo
from tests.support.command_line import Zoo
from tests.support.golden import Golden
from tests.support.small_recipe import make_registry
from zoo import Entry, Exporter, Registry, Run
from zoo.errors import ExportError, PluginError, RunFolderError, SettingError
from zoo.runs import ExportFileRecord, read_record, write_record
from zoo.utils import locks


class One(Exporter):
    """One file, with metadata; the model itself answers."""

    model: Any = None

    def export(self, model: Any, path: Path, metadata: str, calibration: Any) -> None:
        One.model = model
        path.write_text(metadata)

    def read_metadata(self, path: Path) -> str | None:
        return path.read_text()

    def open(self, path: Path, threads: int | None = None) -> Any:
        return lambda images: np.asarray(One.model(images))


class Two(One):
    """Two files, without metadata."""

    def export(self, model: Any, path: Path, metadata: str, calibration: Any) -> None:
        One.model = model
        path.write_text("graph")
        path.with_suffix(".weights").write_text("weights")

    def read_metadata(self, path: Path) -> str | None:
        return None


class Many(One):
    """A folder, with metadata."""

    def export(self, model: Any, path: Path, metadata: str, calibration: Any) -> None:
        One.model = model
        (path / "inner").mkdir(parents=True)
        (path / "metadata").write_text(metadata)
        (path / "inner" / "weights").write_text("weights")

    def read_metadata(self, path: Path) -> str | None:
        return (path / "metadata").read_text()


class Bad(One):
    """Fails."""

    fault: Exception = RuntimeError("iostream error")

    def export(self, model: Any, path: Path, metadata: str, calibration: Any) -> None:
        path.write_text("half")
        raise self.fault


class Killed(One):
    """Is killed while it exports."""

    def export(self, model: Any, path: Path, metadata: str, calibration: Any) -> None:
        path.write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)


def add_exporters(registry: Registry) -> Registry:
    for kind in (One, Two, Many, Bad, Killed):
        name = kind.__name__.lower()
        registry.exporters.add(Entry(name=name, target=kind, suffix=f".{name}", summary="For tests."), plugin="toys")
    return registry


@pytest.fixture
def registry() -> Registry:
    return add_exporters(make_registry())


@pytest.fixture
def other(small_run: Run, tmp_path: Path) -> Run:
    """Another run of the same recipe."""
    folder = shutil.copytree(small_run.path, tmp_path / "other")
    write_record(folder / "run.json", msgspec.structs.replace(small_run.record, id="other"))
    return zoo.open_run(folder)


def content(folder: Path) -> dict[str, bytes]:
    return {
        each.relative_to(folder).as_posix(): each.read_bytes() for each in sorted(folder.rglob("*")) if each.is_file()
    }


RECORD = {"one": "small.one.json", "two": "small.two.json", "many": "small.many.json"}
FORMATS = list(RECORD)

# --- files that are not the export's own

FOREIGN: dict[str, tuple[str, dict[str, str]]] = {
    "file": ("one", {"small.one": "mine"}),
    "file with JSON": ("one", {"small.one": "mine", "small.one.json": '{"mine": 1}'}),
    "file with an empty record": ("one", {"small.one": "mine", "small.one.json": ""}),
    "JSON alone": ("one", {"small.one.json": '{"mine": 1}'}),
    "JSON alone beside two files": ("two", {"small.two.json": '{"mine": 1}'}),
    "second file": ("two", {"small.weights": "mine"}),
    "folder for the second file": ("two", {"small.weights/thesis.txt": "mine"}),
    "folder": ("many", {"small.many/thesis.txt": "mine"}),
    "folder with JSON": ("many", {"small.many/thesis.txt": "mine", "small.many.json": "[]"}),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files_are_not_replaced(
    small_run: Run, tmp_path: Path, registry: Registry, name: str, golden: Golden
) -> None:
    format_, foreign = FOREIGN[name]
    for path, text in foreign.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    before = content(tmp_path)
    with pytest.raises(RunFolderError) as caught:
        zoo.export(small_run, format_, out=tmp_path, registry=registry)
    found = Path(str(caught.value.path)).relative_to(tmp_path)
    assert any(found in (Path(path), Path(path).parent) for path in foreign)
    assert content(tmp_path) == before
    golden.says(str(caught.value))


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("damage", ["none", "changed", "missing"])
def test_export_of_another_run_is_not_replaced(
    small_run: Run, other: Run, tmp_path: Path, registry: Registry, format_: str, damage: str
) -> None:
    out = tmp_path / "out"
    (exported,) = zoo.export(other, format_, out=out, registry=registry)
    for name in content(out):
        if name != RECORD[format_]:
            if damage == "changed":
                (out / name).write_text("changed")
            if damage == "missing":
                (out / name).unlink()
    before = content(out)
    with pytest.raises(RunFolderError) as caught:
        zoo.export(small_run, format_, out=out, registry=registry)
    is_there = os.path.lexists(exported.path)
    assert caught.value.path == str(exported.path if is_there else out / RECORD[format_])
    assert content(out) == before


def test_file_that_was_put_into_an_exported_folder_is_not_removed(
    small_run: Run, tmp_path: Path, registry: Registry
) -> None:
    (exported,) = zoo.export(small_run, "many", out=tmp_path, registry=registry)
    (exported.path / "thesis.txt").write_text("mine")
    before = content(tmp_path)
    with pytest.raises(RunFolderError) as caught:
        zoo.export(small_run, "many", out=tmp_path, registry=registry)
    assert caught.value.path == str(exported.path / "thesis.txt")
    assert content(tmp_path) == before


# --- files of the run


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("damage", ["none", "files changed", "file missing", "record cut off", "seal broken"])
def test_damaged_export_of_the_run_is_replaced(
    small_run: Run, tmp_path: Path, registry: Registry, format_: str, damage: str
) -> None:
    zoo.export(small_run, format_, out=tmp_path, registry=registry)
    names, beside = set(content(tmp_path)), tmp_path / RECORD[format_]
    for name in names - {beside.name}:
        if damage == "files changed":
            (tmp_path / name).write_text("changed")
    text = beside.read_text()
    if damage == "file missing":
        (tmp_path / max(names - {beside.name})).unlink()
    if damage == "record cut off":
        beside.write_text(text[: text.index('"parity"')])
    if damage == "seal broken":
        beside.write_text(text.replace("Trouser", "Trousers"))
    (again,) = zoo.export(small_run, format_, out=tmp_path, registry=registry)
    assert set(content(tmp_path)) == names
    assert read_record(beside, ExportFileRecord) == again.record


@pytest.mark.parametrize("format_", ["one", "many"])
def test_export_whose_record_is_lost_is_known_by_its_metadata(
    small_run: Run, other: Run, tmp_path: Path, registry: Registry, format_: str
) -> None:
    out = tmp_path / "out"
    zoo.export(small_run, format_, out=out, registry=registry)
    (out / RECORD[format_]).unlink()
    before = content(out)
    with pytest.raises(RunFolderError):
        zoo.export(other, format_, out=out, registry=registry)
    assert content(out) == before
    zoo.export(small_run, format_, out=out, registry=registry)
    assert (out / RECORD[format_]).exists()


def test_export_whose_record_is_lost_and_that_has_no_metadata_is_refused(
    small_run: Run, tmp_path: Path, registry: Registry, golden: Golden
) -> None:
    (exported,) = zoo.export(small_run, "two", out=tmp_path, registry=registry)
    (tmp_path / "small.two.json").unlink()
    with golden.raises(RunFolderError) as caught:
        zoo.export(small_run, "two", out=tmp_path, registry=registry)
    assert caught.value.path == str(exported.path)


PROGRAM = """
import os, signal, sys
from pathlib import Path
import zoo
from tests.plugins.export.test_export_folder import add_exporters
from tests.support.small_recipe import make_registry
replace, at = os.replace, sys.argv[4]
def killing(source, target):
    if Path(target).name == at:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
os.replace = killing
zoo.export(sys.argv[1], sys.argv[2], out=sys.argv[3], registry=add_exporters(make_registry()))
"""


def export_killed(run: Run, format_: str, out: Path, at: str = "") -> None:
    """Export in a process that is killed by its exporter, or before a file is moved to a path."""
    command = [sys.executable, "-c", PROGRAM, str(run.path), format_, str(out), at]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("at", ["small.two", "small.two.json", "small.weights"])
def test_export_that_was_killed_while_it_was_moved_is_replaced(
    small_run: Run, tmp_path: Path, registry: Registry, at: str
) -> None:
    export_killed(small_run, "two", tmp_path, at)
    assert any(name.startswith(".") for name in content(tmp_path))
    zoo.export(small_run, "two", out=tmp_path, registry=registry)
    assert set(content(tmp_path)) == {"small.two", "small.two.json", "small.weights"}


def test_folders_of_killed_exports_are_removed_and_others_are_not(
    small_run: Run, tmp_path: Path, registry: Registry
) -> None:
    export_killed(small_run, "killed", tmp_path)
    (killed,) = tmp_path.glob(".export-*")
    assert (killed / "new" / "small.killed").exists()
    foreign = {".export-notes/notes.txt", ".export-locked/.lock", ".export-locked/notes.txt"}
    living = tmp_path / ".export-living"
    for name in (*foreign, ".export-living/new/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("mine")
    with locks.locked(living):
        zoo.export(small_run, "one", out=tmp_path, registry=registry)
    left = {*foreign, ".export-living/new/notes.txt"}
    assert set(content(tmp_path)) == {*left, "small.one", "small.one.json"}


# --- several formats


def test_other_formats_are_exported_when_one_fails(small_run: Run, tmp_path: Path, registry: Registry) -> None:
    with pytest.raises(ExportError) as caught:
        zoo.export(small_run, ["bad", "one", "two"], out=tmp_path, registry=registry)
    written = [tmp_path / "small.one", tmp_path / "small.two"]
    assert [each.path for each in caught.value.exported] == written
    assert {name: type(error) for name, error in caught.value.errors.items()} == {"toys/bad": PluginError}
    assert set(content(tmp_path)) == {*RECORD.values(), "small.one", "small.two", "small.weights"} - {"small.many.json"}


def test_one_format_raises_its_own_error(small_run: Run, tmp_path: Path, registry: Registry) -> None:
    with pytest.raises(PluginError) as caught:
        zoo.export(small_run, "bad", out=tmp_path, registry=registry)
    assert caught.value.plugin == "toys"


def test_command_reports_the_files_that_were_written(
    small_run: Run, tmp_path: Path, run_zoo: Zoo, golden: Golden
) -> None:
    arguments = ["export", small_run.path, "--out", tmp_path, "--quiet"]
    arguments += [each for name in ("one", "bad", "two") for each in ("--format", name)]
    done = run_zoo(*arguments, "--json")
    assert done.status == 1
    assert [each["exporter"] for each in json.loads(done.out)] == ["toys/one", "toys/two"]
    golden.says(done.err)
    done = run_zoo(*arguments)
    assert done.status == 1
    assert [line.split()[0] for line in done.out.splitlines()[1:]] == [
        str(tmp_path / "small.one"),
        str(tmp_path / "small.two"),
    ]
    assert run_zoo("export", small_run.path, "--out", tmp_path, "--format", "bad", "--json").out == ""


# --- full disks


@pytest.mark.parametrize("full", ["out", "temporary", "neither"])
@pytest.mark.parametrize("fault", [RuntimeError("iostream error"), OSError(errno.ENOSPC, "No space left on device")])
def test_full_disk_is_named(
    small_run: Run, tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch, full: str, fault: Exception
) -> None:
    out, temporary = tmp_path / "out", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setattr(Bad, "fault", fault)
    places = {"out": out, "temporary": temporary}
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: SimpleNamespace(free=0 if Path(path) == places.get(full) else 1 << 40)
    )
    if full == "neither" and isinstance(fault, RuntimeError):
        with pytest.raises(PluginError):
            zoo.export(small_run, "bad", out=out, registry=registry)
        return
    with pytest.raises(RunFolderError) as caught:
        zoo.export(small_run, "bad", out=out, registry=registry)
    assert caught.value.path == str(places.get(full, temporary))


# --- arguments


@pytest.mark.parametrize("options", [{"tolerance": True, "int8": True}, {"out": ""}])
def test_arguments_are_checked_first(small_run: Run, registry: Registry, options: dict[str, Any]) -> None:
    (name,) = set(options) - {"int8"}
    with pytest.raises(SettingError) as caught:
        zoo.export(small_run, registry=registry, **options)
    assert (caught.value.name, caught.value.value) == (name, options[name])


@pytest.mark.parametrize("formats", [None, 5, b"one", ["one", None]])
def test_formats_are_names(small_run: Run, tmp_path: Path, registry: Registry, formats: Any) -> None:
    with pytest.raises(SettingError) as caught:
        zoo.export(small_run, formats, out=tmp_path, registry=registry)
    assert (caught.value.name, caught.value.value) == ("formats", formats)


def test_failed_export_leaves_no_folder(small_run: Run, tmp_path: Path, registry: Registry) -> None:
    (tmp_path / "existing").mkdir()
    for out in ("new/inner", "existing"):
        with pytest.raises(PluginError):
            zoo.export(small_run, "bad", out=tmp_path / out, registry=registry)
    assert [each.name for each in tmp_path.iterdir()] == ["existing"]
