"""Files examined by child processes, as on machines with many CPUs: nothing differs from threads."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image
from zoo_images.folders import examining, examining_process, scanning
from zoo_images.folders.decoded_images import DecodedImages
from zoo_images.folders.scanning import Scan, processes_for, scan

from zoo import ImageInput
from zoo.images import WORKERS, in_order
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
    Image.new("1", (200, 100), 1).save(root / "large.png")
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

    def noted(root: Path, name: str, *rest: Any, **options: Any) -> object:
        here.append(name)
        return examine(root, name, *rest, **options)

    monkeypatch.setattr(scanning, "examine", noted)
    monkeypatch.setattr(examining_process, "MOST_PIXELS", 10_000)
    found, _ = scanned((folder[0], folder[1] * WORKERS), monkeypatch, max(PROCESSES, WORKERS))
    assert set(here) == {"large.png"}
    assert folder[1].index("large.png") in found.sound


def test_gray_images_take_a_third_of_the_room(folder: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{i}.{'png' if i % 2 else 'jpg'}" for i in range(0, 70, 3)] * 10  # they are gray
    room = len(names) * SIZE[0] * SIZE[1]
    _, kept = scanned((folder[0], names), monkeypatch, PROCESSES, disk=room)
    assert sum(each is not None for each in kept) > len(names) * 2 / 3


def test_images_that_the_disk_has_no_room_for_are_not_kept(
    folder: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, images = scanned(folder, monkeypatch, 0)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, limits[1]))  # processes have it too
    try:
        found, kept = scanned(folder, monkeypatch, PROCESSES)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert_same(found, expected)
    assert 10 < sum(each is not None for each in kept) < 70
    assert all(each is None or each == image for each, image in zip(kept, images, strict=True))


class Recorded(ChildProcess):
    """A child process of which the test knows."""

    started: ClassVar[list[Recorded]] = []

    def __init__(self, *arguments: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.started.append(self)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Recorded]:
    """Return the processes that are started."""
    monkeypatch.setattr(Recorded, "started", [])
    monkeypatch.setattr(examining_process, "ChildProcess", Recorded)
    return Recorded.started


def assert_done_without_processes(
    folder: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch, started: list[Recorded], count: int
) -> None:
    """Assert that as many processes are started, and that threads do what they leave."""
    expected, images = scanned(folder, monkeypatch, 0)
    found, kept = scanned(folder, monkeypatch, PROCESSES)
    assert len(started) == count
    assert all(each.has_ended for each in started)
    assert_same(found, expected)
    assert kept == images


def test_work_of_processes_that_die_is_done_here(
    folder: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch, started: list[Recorded]
) -> None:
    receive, received = Recorded.receive, Counter[int]()

    def killed(process: Recorded, seconds: float | None) -> bytes | None:
        received[process.pid] += 1
        if process is not started[0] and received[process.pid] == 4:  # within a group
            process.kill()
            process.wait(10)
        return receive(process, seconds)

    monkeypatch.setattr(Recorded, "receive", killed)
    assert_done_without_processes(folder, monkeypatch, started, PROCESSES)


def test_without_enough_descriptors_threads_examine(
    folder: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch, started: list[Recorded]
) -> None:
    begin = Recorded.__init__

    def refuse(process: Recorded, *arguments: str, **options: Any) -> None:
        if len(started) == 2:
            raise OSError(24, os.strerror(24))
        begin(process, *arguments, **options)

    monkeypatch.setattr(Recorded, "__init__", refuse)
    assert_done_without_processes(folder, monkeypatch, started, 2)


def test_interruption_does_not_wait_for_a_process_that_hangs(
    folder: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch, started: list[Recorded]
) -> None:
    def interrupt(*arguments: Any, **options: Any) -> Iterator[object]:
        results = in_order(*arguments, **options)
        yield next(results)
        os.kill(started[1].pid, signal.SIGSTOP)
        raise KeyboardInterrupt

    monkeypatch.setattr(scanning, "in_order", interrupt)
    before = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        scanned((folder[0], folder[1] * 100), monkeypatch, PROCESSES)
    assert time.monotonic() - before < 20  # and not forever
    assert all(each.has_ended for each in started)


@pytest.mark.parametrize(
    ("processors", "memory", "descriptors", "files", "expected"),
    [
        (16, 1 << 36, 1024, 999, 0),
        (16, 1 << 36, 1024, 1_000, 16),
        (64, 1 << 36, 1024, 10**6, 16),
        (16, 1 << 32, 1024, 10**6, 8),
        (4, 1 << 36, 1024, 1_000, 4),
        (2, 1 << 36, 1024, 10**6, 0),
        (16, 1 << 30, 1024, 10**6, 0),
        (16, 1 << 36, 64, 10**6, 0),
    ],
)
def test_processes_are_used_where_they_are_faster(
    monkeypatch: pytest.MonkeyPatch, processors: int, memory: int, descriptors: int, files: int, expected: int
) -> None:
    monkeypatch.setattr(scanning, "processors_allowed", lambda: processors)
    monkeypatch.setattr(scanning, "usable_memory", lambda: memory)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (descriptors, descriptors))
    assert processes_for(files) == expected
