"""Texts for people: messages on one line, without control characters; close names; durations."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"\x1b\[[0-9;]*m|[\x00-\x08\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_ENDS_OF_LINES = re.compile(r"[ \t]*[\r\n]\s*")
_WHITE = re.compile(r"[\t-\r]")
_START, _END = 150, 300  # characters that are kept of a long message


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


def close_names(name: str, known: list[str]) -> list[str]:
    """Return the known names that are closest to a name, at most three, or none when none is close."""
    import difflib

    return difflib.get_close_matches(name, known, n=3)


def did_you_mean(close: list[str]) -> str:
    """Return ``" Did you mean 'fashion-cnn'?"``, or nothing for no names."""
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else ""


def suggest(name: str, known: list[str]) -> str:
    """Return ``" Did you mean 'fashion-cnn'?"`` for the closest known names, or nothing when none is close."""
    return did_you_mean(close_names(name, known))


def duration(seconds: float) -> str:
    """Return seconds as a person says them: ``8.3 s``, ``8 min 17 s``, ``2 h 5 min``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
