"""Keras and its backend, imported without their start-up chatter."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from typing import TYPE_CHECKING

from zoo.errors import ZooError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def chatter_discarded() -> Iterator[None]:
    """Discard what native code writes to file descriptor 2; ``sys.stderr`` still reaches the terminal."""
    with contextlib.ExitStack() as stack:
        try:
            terminal = os.dup(2)
        except OSError:  # it is closed: nothing to discard
            yield
            return
        stack.callback(os.close, terminal)
        stack.callback(os.dup2, terminal, 2)
        if _writes_to_descriptor_2():
            sys.stderr.flush()
            redirected = os.fdopen(os.dup(terminal), "w", buffering=1, encoding=sys.stderr.encoding, errors="replace")
            stack.enter_context(redirected)
            stack.enter_context(contextlib.redirect_stderr(redirected))
        chatter = stack.enter_context(tempfile.TemporaryFile())
        os.dup2(chatter.fileno(), 2)
        yield


def import_keras() -> None:
    """Import Keras and its backend.

    Raises:
        ZooError: It cannot be imported.
    """
    if "keras" in sys.modules:
        return
    with chatter_discarded():
        try:
            import keras  # noqa: F401  # for its effect
        except Exception as error:
            raise ZooError(
                f"Keras cannot be imported: {type(error).__name__}: {error}. Check that keras and its backend are "
                f"installed. Received: KERAS_BACKEND={os.environ.get('KERAS_BACKEND')!r}"
            ) from error


def _writes_to_descriptor_2() -> bool:
    try:
        return sys.stderr.fileno() == 2
    except (OSError, ValueError, AttributeError):
        return False
