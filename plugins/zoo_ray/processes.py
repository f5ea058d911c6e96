"""Working folder and environment of the processes that talk to Ray."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

QUIET = {"RAY_USAGE_STATS_ENABLED": "0"}
"""Environment variable that disables Ray's usage reports."""

LOOPBACK = QUIET | {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""`QUIET`, and the variable that makes Ray bind to loopback as on Windows and macOS, not to every interface."""

_LONGEST = 40  # characters of the folder's path: the paths of the sockets that Ray creates in it are limited to 107


def private_folder() -> Path:
    """Create a private folder for a process that talks to Ray, and return its path.

    Ray lets the workers import from the current folder of that process, so no other user may write to it.
    """
    folder = tempfile.mkdtemp(prefix="zoo-ray-")
    if len(folder) > _LONGEST:
        os.rmdir(folder)
        folder = tempfile.mkdtemp(prefix="zoo-ray-", dir="/tmp")  # mkdtemp makes it private
    return Path(folder)
