"""Decoded images that are kept in memory and in a temporary file."""

from __future__ import annotations

import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from zoo_images.folders.decoded_images import DecodedImages, folder_on_disk

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 5, 4, 3), np.uint8)


def found(kept: DecodedImages, number: int, channels: int = 3) -> NDArray[np.uint8] | None:
    """Return an image that is kept, or None."""
    image = np.zeros((5, 4, channels), np.uint8)
    return image if kept.copy_to(image, number) else None


def test_images_are_kept_in_memory_then_in_a_file_without_a_name(tmp_path: Path) -> None:
    kept = DecodedImages(memory=3 * 60, disk=10 * 60, folder=str(tmp_path))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: kept.put(i, IMAGES[i] if i % 2 else IMAGES[i, ..., :1]), range(40)))
    numbers = [i for i in range(40) if i in kept]
    size = sum(60 if i % 2 else 20 for i in numbers)
    assert 13 * 60 - 2 * 60 < size <= 13 * 60  # gray images take a third of the place
    for i in numbers:
        image = found(kept, i)  # an image of one channel fills all three
        assert image is not None
        np.testing.assert_array_equal(image, IMAGES[i] if i % 2 else np.repeat(IMAGES[i, ..., :1], 3, axis=2))
        if i % 2 == 0:
            np.testing.assert_array_equal(found(kept, i, 1), IMAGES[i, ..., :1])
    assert all(found(kept, i) is None for i in range(40) if i not in kept)
    assert list(tmp_path.iterdir()) == []


def test_full_disk_keeps_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = DecodedImages(memory=0, disk=1 << 20, folder=str(tmp_path))
    kept.put(0, IMAGES[0])

    def full(*_: object) -> int:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "pwrite", full)
    kept.put(1, IMAGES[1])
    monkeypatch.undo()
    kept.put(2, IMAGES[2])
    assert [i for i in range(3) if i in kept] == [0]
    np.testing.assert_array_equal(found(kept, 0), IMAGES[0])


def test_gray_images_take_a_third_of_the_disk(tmp_path: Path) -> None:
    kept = DecodedImages(memory=0, disk=3 * 60, folder=str(tmp_path))
    for i in range(10):
        kept.put(i, IMAGES[i, ..., :1])
    assert [i in kept for i in range(10)] == [True] * 9 + [False]
    for i in range(9):
        np.testing.assert_array_equal(found(kept, i, 1), IMAGES[i, ..., :1])


def test_folder_that_cannot_be_written_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def refuse(**options: object) -> None:
        tried.append(options)
        raise PermissionError

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    kept = DecodedImages(memory=60, disk=1 << 20, folder=str(tmp_path))
    for i in range(10):
        kept.put(i, IMAGES[i])
    assert [i in kept for i in range(10)] == [True] + [False] * 9
    assert len(tried) == 1


def test_image_takes_one_place_however_many_threads_have_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, written = os.pwrite, []

    def write_slowly(file: int, data: bytes, place: int) -> int:
        written.append(place)
        time.sleep(0.1)
        return write(file, data, place)

    monkeypatch.setattr(os, "pwrite", write_slowly)
    kept = DecodedImages(memory=0, disk=4 * 60, folder=str(tmp_path))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: kept.put(0, IMAGES[0]), range(4)))
    assert written == [0]
    np.testing.assert_array_equal(found(kept, 0), IMAGES[0])


def test_disk_in_memory_is_not_used(tmp_path: Path) -> None:
    table, line = tmp_path / "mountinfo", "36 35 {}:{} / / rw,noatime shared:1 - {} source rw\n"
    devices = {os.stat(folder).st_dev for folder in (tempfile.gettempdir(), "/var/tmp")}  # noqa: S108  # as it looks
    for kind in ("ext4", "tmpfs"):
        table.write_text("".join(line.format(os.major(each), os.minor(each), kind) for each in devices))
        assert (folder_on_disk(table) is None) == (kind == "tmpfs")
    assert folder_on_disk(tmp_path / "no table") == tempfile.gettempdir()
    kept = DecodedImages(memory=0, disk=1 << 20, folder=None)
    kept.put(0, IMAGES[0])
    assert 0 not in kept
    assert found(kept, 0) is None
