"""Standard streams of the command: ours apart from what native code writes."""

from __future__ import annotations

import contextlib
import os
import sys


def detach_stderr() -> None:
    """Give ``sys.stderr`` a descriptor of its own, for good, so that descriptor 2 can be turned away from it.

    Handlers of libraries hold on to the ``sys.stderr`` that they find: it must not be one that is closed later.
    """
    try:
        if sys.stderr.fileno() == 2:
            sys.stderr.flush()
            sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")
    except (OSError, ValueError, AttributeError):  # closed, or no file
        return


def discard_pending_output() -> None:
    """Let go of what is still buffered for a reader that has left, so that Python does not complain at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
