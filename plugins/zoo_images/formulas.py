"""Texts that a spreadsheet must not read as formulas."""

from __future__ import annotations


def no_formula(text: str, before: str) -> str:
    """Return a text, with a prefix if it starts like a formula."""
    return before + text if text.startswith(("=", "+", "-", "@")) else text
