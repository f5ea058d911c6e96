"""What a reader finds in a weights file, and the faults that it may find instead."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from mmap import mmap
    from typing import BinaryIO

    import numpy as np
    from numpy.typing import NDArray

Layout = Literal["keras", "pytorch"]

MOST_ARRAYS = 100_000
_LONGEST_NAME = 1000  # characters
_DIMENSIONS = 32  # as many as every NumPy allows
_DIGITS = re.compile(r"(\d+)")


class FileFault(Exception):  # noqa: N818  # the file's, not an error of ours
    """A weights file cannot be used. The message continues a sentence that begins with the file's path."""


class MissingExtra(FileFault):
    """The library that reads this format is not installed.

    Args:
        extra: Name of the extra of keras-zoo.
        received: The evidence that it is missing.
    """

    def __init__(self, extra: str, received: str) -> None:
        """Initialize the error."""
        super().__init__(received)
        self.extra, self.received = extra, received


@dataclass(frozen=True, kw_only=True)
class Source:
    """A weights file that is open.

    Attributes:
        file: The file.
        mapped: Its bytes.
    """

    file: BinaryIO
    mapped: mmap


@dataclass(frozen=True, kw_only=True)
class FoundArray:
    """One array of a weights file. Its fields are those of `WeightsArray`."""

    name: str
    layer: str
    role: str | None
    array: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Contents:
    """The content of a weights file. Its fields are those of `WeightsFile`."""

    format: str
    layout: Layout
    is_ordered: bool
    arrays: Sequence[FoundArray]


class Budget:
    """The number of bytes that the arrays of a file may have in total.

    Args:
        limit: The number of bytes, as float32.
    """

    def __init__(self, limit: int) -> None:
        """Start with an empty sum."""
        self.limit = limit
        self._bytes = self._arrays = 0

    def add(self, name: str, shape: Sequence[int]) -> None:
        """Add an array, before it is read.

        Raises:
            FileFault: There are too many arrays or bytes, or the array cannot have this name or shape.
        """
        if len(name) > _LONGEST_NAME:
            raise FileFault(
                f"contains an array with a name of {len(name)} characters, but {_LONGEST_NAME} is the limit."
            )
        if len(shape) > _DIMENSIONS or any(size < 0 for size in shape):
            raise FileFault(f"is damaged: {name!r} has an impossible shape. Download or save it again.")
        self._bytes += 4 * math.prod(shape)
        self._arrays += 1
        if self._arrays > MOST_ARRAYS:
            raise FileFault(f"contains more than {MOST_ARRAYS} arrays, which no image classifier has.")
        self.check(self._bytes, f"{name!r} with shape={describe(shape)}")

    def check(self, size: int, what: str) -> None:
        """Raise `FileFault` if the file declares more bytes than the limit."""
        if size > self.limit:
            raise FileFault(
                f"declares more than {max(1, self.limit >> 20)} MiB of weights, too many for its size or this "
                f"machine's memory. Download or save it again. Received: {what}"
            )


def describe(shape: Sequence[int]) -> str:
    """Return a shape as text of limited length."""
    return f"{tuple(shape)!r:.100}"


def is_float(array: Any) -> bool:
    """Return whether an array, or what has the `dtype` of one, consists of floating-point numbers."""
    return bool(array.dtype.kind == "f")


def as_float32(array: NDArray[Any]) -> NDArray[np.float32]:
    """Return an array as contiguous float32. Numbers that are too large become infinity."""
    import numpy as np

    with np.errstate(all="ignore"):
        return np.ascontiguousarray(array, np.float32).reshape(array.shape)


def from_bfloat16(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Return bfloat16 numbers, given as their bits, as float32."""
    import numpy as np

    return (np.ascontiguousarray(bits).astype(np.uint32) << 16).view(np.float32).reshape(bits.shape)


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a sort key that orders numbers in names by value: ``conv2d``, ``conv2d_2``, ``conv2d_10``."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in _DIGITS.split(name[:_LONGEST_NAME])]
