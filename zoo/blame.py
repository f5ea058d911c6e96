"""Faults of plugins' code, told as theirs."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from zoo.errors import PluginError, ZooError

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONTROL = re.compile(r"\x1b\[[0-9;]*m|[\x00-\x08\x0e-\x1f\x7f]")


@contextlib.contextmanager
def blaming(who: str, verb: str) -> Iterator[None]:
    """Turn whatever the code of ``"model mine/net"`` raises into an error that names it."""
    try:
        yield
    except ZooError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(f"The {who} failed to {verb}: {one_line(error)}") from error


def one_line(error: BaseException) -> str:
    """Return an exception's type and message, on one line that is not too long."""
    try:
        text = str(error)
    except Exception as fault:  # even that can fail
        text = f"(its message cannot be read: {type(fault).__name__})"
    text = " ".join(_CONTROL.sub("", text).split())
    return f"{type(error).__name__}: {text if len(text) <= 300 else text[:299] + '…'}"
