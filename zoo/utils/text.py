"""Text: one-line messages without control characters, similar names, durations, names of classes."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"\x1b\[[0-9;]*m|[\x00-\x08\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_ENDS_OF_LINES = re.compile(r"[ \t]*[\r\n]\s*")
_WHITE = re.compile(r"[\t-\r]")
_START, _END = 150, 300  # number of characters kept from a long message


def one_line(error: BaseException) -> str:
    """Return an exception's type and message on one line of limited length.

    For a long message, the start and the end are kept: Ray puts the cause at the start, TensorFlow at the end, and
    stack traces in between.
    """
    try:
        text = str(error)
    except Exception as fault:  # even str() can fail
        text = f"(its message cannot be read: {type(fault).__name__})"
    text = printable(text).encode(errors="backslashreplace").decode()
    if len(text) > _START + _END:
        text = f"{text[:_START]} … {text[-_END:]}"
    return f"{type(error).__name__}: {text}"


def printable(text: str) -> str:
    """Return a text on one line, without terminal control characters."""
    return without_control(_ENDS_OF_LINES.sub(" ", text)).strip()


def without_control(text: str) -> str:
    """Return a text without terminal control characters; line breaks and tabs become spaces."""
    return _WHITE.sub(" ", _CONTROL.sub("", text))


def close_names(name: str, known: list[str], *, cutoff: float = 0.6) -> list[str]:
    """Return up to three known names that are similar to a name by at least ``cutoff``, the most similar first."""
    import difflib

    return difflib.get_close_matches(name, known, n=3, cutoff=cutoff)


def did_you_mean(close: list[str]) -> str:
    """Return ``" Did you mean 'fashion-cnn'?"``, or an empty string without names."""
    if not close:
        return ""
    *others, last = map(repr, close)
    return f" Did you mean {', '.join(others)} or {last}?" if others else f" Did you mean {last}?"


def suggest(name: str, known: list[str]) -> str:
    """Return ``" Did you mean 'fashion-cnn'?"`` for similar known names, or an empty string if there are none."""
    return did_you_mean(close_names(name, known))


def duration(seconds: float) -> str:
    """Format a duration in seconds for display: ``8.3 s``, ``8 min 17 s``, ``2 h 5 min``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def snake_case(name: str) -> str:
    """Return the name of a class as Keras writes it in automatic names: ``"batch_normalization"``."""
    words = re.sub(r"\W+", "", name)
    words = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", words)
    return re.sub("([a-z])([A-Z])", r"\1_\2", words).lower()
