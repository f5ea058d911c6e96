"""Reads exported files: only regular files, and only up to a maximum size."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from zoo import DataError
from zoo.errors import ArtifactError
from zoo.images import open_regular

if TYPE_CHECKING:
    from pathlib import Path

_LIMIT = 1 << 31  # bytes; no message of protocol buffers may have more


def read_file(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        ArtifactError: It is not a regular file, cannot be read or has more than 2 GiB.
    """
    try:
        with open_regular(path) as file:
            if os.fstat(file.fileno()).st_size > _LIMIT:
                raise ArtifactError(f"{path} is too large: an exported file has at most {_LIMIT:,} bytes.", path=path)
            return file.read(_LIMIT)
    except DataError as error:
        raise ArtifactError(str(error), path=path) from error
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}.", path=path) from error
