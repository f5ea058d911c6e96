"""What `zoo.load` and `zoo.load_data` do with exported files, by a toy runtime."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import zoo
from tests.support.exported_files import export_record, write_beside
from tests.support.golden import Golden
from tests.support.toy_exporter import ENTRY
from zoo import DataError, Entry, Registry, Run, SettingError
from zoo.errors import ArtifactError, NoKerasModelError, RunFolderError, ZooWarning

CPUS = len(os.sched_getaffinity(0))


@pytest.fixture
def run(registry: Registry) -> Run:
    registry.exporters.add(ENTRY)
    return zoo.open_run("fashion-cnn-fast", registry=registry)


@pytest.fixture
def path(run: Run, tmp_path: Path) -> Path:
    """An exported file."""
    path = tmp_path / "a.toy"
    path.write_text("good")
    write_beside(path, export_record(run), 0.1)
    return path


def test_data_of_a_file_is_that_of_its_run(registry: Registry, run: Run, path: Path) -> None:
    found, expected = zoo.load_data(path, registry=registry), zoo.load_data(run, registry=registry)
    assert found.digests == expected.digests
    assert (found.test[np.arange(5)][0] == expected.test[np.arange(5)][0]).all()


@pytest.mark.parametrize("change", [{"digests": {"t10k": "0"}}, {"class_names": ["a", "b"]}])
def test_other_data_than_the_file_s_is_refused(
    registry: Registry, run: Run, path: Path, change: dict[str, Any]
) -> None:
    export = export_record(run)
    write_beside(path, msgspec.structs.replace(export, data=msgspec.structs.replace(export.data, **change)), 0.1)
    with pytest.raises(DataError) as raised:
        zoo.load_data(path, registry=registry)
    assert raised.value.path == str(path)


def test_data_of_a_missing_file(registry: Registry, run: Run, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError):
        zoo.load_data(tmp_path / "b.toy", registry=registry)


def test_file_gets_the_number_of_threads(registry: Registry, run: Run, tmp_path: Path) -> None:
    given: list[int | None] = []

    class Counting(ENTRY.target):  # type: ignore[misc, name-defined]  # a class
        def open(self, path: Path, threads: int | None = None) -> Any:
            given.append(threads)
            return super().open(path, threads)

    registry.exporters.add(Entry(name="counting", target=Counting, suffix=".counting", summary="For tests."))
    other = tmp_path / "a.counting"
    other.write_text("good")
    write_beside(other, export_record(run), 0.1)
    loaded = zoo.load(other, threads=1, registry=registry)
    zoo.load(other, threads=2**40, registry=registry)
    zoo.load(other, registry=registry)
    assert given == [1, CPUS, None]
    with pytest.raises(NoKerasModelError):
        _ = loaded.model


def test_damaged_files_of_a_run_are_left_out_with_a_warning(
    registry: Registry, run: Run, tmp_path: Path, golden: Golden
) -> None:
    own = zoo.open_run(shutil.copytree(run.path, tmp_path / "run"))
    folder = own.path / "exports"
    folder.mkdir()
    for name in ("damaged.toy", "good.toy", "others.toy", "record.toy", "without.toy"):
        (folder / name).write_text("good")
        write_beside(folder / name, export_record(run), 0.1)
    others = msgspec.structs.replace(export_record(run), model_sha256="0" * 64)
    write_beside(folder / "others.toy", others, 0.1)
    for name in ("damaged.toy", "others.toy", "record.toy.json"):
        with (folder / name).open("a") as file:
            file.write("x")
    (folder / "without.toy.json").unlink()
    with golden.warns(ZooWarning, 2) as caught:
        found = zoo.find_exports(own, registry=registry)
    assert [each.path.name for each in found] == ["good.toy"]
    assert {each.filename for each in caught} == {__file__}


@pytest.mark.parametrize("read", [zoo.open_run, zoo.read_predictions, zoo.find_exports, zoo.export])
@pytest.mark.parametrize("name", ["a.toy", "notes.txt"])
def test_file_is_no_run(registry: Registry, path: Path, read: Callable[..., object], name: str, golden: Golden) -> None:
    (path.parent / "notes.txt").write_text("")
    with golden.raises(RunFolderError, path=str(path.with_name(name))):
        read(path.with_name(name), registry=registry)


def test_file_is_not_resumed(registry: Registry, path: Path, golden: Golden) -> None:
    with golden.raises(RunFolderError, path=str(path)):
        zoo.resume(path, registry=registry)


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "2"])
def test_number_of_threads_is_checked(registry: Registry, path: Path, threads: Any) -> None:
    with pytest.raises(SettingError) as raised:
        zoo.load(path, threads=threads, registry=registry)
    assert (raised.value.name, raised.value.value) == ("threads", threads)


def test_run_takes_no_threads(registry: Registry, run: Run) -> None:
    with pytest.raises(SettingError) as raised:
        zoo.load(run, threads=1, registry=registry)
    assert (raised.value.name, raised.value.value) == ("threads", 1)
