"""Decoded images kept between epochs: the first ones in memory, the others in a temporary file without a name."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

_FREE_SHARE = 0.25  # maximum share of the free space of the disk
_IN_MEMORY = ("tmpfs", "ramfs")  # file systems whose files take memory
MOUNTS = Path("/proc/self/mountinfo")
"""Table of the mounted file systems (``man 5 proc_pid_mountinfo``)."""


class DecodedImages:
    """Images by their numbers, each ``(height, width, channels)`` uint8 with one channel or three.

    Methods may be called by multiple threads. Images that do not fit into the limits are not kept.

    Args:
        memory: Maximum number of bytes in memory.
        disk: Maximum number of bytes in the temporary file, which takes at most a quarter of the free space of the
            disk. It is gone when the process ends, however it ends, and those that write images to it.
        folder: Folder of the temporary file; None to use none.
    """

    def __init__(self, *, memory: int, disk: int, folder: str | None) -> None:
        """Keep the limits; the file is created on first use."""
        self._memory, self._disk, self._folder = memory, disk, folder
        self._kept: dict[int, NDArray[np.uint8]] = {}
        self._taken: set[int] = set()  # numbers of images that are kept, are being written or could not be
        self._places: dict[int, tuple[int, tuple[int, ...]]] = {}  # position in the file and shape of each image
        self._file: int | None = None
        self._next = 0  # position in the file of the next image
        self._lock = threading.Lock()

    def put(self, number: int, image: NDArray[np.uint8]) -> None:
        """Keep a copy of an image, if there is room and it is not kept yet."""
        with self._lock:
            if number in self._taken:
                return
            if self._memory >= image.nbytes:
                self._memory -= image.nbytes
                self._kept[number] = image.copy()
                self._taken.add(number)
                return
            place = self._reserve(image.nbytes)
            if place is not None:
                self._taken.add(number)
        if place is None or self._file is None:
            return
        try:
            written = os.pwrite(self._file, image.tobytes(), place)
        except OSError:  # the disk is full
            written = 0
        with self._lock:
            if written == image.nbytes:
                self._places[number] = place, image.shape
            else:
                self._disk = 0

    def copy_to(self, image: NDArray[np.uint8], number: int) -> bool:
        """Fill an array with an image, and return whether it is kept; if not, the array is undefined.

        Args:
            image: Contiguous, ``(height, width, channels)``; an image of one channel fills all of them.
            number: Number of the image.
        """
        import numpy as np

        if (kept := self._kept.get(number)) is not None:
            image[:] = kept
            return True
        found = self._places.get(number)
        if found is None or self._file is None:
            return False
        place, shape = found
        stored = image if image.shape == shape else np.empty(shape, np.uint8)
        try:
            read = os.preadv(self._file, [stored.data], place)
        except OSError:
            return False
        if stored is not image:
            image[:] = stored
        return read == stored.nbytes

    def descriptor(self) -> int | None:
        """Return the descriptor of the temporary file, or None if no file is used."""
        with self._lock:
            if self._file is None and self._disk:
                self._open()
            return self._file

    def has_memory(self, size: int) -> bool:
        """Return whether there is room in memory for an image of this size in bytes."""
        return self._memory >= size

    def has_room(self, size: int) -> bool:
        """Return whether there is room for an image of this size in bytes, in memory or in the file."""
        return self._memory >= size or self._next + size <= self._disk

    def reserve(self, size: int) -> int | None:
        """Return the position of bytes in the file that others write, or None if there is no room for them."""
        with self._lock:
            return self._reserve(size)

    def put_written(self, number: int, place: int, shape: tuple[int, int, int]) -> None:
        """Keep an image that was written to a reserved position in the file."""
        with self._lock:
            self._taken.add(number)
            self._places[number] = place, shape

    def stop_writing(self) -> None:
        """Keep no further image in the file: the disk is full."""
        with self._lock:
            self._disk = 0

    def __contains__(self, number: int) -> bool:
        """Return whether an image is kept."""
        return number in self._kept or number in self._places

    def _reserve(self, size: int) -> int | None:
        """Return the position in the file of an image of this size, or None if there is no room."""
        if self._file is None and size <= self._disk:
            self._open()
        if self._next + size > self._disk:
            return None
        self._next += size
        return self._next - size

    def _open(self) -> None:
        try:
            if self._folder is None:
                raise OSError
            self._disk = min(self._disk, int(_FREE_SHARE * shutil.disk_usage(self._folder).free))
            with tempfile.TemporaryFile(dir=self._folder) as file:
                self._file = os.dup(file.fileno())
            weakref.finalize(self, os.close, self._file)
        except OSError:  # the folder cannot be written, which is not tried again
            self._disk = 0


def folder_on_disk(mounts: Path = MOUNTS) -> str | None:
    """Return a folder for temporary files that take no memory, or None if there is none.

    Args:
        mounts: Table of the mounted file systems; without one, no folder is in memory.
    """
    for folder in (tempfile.gettempdir(), "/var/tmp"):  # noqa: S108  # the file has no name there
        with contextlib.suppress(OSError):
            device = os.stat(folder).st_dev
            number = f"{os.major(device)}:{os.minor(device)}"
            if not any(mounted == number and kind in _IN_MEMORY for mounted, kind in _mounted(mounts)):
                return folder
    return None


def _mounted(table: Path) -> Iterator[tuple[str, str]]:
    """Yield the device number and the type of each mounted file system."""
    with contextlib.suppress(OSError):
        for line in table.read_text(errors="replace").splitlines():
            before, _, after = line.partition(" - ")
            if len(before.split()) > 2 and after.split():
                yield before.split()[2], after.split()[0]
