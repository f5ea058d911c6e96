"""A temporary file without a name, which the system removes even if the process is killed."""

from __future__ import annotations

import io
import os
import tempfile
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO


class TemporaryText:
    """A temporary file that is gone with this object, and with the process.

    Attributes:
        descriptor: Its file descriptor, to write to.
    """

    def __init__(self) -> None:
        """Create the file."""
        file = tempfile.TemporaryFile(prefix="zoo-", buffering=0)  # noqa: SIM115  # closed with this object
        self.descriptor = file.fileno()
        weakref.finalize(self, file.close)

    def open(self) -> BinaryIO:
        """Open the file for reading, from its beginning."""
        return io.BufferedReader(_Reader(self))


class _Reader(io.RawIOBase):
    """Reads a file at a position of its own: all who read it share the descriptor, and the position of that."""

    def __init__(self, text: TemporaryText) -> None:
        self._text, self._position = text, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._text.descriptor

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: os.fstat(self.fileno()).st_size}
        self._position = start[whence] + offset
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # any writable buffer; this is one
        data = os.pread(self.fileno(), len(buffer), self._position)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
