"""Which tables of a folder, and which rows of a table, belong to which split."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from zoo import DataError
from zoo.images import natural, shown
from zoo_images.data_dirs import require
from zoo_images.split_names import SPLIT_NAMES, SPLIT_OF

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

SUFFIXES = (".csv", ".tsv", ".parquet")
"""Suffixes of tables, in lowercase."""

COLUMNS = frozenset({"split", "subset", "set", "usage", "part", "partition", "phase"})
"""Usual names of a column of splits, as `column_key` makes them."""

_PARTS = {**SPLIT_OF, "publictest": "validation", "privatetest": "test"}  # the last two are those of FER2013
_WORDS = re.compile(r"[a-z]+")
_NAMED = 5  # tables, or values, named in a message


def part_named(text: str) -> str | None:
    """Return the split that a value of a column, or the name of a folder, stands for; None if none."""
    return _PARTS.get(text.strip().casefold())


def parts_in(name: str) -> frozenset[str]:
    """Return the splits that words of a name, such as ``train_images``, stand for."""
    return frozenset(_PARTS[word] for word in _WORDS.findall(name.casefold()) if word in _PARTS)


def find_split_column(path: Path, keys: Mapping[int, str], rows: Sequence[Sequence[str]]) -> int | None:
    """Return the column with a usual name whose values are splits; None if there is none.

    Args:
        path: The table, for messages.
        keys: Names of columns, in lowercase, by their positions.
        rows: Some rows.

    Raises:
        DataError: There is more than one, or a column ``split`` has other values.
    """
    named = {i: key for i, key in keys.items() if key in COLUMNS and rows}
    found = [i for i in named if not other_values(row[i] for row in rows)]
    if len(found) > 1:
        raise DataError(
            f"{shown(path)} has more than one column of splits. Choose one with --set dataset.split=COLUMN. "
            f"Received: columns={[keys[i] for i in found]}",
            path=path,
        )
    odd = [i for i in named if keys[i] == "split" and i not in found]
    if odd and not found:
        raise DataError(
            f"{shown(path)}: Column split must have the name of a split in each row: train, validation or test. "
            "Correct it, choose another column with --set dataset.split=COLUMN, or ignore it with dataset.split=none. "
            f"Received: {other_values(row[odd[0]] for row in rows)}",
            path=path,
        )
    return found[0] if found else None


def other_values(values: Iterable[str]) -> list[str]:
    """Return the first few different values that are not the names of splits, for messages."""
    others = dict.fromkeys(value for value in values if part_named(value) is None)
    return [f"{shown(text):.60}" for text in others][:_NAMED]


def find_tables(data_dir: Path | None) -> dict[str, Path]:
    """Return the tables to read, by split: one alone is ``"train"``.

    Args:
        data_dir: A table; or a folder with exactly one table, or with one for each split, such as ``train.csv`` and
            ``fashion-mnist_test.csv``. Hidden files and sample submissions are ignored.

    Raises:
        DataError: There are none, or more than one for a split.
    """
    data_dir = require(data_dir, "table", "a table of images and labels", "labels.csv")
    if not data_dir.is_dir():
        return {"train": data_dir}
    try:
        names = [each.name for each in data_dir.iterdir() if each.name.casefold().endswith(SUFFIXES)]
    except OSError as error:
        raise DataError(
            f"{shown(data_dir)} cannot be read: {error.strerror}. Check the path and its permissions.", path=data_dir
        ) from error
    names = sorted((name for name in names if not _is_ignored(name)), key=natural)
    if len(names) == 1:
        return {"train": data_dir / names[0]}
    tables: dict[str, Path] = {}
    for name in names:
        part = _part_of_name(name)
        if part is None or part in tables:
            tables.clear()
            break
        tables[part] = data_dir / name
    if "train" not in tables:
        raise DataError(
            f"{shown(data_dir)} has {'more than one table' if names else 'no table'}. Pass the table itself, or a "
            "folder with one table, or with train.csv and optionally validation.csv and test.csv. "
            f"Received: tables={[shown(name) for name in names[:_NAMED]]}",
            path=data_dir,
        )
    return {part: tables[part] for part in SPLIT_NAMES if part in tables}


def _is_ignored(name: str) -> bool:
    text = name.casefold()
    return text.startswith(".") or ("sample" in text and "submission" in text)


def _part_of_name(name: str) -> str | None:
    """Return the split that the first or last word of a table's name stands for."""
    words = _WORDS.findall(name.casefold().rpartition(".")[0])
    return (_PARTS.get(words[-1]) or _PARTS.get(words[0])) if words else None
