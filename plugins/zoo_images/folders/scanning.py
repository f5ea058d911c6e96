"""Scans image files before training: which ones are valid, which are grayscale, and the digests of their contents."""

from __future__ import annotations

import contextlib
import os
import resource
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from zoo.images import WORKERS, in_order, warnings_are_errors
from zoo.utils import HeldSignals, processors_allowed, usable_memory
from zoo_images.folders.examining import Rules, examine
from zoo_images.folders.examining_process import ExaminingProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zoo import ImageInput
    from zoo_images.folders.decoded_images import DecodedImages
    from zoo_images.folders.examining import Examined

_PER_TASK = 8  # files that a thread examines in a row
_FEWEST_FILES = 1_000  # fewer are examined before processes have started
_FEWEST_PROCESSES = 4  # fewer are not faster than threads
_MOST_PROCESSES = 16
_MEMORY_EACH = 512 << 20  # bytes
_DESCRIPTORS_EACH = 16  # of which a process takes three, and its thread one


@dataclass(frozen=True, kw_only=True)
class Scan:
    """Results of reading image files.

    Args:
        sound: ``(m,)``, positions of the valid files; the other arrays have one entry for each of these.
        is_gray: ``(m,)``, whether the file is stored as grayscale.
        digests: ``(m, 32)`` uint8, SHA-256 of the contents.
        signatures: ``(m, 4)`` uint64, see `zoo.images.read`.
        largest: ``(m,)`` int32, the largest value of an image of 16 bits per channel, see `zoo.images.Inspection`; -1
            for other images.
        bad: Positions of the other files, each with what is wrong.
    """

    sound: NDArray[np.intp]
    is_gray: NDArray[np.bool_]
    digests: NDArray[np.uint8]
    signatures: NDArray[np.uint64]
    largest: NDArray[np.int32]
    bad: list[tuple[int, str]]


def scan(
    root: Path,
    names: list[str],
    size: tuple[int, int],
    form: ImageInput,
    kept: DecodedImages | None = None,
    *,
    is_gray: bool = False,
) -> Scan:
    """Read and decode every file once, in parallel.

    Args:
        root: Folder that contains the files.
        names: Their paths, relative to ``root``.
        size: Height and width that the images will have.
        form: How files are brought to this size.
        kept: Keeps the images, except those of 16 bits, by the positions of their files; None to keep none.
        is_gray: Whether all images are kept in grayscale, rather than as they are stored.
    """
    import numpy as np

    rules = Rules(size=size, form=form, is_gray=is_gray)
    count = len(names)
    gray, sound = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    digests, signatures = np.zeros((count, 32), np.uint8), np.zeros((count, 4), np.uint64)
    largest = np.full(count, -1, np.int32)
    bad = []
    with warnings_are_errors(), contextlib.closing(_Examiners(root, names, rules, kept)) as examiners:
        for i, found in enumerate(examiners.results()):
            if isinstance(found, str):
                bad.append((i, found))
                continue
            sound[i], gray[i] = True, found.is_gray
            largest[i] = -1 if found.largest is None else found.largest
            digests[i] = np.frombuffer(found.digest, np.uint8)
            signatures[i] = found.signature
    return Scan(
        sound=np.flatnonzero(sound),
        is_gray=gray[sound],
        digests=digests[sound],
        signatures=signatures[sound],
        largest=largest[sound],
        bad=bad,
    )


class _Examiners:
    """Examines files in threads, each of which has a process on machines with many CPUs."""

    def __init__(self, root: Path, names: list[str], rules: Rules, kept: DecodedImages | None) -> None:
        self._root, self._names, self._rules, self._kept = root, names, rules, kept
        self._processes: list[ExaminingProcess] = []  # all that were started
        self._idle: SimpleQueue[ExaminingProcess] = SimpleQueue()
        self._is_over = False
        count = processes_for(len(names))
        self._pool = ThreadPoolExecutor(count or WORKERS)
        try:
            with HeldSignals():
                self._start(count)
        except BaseException:
            self.close()
            raise

    def _start(self, count: int) -> None:
        try:
            for _ in range(count):
                self._processes.append(ExaminingProcess(self._root, self._rules, self._kept))
        except OSError:  # such as too many open files: then the threads need them
            self._end_processes()
        for process in self._processes:
            self._idle.put(process)

    def results(self) -> Iterator[Examined | str]:
        """Yield what each file has or what is wrong with it, in order."""
        size = max(1, min(_PER_TASK, len(self._names) // (2 * WORKERS)))
        starts = range(0, len(self._names), size)
        ahead = 4 * max(WORKERS, len(self._processes))
        for some in in_order(self._pool, partial(self._examine, size), starts, ahead=ahead, per_task=1):
            yield from some

    def close(self) -> None:
        """End the threads and processes, soon even if not all files are examined."""
        self._is_over = True
        for process in self._processes:
            process.kill()
        try:
            self._pool.shutdown(cancel_futures=True)
        finally:
            self._end_processes()

    def _end_processes(self) -> None:
        for process in self._processes:
            process.end()
        self._processes.clear()

    def _examine(self, size: int, start: int) -> list[Examined | str]:
        found: list[Examined | str] = []
        for i, each in enumerate(self._in_process(start, size), start):
            if self._is_over:
                break
            found.append(self._here(i) if each is None else each)
        return found

    def _in_process(self, start: int, size: int) -> Iterator[Examined | str | None]:
        """Yield what a process finds; None for files that it did not examine."""
        names = self._names[start : start + size]
        done = 0
        with contextlib.suppress(Empty, EOFError):  # there is no process, or it has died: this thread does its work
            process = self._idle.get_nowait()
            for found in process.examine(names, start):
                done += 1
                yield found
            self._idle.put(process)
        yield from [None] * (len(names) - done)

    def _here(self, number: int) -> Examined | str:
        """Return what is found in this process."""
        is_kept = self._kept is not None and self._kept.has_room(self._rules.image_size)
        result = examine(self._root, self._names[number], self._rules, is_kept=is_kept)
        if isinstance(result, str):
            return result
        found, image = result
        if self._kept is not None and image is not None:
            self._kept.put(number, image)
        return found


def processes_for(files: int) -> int:
    """Return the number of processes that examine files: 0 where threads are as fast."""
    if files < _FEWEST_FILES:
        return 0
    free = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - len(os.listdir("/proc/self/fd"))
    most = min(processors_allowed(), _MOST_PROCESSES, usable_memory() // _MEMORY_EACH, free // _DESCRIPTORS_EACH)
    return most if most >= _FEWEST_PROCESSES else 0
