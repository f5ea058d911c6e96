"""Processes of ours: modules started in sessions of their own."""

from __future__ import annotations

import subprocess
import sys
from typing import Any


def start_module(module: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start a module of ours, with options of `subprocess.Popen`.

    It leads a session: the terminal's Ctrl-C is for who started it and ends it, and all of its processes can be found.
    """
    return subprocess.Popen(  # noqa: S603  # this interpreter, a module of ours
        # -P: not the current folder, which may be a stranger's, before what is installed
        [sys.executable, "-P", "-m", module, *arguments],
        start_new_session=True,
        **options,
    )
