"""What the commands of this plugin write: tables and JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from zoo import printable

if TYPE_CHECKING:
    from collections.abc import Sequence


def table(rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    """Return rows as text, their columns aligned; nothing in them can command a terminal.

    Args:
        rows: Of one length each.
        numbers: Columns to align at their right.
    """
    cleaned = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*cleaned, strict=True)]
    lines = [
        [cell.rjust(width) if at in numbers else cell.ljust(width) for at, (cell, width) in enumerate(pairs)]
        for pairs in (list(zip(row, widths, strict=True)) for row in cleaned)
    ]
    return "\n".join("  ".join(line).rstrip() for line in lines)


def echo_json(value: Any) -> None:
    """Print a value as JSON on standard output."""
    click.echo(json.dumps(value, indent=2))
