"""File names: sorted in natural order, and escaped so that they cannot control a terminal."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_JOINERS = "\u200c\u200d"
_DIGITS = re.compile(r"(\d+)")


def natural(name: str) -> tuple[tuple[tuple[int, int | str], ...], str]:
    """Return a sort key that puts ``img2`` before ``img10``."""
    parts = _DIGITS.split(name)
    key = tuple((0, int(part)) if i % 2 else (1, part.casefold()) for i, part in enumerate(parts) if part)
    return key, name


def shown(name: str | Path) -> str:
    """Return a name as one line of text, with non-printable characters and bytes that are not UTF-8 escaped.

    Joiners stay: Persian and Indian words and composed emoji are written with them.
    """
    text = os.fspath(name)
    if text.isprintable():  # nearly every name
        return text
    return "".join(
        letter if letter.isprintable() or letter in _JOINERS else letter.encode("unicode_escape").decode()
        for letter in text
    )
