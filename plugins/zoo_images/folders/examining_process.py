"""Child processes that examine image files: threads of one process wait for each other to run Python."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from zoo import ZooError
from zoo.images import MAX_PIXELS, PixelBudget, warnings_are_errors
from zoo.utils import Channel, ChildProcess
from zoo_images.folders.examining import Examined, Result, Rules, examine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zoo_images.folders.decoded_images import DecodedImages

_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class _Start(msgspec.Struct, frozen=True, kw_only=True):
    """What a process examines.

    Args:
        root: The folder, encoded.
        rules: How to examine its files.
        pixels: Maximum number of pixels of an image.
        file: Descriptor of the file for images.
    """

    root: bytes
    rules: Rules
    pixels: int
    file: int | None


class _Order(msgspec.Struct, frozen=True, kw_only=True):
    """Names of files, encoded, and the position in the file for their images; None to send the images."""

    names: list[bytes]
    place: int | None


class _Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What a file has, what is wrong with it, or None for both if its image is too large for the process.

    If the image is kept, there is its shape, and there are its pixels unless they were written to the file.
    """

    found: Examined | None = None
    fault: str | None = None
    shape: tuple[int, int, int] | None = None
    pixels: memoryview | None = None


class _TooLargeError(ZooError):
    """An image has more pixels than this process may use."""


class _Share(PixelBudget):
    """The pixels that a process may use, which has one thread."""

    @contextlib.contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        """Refuse more pixels than there are."""
        if pixels > self._pixels:
            raise _TooLargeError("The image has too many pixels for this process.")
        yield


class ExaminingProcess:
    """A child process that examines files, started at once.

    Args:
        root: The folder.
        rules: How to examine its files.
        kept: Keeps the images; None to keep none.
        processes: Number of such processes, which share the pixels that images may have at the same time.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self, root: Path, rules: Rules, kept: DecodedImages | None, processes: int) -> None:
        """Start it, without waiting for it."""
        self._kept = kept
        self._image_size = rules.image_size
        file = None if kept is None else kept.file()
        self._process = ChildProcess(__name__, variables=_ONE_THREAD, descriptors=() if file is None else (file,))
        start = _Start(root=os.fsencode(root.absolute()), rules=rules, pixels=MAX_PIXELS // processes, file=file)
        with contextlib.suppress(EOFError):  # it has ended already, as `examine` will notice
            self._process.send(msgspec.msgpack.encode(start))

    def examine(self, names: Sequence[str], first: int) -> list[Examined | str | None]:
        """Return what each file has or what is wrong with it, and keep its image; None for an image that is too large.

        Args:
            names: Paths of the files, relative to the folder.
            first: Number of the first image; the others follow.

        Raises:
            EOFError: The process has ended.
        """
        import numpy as np

        place = None if self._kept is None else self._kept.reserve(len(names), self._image_size)
        order = _Order(names=[os.fsencode(name) for name in names], place=place)
        self._process.send(msgspec.msgpack.encode(order))
        message = self._process.receive(None)
        if message is None:
            raise EOFError("The process did not answer.")
        found = msgspec.msgpack.decode(message, type=list[_Reply])
        for i, each in enumerate(found):
            if self._kept is None or each.shape is None:
                continue
            if each.pixels is not None:
                self._kept.put(first + i, np.frombuffer(each.pixels, np.uint8).reshape(each.shape))
            elif place is not None:
                self._kept.put_written(first + i, place + i * self._image_size, each.shape)
        return [each.found or each.fault for each in found]

    def close(self) -> None:
        """Let the process end."""
        self._process.finish(0, flush=False)

    def end(self) -> None:
        """End the process now."""
        self._process.end()


def main() -> None:
    """Examine files until the parent closes the channel."""
    channel = Channel.to_parent()
    with contextlib.suppress(EOFError), warnings_are_errors():
        start = msgspec.msgpack.decode(channel.receive() or b"", type=_Start)
        root, share = Path(os.fsdecode(start.root)), _Share(start.pixels)
        while (message := channel.receive()) is not None:
            order = msgspec.msgpack.decode(message, type=_Order)
            replies = []
            for i, name in enumerate(order.names):
                try:
                    result = examine(root, os.fsdecode(name), start.rules, share)
                except _TooLargeError:
                    replies.append(_Reply())
                    continue
                place = None if order.place is None else order.place + i * start.rules.image_size
                replies.append(_reply(result, start.file, place))
            channel.send(msgspec.msgpack.encode(replies))
            channel.flush()


def _reply(result: Result, file: int | None, place: int | None) -> _Reply:
    """Return what to answer, and write the image to the file if there is a position for it."""
    if isinstance(result, str):
        return _Reply(fault=result)
    found, image = result
    if image is None:
        return _Reply(found=found)
    if file is None or place is None:
        return _Reply(found=found, shape=image.shape, pixels=image.data)
    try:
        is_written = os.pwrite(file, image.data, place) == image.nbytes
    except OSError:  # the disk is full
        is_written = False
    return _Reply(found=found, shape=image.shape if is_written else None)


if __name__ == "__main__":
    main()
