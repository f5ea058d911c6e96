"""Child processes that examine image files: threads of one process wait for each other to run Python."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from zoo.images import LargeImageError, warnings_are_errors
from zoo.utils import Channel, ChildProcess
from zoo_images.folders.examining import Examined, Rules, examine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zoo_images.folders.decoded_images import DecodedImages

MOST_PIXELS = 1 << 24
"""Maximum number of pixels that such a process decodes: 17 million."""

_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_RESERVED = 16  # images for which room in the file is reserved at a time


class _Start(msgspec.Struct, frozen=True, kw_only=True):
    """What a process examines.

    Args:
        root: The folder, encoded.
        rules: How to examine its files.
        most_pixels: Maximum number of pixels of an image.
        file: Descriptor of the file for images.
    """

    root: bytes
    rules: Rules
    most_pixels: int
    file: int | None


class _Order(msgspec.Struct, frozen=True, kw_only=True):
    """Files to examine.

    Args:
        names: Their names, encoded.
        are_kept: Whether images are kept.
        place: Position in the file for the first image; the others follow.
        end: End of the room there. Images that do not fit are sent.
    """

    names: list[bytes]
    are_kept: bool
    place: int
    end: int


class _Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What a file has, what is wrong with it, or neither if its image is too large for the process.

    Args:
        found: What it has.
        fault: What is wrong with it.
        shape: Shape of its image, if that is kept.
        pixels: The pixels, unless they were written to the file.
        is_disk_full: Whether they should have been written but could not be.
    """

    found: Examined | None = None
    fault: str | None = None
    shape: tuple[int, int, int] | None = None
    pixels: memoryview | None = None
    is_disk_full: bool = False


class ExaminingProcess:
    """A child process that examines files, started at once.

    Args:
        root: The folder.
        rules: How to examine its files.
        kept: Keeps the images; None to keep none.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self, root: Path, rules: Rules, kept: DecodedImages | None) -> None:
        """Start it, without waiting for it."""
        self._kept, self._image_size = kept, rules.image_size
        self._place = self._end = 0  # room in the file for its next images
        file = None if kept is None else kept.descriptor()
        self._process = ChildProcess(__name__, variables=_ONE_THREAD, descriptors=() if file is None else (file,))
        start = _Start(root=os.fsencode(root.absolute()), rules=rules, most_pixels=MOST_PIXELS, file=file)
        with contextlib.suppress(EOFError):  # it has ended already, as `examine` will notice
            self._process.send(msgspec.msgpack.encode(start))

    def examine(self, names: Sequence[str], first: int) -> Iterator[Examined | str | None]:
        """Yield what each file has or what is wrong with it, and keep its image; None for an image that is too large.

        Args:
            names: Paths of the files, relative to the folder.
            first: Number of the first image; the others follow.

        Raises:
            EOFError: The process has ended.
        """
        are_kept = self._kept is not None and self._is_room(self._kept)
        encoded = [os.fsencode(name) for name in names]
        order = _Order(names=encoded, are_kept=are_kept, place=self._place, end=self._end)
        self._process.send(msgspec.msgpack.encode(order))
        for number in range(first, first + len(names)):
            message = self._process.receive(None)
            reply = msgspec.msgpack.decode(message or b"", type=_Reply)
            if self._kept is not None:
                self._keep(self._kept, number, reply)
            yield reply.found or reply.fault

    def kill(self) -> None:
        """Kill the process: a thread in `examine` learns that it has ended."""
        self._process.kill()

    def end(self) -> None:
        """Kill the process, and release what it held."""
        self._process.end()

    def _is_room(self, kept: DecodedImages) -> bool:
        """Return whether there is room for images, reserved in the file if memory is full."""
        if kept.has_memory(self._image_size) or self._end - self._place >= self._image_size:
            return True
        for count in (_RESERVED, 1):
            size = count * self._image_size
            if (place := kept.reserve(size)) is not None:
                self._place, self._end = place, place + size
                return True
        return self._place < self._end  # perhaps for a gray image

    def _keep(self, kept: DecodedImages, number: int, reply: _Reply) -> None:
        import numpy as np

        if reply.is_disk_full:
            self._end = self._place
            kept.stop_writing()
        elif reply.shape is not None and reply.pixels is not None:
            kept.put(number, np.frombuffer(reply.pixels, np.uint8).reshape(reply.shape))
        elif reply.shape is not None:
            kept.put_written(number, self._place, reply.shape)
            self._place += reply.shape[0] * reply.shape[1] * reply.shape[2]


def main() -> None:
    """Examine files until the parent closes the channel."""
    channel = Channel.to_parent()
    with contextlib.suppress(EOFError), warnings_are_errors():
        start = msgspec.msgpack.decode(channel.receive() or b"", type=_Start)
        while (message := channel.receive()) is not None:
            for reply in _replies(start, msgspec.msgpack.decode(message, type=_Order)):
                channel.send(msgspec.msgpack.encode(reply))
                channel.flush()


def _replies(start: _Start, order: _Order) -> Iterator[_Reply]:
    root, place, end = Path(os.fsdecode(start.root)), order.place, order.end
    for name in order.names:
        try:
            result = examine(
                root, os.fsdecode(name), start.rules, is_kept=order.are_kept, most_pixels=start.most_pixels
            )
        except LargeImageError:
            yield _Reply()
            continue
        if isinstance(result, str):
            yield _Reply(fault=result)
            continue
        found, image = result
        if image is None:
            yield _Reply(found=found)
        elif start.file is None or end - place < image.nbytes:
            yield _Reply(found=found, shape=image.shape, pixels=image.data)
        elif _is_written(start.file, image.data, place):
            yield _Reply(found=found, shape=image.shape)
            place += image.nbytes
        else:
            yield _Reply(found=found, is_disk_full=True)
            end = place


def _is_written(file: int, data: memoryview, place: int) -> bool:
    """Write data to a file and return whether there was room on the disk."""
    try:
        return os.pwrite(file, data, place) == data.nbytes
    except OSError:
        return False


if __name__ == "__main__":
    main()
