"""Decoded images that are kept in memory and in a temporary file."""

from __future__ import annotations

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from zoo_images.folders.decoded_images import DecodedImages, folder_on_disk

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 5, 4, 3), np.uint8)


def test_images_are_kept_in_memory_then_in_a_file_without_a_name(tmp_path: Path) -> None:
    kept = DecodedImages(20, memory=3 * 60, disk=10 * 60, folder=str(tmp_path))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: kept.put(i, IMAGES[i] if i % 2 else IMAGES[i, ..., :1]), range(40)))
    found = [i for i in range(40) if i in kept]
    assert 13 <= len(found) <= 16  # gray images take a third of the memory, and as much of the file
    for i in found:
        image = kept.get(i)
        assert image is not None
        np.testing.assert_array_equal(image, IMAGES[i] if i % 2 else IMAGES[i, ..., :1])
    assert all(kept.get(i) is None for i in range(40) if i not in kept)
    assert list(tmp_path.iterdir()) == []


def test_full_disk_keeps_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = DecodedImages(20, memory=0, disk=1 << 20, folder=str(tmp_path))
    kept.put(0, IMAGES[0])

    def full(*_: object) -> int:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "pwrite", full)
    kept.put(1, IMAGES[1])
    monkeypatch.undo()
    kept.put(2, IMAGES[2])
    assert [i for i in range(3) if i in kept] == [0]
    np.testing.assert_array_equal(kept.get(0), IMAGES[0])


def test_disk_in_memory_is_not_used(tmp_path: Path) -> None:
    table, line = tmp_path / "mountinfo", "36 35 {}:{} / / rw,noatime shared:1 - {} source rw\n"
    devices = {os.stat(folder).st_dev for folder in (tempfile.gettempdir(), "/var/tmp")}  # noqa: S108  # as it looks
    for kind in ("ext4", "tmpfs"):
        table.write_text("".join(line.format(os.major(each), os.minor(each), kind) for each in devices))
        assert (folder_on_disk(table) is None) == (kind == "tmpfs")
    assert folder_on_disk(tmp_path / "no table") == tempfile.gettempdir()
    kept = DecodedImages(20, memory=0, disk=1 << 20, folder=None)
    kept.put(0, IMAGES[0])
    assert 0 not in kept
    assert kept.get(0) is None
