"""Names of files: in the order that people expect, and shown so that they command no terminal."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_DIGITS = re.compile(r"(\d+)")


def natural(name: str) -> tuple[tuple[tuple[int, int | str], ...], str]:
    """Return what to sort a name by, so that ``img2`` comes before ``img10``."""
    parts = _DIGITS.split(name)
    key = tuple((0, int(part)) if i % 2 else (1, part.casefold()) for i, part in enumerate(parts) if part)
    return key, name


def shown(name: str | Path) -> str:
    """Return a name as text of one line: what is not printable, and what is not UTF-8, is escaped."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in os.fspath(name)
    )
