"""Faults of plugins' code, told as theirs."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from zoo.errors import PluginError, ZooError

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONTROL = re.compile(r"\x1b\[[0-9;]*m|[\x00-\x08\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_ENDS_OF_LINES = re.compile(r"[ \t]*[\r\n]\s*")
_WHITE = re.compile(r"[\t-\r]")
_START, _END = 150, 300  # characters that are kept of a long message


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
    """Return an exception's type and message, on one line that is not too long.

    Of a long message the start and the end are kept: Ray says first what it is about, TensorFlow last, and what lies
    between are traces of calls.
    """
    try:
        text = str(error)
    except Exception as fault:  # even that can fail
        text = f"(its message cannot be read: {type(fault).__name__})"
    text = printable(text).encode(errors="backslashreplace").decode()
    if len(text) > _START + _END:
        text = f"{text[:_START]} … {text[-_END:]}"
    return f"{type(error).__name__}: {text}"


def printable(text: str) -> str:
    """Return a text on one line, without what would command a terminal."""
    return without_control(_ENDS_OF_LINES.sub(" ", text)).strip()


def without_control(text: str) -> str:
    """Return a text without the characters that command a terminal; ends of lines and tabs become blanks."""
    return _WHITE.sub(" ", _CONTROL.sub("", text))
