"""Numbers with the word for what they count."""

from __future__ import annotations


def counted(count: int, one: str, more: str) -> str:
    """Return ``"1 image"`` or ``"2,000 images"``."""
    return f"{count:,} {one if count == 1 else more}"
