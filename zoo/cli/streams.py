"""The command's standard streams, kept apart from what native code writes."""

from __future__ import annotations

import contextlib
import os
import sys


def detach_stderr() -> None:
    """Give ``sys.stderr`` its own descriptor permanently, so that descriptor 2 can be redirected independently.

    Logging handlers of libraries keep the ``sys.stderr`` that they find, so it must not be closed later.
    """
    try:
        if sys.stderr.fileno() == 2:
            sys.stderr.flush()
            sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")
    except (OSError, ValueError, AttributeError):  # closed, or not a file
        return


def discard_pending_output() -> None:
    """Discard output that is still buffered for a reader that has left, so that Python does not complain at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
