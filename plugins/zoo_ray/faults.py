"""What went wrong on a cluster, as a line of text."""

from __future__ import annotations

from zoo import printable

_START, _END = 200, 400  # characters that are kept of a long message


def one_line(error: BaseException) -> str:
    """Return an exception's type and message, on one line.

    Of a long message the start and the end are kept: Ray says first what it is about, TensorFlow last, and what lies
    between are traces of calls.
    """
    text = " ".join(printable(str(error)).split())
    if len(text) > _START + _END:
        text = f"{text[:_START]} … {text[-_END:]}"
    return f"{type(error).__name__}: {text}"
