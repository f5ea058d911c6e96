"""Files examined by child processes, as on machines with many CPUs: nothing differs from threads."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from zoo_images.folders import examining, examining_process, scanning
from zoo_images.folders.decoded_images import DecodedImages
from zoo_images.folders.scanning import Scan, processes_for, scan

from zoo import ImageInput
from zoo.images import MAX_PIXELS, WORKERS
from zoo.utils import ChildProcess

SIZE = (24, 16)
PROCESSES = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Return a folder of images of all kinds, and their names."""
    root, random = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for i in range(70):
        pixels = random.integers(0, 256, (30 + i, 40, 3), np.uint8)
        image = Image.fromarray(pixels if i % 3 else pixels[..., 0])
        image.save(root / f"{i}.{'png' if i % 2 else 'jpg'}")
    Image.fromarray(random.integers(0, 4096, (20, 20), np.uint16)).save(root / "deep.png")
    Image.new("1", (6_000, MAX_PIXELS // PROCESSES // 5_000), 1).save(root / "large.png")
    (root / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (root / "empty.jpg").touch()
    (root / os.fsdecode(b"\xff\xfe.png")).write_bytes((root / "1.png").read_bytes())
    names = sorted(os.listdir(root), key=os.fsencode)
    return root, [*names, "missing.png"]


def scanned(
    folder: tuple[Path, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    processes: int,
    *,
    is_gray: bool = False,
    memory: int = 0,
    disk: int = 1 << 30,
) -> tuple[Scan, list[bytes | None]]:
    """Return the results and the images that are kept."""
    root, names = folder
    monkeypatch.setattr(scanning, "processes_for", lambda files: processes)
    kept = DecodedImages(memory=memory, disk=disk, folder=str(root))
    found = scan(root, names, SIZE, ImageInput(), kept, is_gray=is_gray)
    image = np.zeros((*SIZE, 1 if is_gray else 3), np.uint8)
    return found, [image.tobytes() if kept.copy_to(image, i) else None for i in range(len(names))]


def assert_same(one: Scan, other: Scan) -> None:
    assert one.bad == other.bad
    for name in ("sound", "is_gray", "digests", "signatures", "largest"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("is_gray", [False, True])
@pytest.mark.parametrize(
    ("memory", "disk"), [(0, 1 << 30), (20 * 24 * 16 * 3, 1 << 30), (1 << 30, 0), (0, 9_000), (0, 0)]
)
def test_processes_find_and_keep_what_threads_do(
    folder: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch, is_gray: bool, memory: int, disk: int
) -> None:
    expected, images = scanned(folder, monkeypatch, 0, is_gray=is_gray)
    assert [i for i, _ in expected.bad] == [
        folder[1].index(name) for name in ("broken.png", "empty.jpg", "missing.png")
    ]
    found, kept = scanned(folder, monkeypatch, PROCESSES, is_gray=is_gray, memory=memory, disk=disk)
    assert_same(found, expected)
    assert all(each is None or each == image for each, image in zip(kept, images, strict=True))
    if max(memory, disk) == 1 << 30:
        assert kept == images
        assert sum(each is not None for each in kept) == 72
    else:
        assert (sum(each is not None for each in kept) > 0) == (disk > 0)


def test_image_too_large_for_a_process_is_examined_here(
    folder: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = list[str]()
    examine = examining.examine

    def noted(root: Path, name: str, *rest: object) -> object:
        here.append(name)
        return examine(root, name, *rest)  # type: ignore[arg-type]  # what it was called with

    monkeypatch.setattr(scanning, "examine", noted)
    found, _ = scanned((folder[0], folder[1] * WORKERS), monkeypatch, max(PROCESSES, WORKERS))
    assert set(here) == {"large.png"}
    assert folder[1].index("large.png") in found.sound


def test_processes_that_die_or_cannot_start_are_done_without(
    folder: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, images = scanned(folder, monkeypatch, 0)
    started = list[ChildProcess]()

    class Short(ChildProcess):
        def __init__(self, *arguments: str, **options: object) -> None:
            if len(started) > 2:
                raise OSError
            super().__init__(*arguments, **options)  # type: ignore[arg-type]  # what it was called with
            started.append(self)

        def receive(self, seconds: float | None) -> bytes | None:
            if self is not started[0]:
                os.kill(self.pid, signal.SIGKILL)
            return super().receive(seconds)

    monkeypatch.setattr(examining_process, "ChildProcess", Short)
    found, kept = scanned(folder, monkeypatch, PROCESSES)
    assert len(started) == 3
    assert all(each.has_ended for each in started)
    assert_same(found, expected)
    assert kept == images


@pytest.mark.parametrize(
    ("processors", "memory", "files", "expected"),
    [(16, 1 << 36, 999, 0), (16, 1 << 36, 1_000, 16), (64, 1 << 36, 10**6, 16), (16, 1 << 31, 10**6, 8),
     (4, 1 << 36, 1_000, 4), (2, 1 << 36, 10**6, 0), (16, 1 << 29, 10**6, 0)],
)  # fmt: skip
def test_processes_are_used_where_they_are_faster(
    monkeypatch: pytest.MonkeyPatch, processors: int, memory: int, files: int, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(processors)))
    monkeypatch.setattr(scanning, "usable_memory", lambda: memory)
    assert processes_for(files) == expected
