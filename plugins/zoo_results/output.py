"""What the commands of this plugin write: tables, JSON, files."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from typing import TYPE_CHECKING, Any

import click

from zoo import ZooError, printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


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


def setting_text(value: Any) -> str:
    """Return the value of a setting as ``--set`` takes it: ``32,64``, ``none``."""
    if isinstance(value, list | tuple):
        return ",".join(setting_text(part) for part in value)
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def write_file(path: Path, data: bytes) -> None:
    """Write a file so that what was there before is replaced by all of it or stays.

    Raises:
        ZooError: It cannot be written.
    """
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as error:
        raise ZooError(
            f"Cannot write {path}: {error.strerror or error}. Choose another file with --out. Received: out={path}"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
