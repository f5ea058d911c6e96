"""Keras and its backend, imported without their start-up chatter."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

from zoo.errors import ZooError
from zoo.hardware import enable_onednn
from zoo.interrupts import check_signals

if TYPE_CHECKING:
    from collections.abc import Iterator


def keep_stderr_apart() -> None:
    """Give ``sys.stderr`` a descriptor of its own, for good, so that descriptor 2 can be turned away from it.

    Handlers of libraries hold on to the ``sys.stderr`` that they find: it must not be one that is closed later.
    """
    try:
        if sys.stderr.fileno() == 2:
            sys.stderr.flush()
            sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")
    except (OSError, ValueError, AttributeError):  # closed, or no file
        return


def drop_unread_output() -> None:
    """Let go of what is still buffered for a reader that has left, so that Python does not complain at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def chatter_discarded() -> Iterator[None]:
    """Discard what native code writes to file descriptor 2."""
    with contextlib.ExitStack() as stack:
        try:
            terminal = os.dup(2)
        except OSError:  # it is closed: nothing to discard
            yield
            return
        stack.callback(os.close, terminal)
        stack.callback(os.dup2, terminal, 2)
        nowhere = stack.enter_context(open(os.devnull, "wb"))
        os.dup2(nowhere.fileno(), 2)
        yield


def import_keras() -> None:
    """Import Keras and its backend.

    Raises:
        ZooError: It cannot be imported.
    """
    import logging

    for name in ("absl", "matplotlib", "tensorflow"):  # advice to programmers, on retracing for example
        logging.getLogger(name).setLevel(logging.ERROR)
    enable_onednn()
    with chatter_discarded():
        try:
            import keras  # noqa: F401  # for its effect
        except Exception as error:
            cause: BaseException | None = error
            while cause is not None:
                if isinstance(cause, KeyboardInterrupt):  # an extension has made something else of it
                    raise cause from None
                cause = cause.__context__
            raise ZooError(
                f"Keras cannot be imported: {type(error).__name__}: {error}. Check that keras and its backend are "
                f"installed. Received: KERAS_BACKEND={os.environ.get('KERAS_BACKEND')!r}"
            ) from error
    check_signals()  # what a signal raised may be lost in so large an import
