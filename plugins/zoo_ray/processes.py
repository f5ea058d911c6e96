"""Where processes that talk to Ray run, and in which environment."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

QUIET = {"RAY_USAGE_STATS_ENABLED": "0"}
"""The variable by which Ray tells nobody of its use."""

LOOPBACK = QUIET | {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""With the one by which it binds to loopback on Windows and macOS; elsewhere it would bind to every interface."""

_LONGEST = 40  # characters of a folder's name: those of sockets that Ray makes in it are limited to 107


def private_folder() -> Path:
    """Make a folder of our own for a process that speaks with Ray, and return it.

    Ray has the workers import from the current folder of that process, so it must not be a stranger's.
    """
    folder = tempfile.mkdtemp(prefix="zoo-ray-")
    if len(folder) > _LONGEST:
        os.rmdir(folder)
        folder = tempfile.mkdtemp(prefix="zoo-ray-", dir="/tmp")  # mkdtemp makes it ours alone
    return Path(folder)
