"""Finds out what the columns of a table are: names of files or pixels, labels, splits and groups."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo import DataError
from zoo.images import SUFFIXES, shown
from zoo_images.tables.pixel_columns import FEWEST_PIXELS, NUMBER, find_pixels
from zoo_images.tables.splits import find_split_column

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

# without spaces, hyphens and underscores, in lowercase; the first that a table has is used
_FILES = (
    "filepath", "imagepath", "imgpath", "path", "filename", "imagename", "imagefile", "imgname", "file", "image", "img",
    "picture", "photo", "imageid", "imgid", "idcode", "id",
)  # fmt: skip
_LABELS = frozenset(
    {
        "label", "labels", "labelname", "class", "classes", "classname", "category", "categoryname", "target", "y",
        "diagnosis", "dx", "breed", "species", "emotion", "digit",
    }
)  # fmt: skip
_FLAG = re.compile(r" *[01](\.0*)? *")
_IMAGE_AND_MORE = re.compile(rf".*({'|'.join(map(re.escape, SUFFIXES))})\s+\S.*", re.IGNORECASE | re.DOTALL)
_NAMED = 10  # columns named in a message


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Names of columns that settings choose; empty to find them."""

    files: str = ""
    labels: str = ""
    split: str = ""
    group: str = ""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What the columns of a table are, by their positions.

    Args:
        names: Names of all columns: those of the header, else numbers from 1.
        has_header: Whether the first row has the names.
        files: The column of names of files; None if there are pixels.
        pixels: The columns of pixels, row by row, or the one that has all pixels of an image.
        grid: Numbers of rows and columns of pixels that names of columns say, as ``1x1``; None if they do not.
        labels: The column of labels, or the columns of ones and zeros, one for each class; empty if there are none.
        split: The column of splits.
        group: The column of groups.
    """

    names: tuple[str, ...]
    has_header: bool
    files: int | None = None
    pixels: tuple[int, ...] = ()
    grid: tuple[int, int] | None = None
    labels: tuple[int, ...] = ()
    split: int | None = None
    group: int | None = None

    @property
    def marks(self) -> tuple[int, ...]:
        """The columns of labels, splits and groups, which each row is asked for."""
        return (*self.labels, *(each for each in (self.split, self.group) if each is not None))


def find_columns(path: Path, first: Sequence[str], rows: Sequence[Sequence[str]], wanted: Wanted) -> Columns:
    """Return what the columns of a table are.

    Args:
        path: The table, for error messages.
        first: The first row.
        rows: Some rows after it.
        wanted: Columns that settings choose.

    Raises:
        DataError: A column is missing, or could be more than one.
    """
    _check_delimited(path, first, rows)
    has_header = _has_header(first)
    names = tuple(name.strip() for name in first) if has_header else tuple(str(i + 1) for i in range(len(first)))
    rows = rows if has_header else [first, *rows]
    has_groups = any(name.casefold() == "group" for name in names)
    named = {
        "files": wanted.files,
        "labels": wanted.labels,
        "split": wanted.split,
        "group": wanted.group or ("group" if has_groups else ""),
    }
    ignored = [kind for kind in ("split", "group") if named[kind] == "none" and "none" not in names]
    chosen = {kind: _position(path, names, kind, name) for kind, name in named.items() if name and kind not in ignored}
    keys = [column_key(name) for name in names]
    split = chosen.get("split")
    if split is None and "split" not in ignored:
        split = find_split_column(path, {i: key for i, key in enumerate(keys) if i not in chosen.values()}, rows)
    others = [i for i in range(len(names)) if i not in chosen.values() and i != split]
    pixels, grid = ((), None) if "files" in chosen else find_pixels(path, names, keys, others, rows, has_header)
    files = chosen.get("files")
    if files is None and not pixels:
        files = _files(path, names, keys, others, rows)
    others = [i for i in others if i not in pixels and i != files]
    labels = (chosen["labels"],) if "labels" in chosen else _labels(path, names, keys, others, rows, bool(pixels))
    return Columns(
        names=names,
        has_header=has_header,
        files=files,
        pixels=pixels,
        grid=grid,
        labels=labels,
        split=split,
        group=chosen.get("group"),
    )


def _check_delimited(path: Path, first: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Raise `DataError` if only spaces are between names of files and their labels."""
    spaced = [row[0] for row in (first, *rows) if len(row) == 1 and _IMAGE_AND_MORE.fullmatch(row[0])]
    if spaced and not _is_image(spaced[0]):
        raise DataError(
            f"{shown(path)} has no delimiter between files and labels that is read: commas, tabs, semicolons or pipes. "
            f"Write one in place of the spaces. Received: '{shown(spaced[0]):.100}'",
            path=path,
        )


def column_key(name: str) -> str:
    """Return the form in which names of columns are compared: lowercase, without spaces, hyphens and underscores."""
    return re.sub(r"[\s_-]", "", name).casefold()


def _has_header(first: Sequence[str]) -> bool:
    """Return whether a first row is a header: not if it has the name of an image file, or many numbers."""
    if any(_is_image(text) for text in first):
        return False
    if len(first) == 2:
        return True
    numbers = sorted(int(float(text)) for text in first if NUMBER.fullmatch(text) and len(text) < 20)
    are_counted = numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True
    return are_counted or len(numbers) < max(FEWEST_PIXELS, len(first) - 3)


def _position(path: Path, names: Sequence[str], setting: str, name: str) -> int:
    found = [i for i, each in enumerate(names) if each == name] or [
        i for i, each in enumerate(names) if each.casefold() == name.casefold()
    ]
    if len(found) != 1:
        raise DataError(
            f"{shown(path)} has {'more than one' if found else 'no'} column '{shown(name):.100}', which "
            f"dataset.{setting} names. Name a column of the table. Received: columns={_shortened(names)}",
            path=path,
        )
    return found[0]


def _files(
    path: Path, names: Sequence[str], keys: Sequence[str], others: Sequence[int], rows: Sequence[Sequence[str]]
) -> int:
    for key in _FILES:
        if found := [i for i in others if keys[i] == key]:
            return found[0]
    found = [i for i in others if rows and all(_is_image(row[i]) for row in rows)]
    if len(found) != 1:
        raise DataError(
            f"{shown(path)} has no known column of image files or pixels. Name the column of files with "
            f"--set dataset.files=COLUMN. Received: columns={_shortened(names)}",
            path=path,
        )
    return found[0]


def _labels(
    path: Path,
    names: Sequence[str],
    keys: Sequence[str],
    others: Sequence[int],
    rows: Sequence[Sequence[str]],
    has_pixels: bool,
) -> tuple[int, ...]:
    found = [i for i in others if keys[i] in _LABELS]
    if not found and len(others) == 1 and (has_pixels or len(names) == 2):
        found = list(others)
    if len(found) > 1:
        raise DataError(
            f"{shown(path)} has more than one column that may have the labels. Choose one with "
            f"--set dataset.labels=COLUMN. Received: columns={_shortened([names[i] for i in found])}",
            path=path,
        )
    if not found and len(others) > 1 and rows and _all(lambda text: bool(_FLAG.fullmatch(text)), others, rows):
        return tuple(others)
    if not found and others and not has_pixels:
        raise DataError(
            f"{shown(path)} has no known column of labels. Name it with --set dataset.labels=COLUMN. "
            f"Received: columns={_shortened(names)}",
            path=path,
        )
    return tuple(found)


def _all(is_so: Callable[[str], bool], columns: Sequence[int], rows: Sequence[Sequence[str]]) -> bool:
    return all(is_so(row[i]) for row in rows for i in columns)


def _is_image(text: str) -> bool:
    return text.strip().casefold().endswith(SUFFIXES)


def _shortened(names: Sequence[str]) -> list[str]:
    few = [f"{shown(name):.60}" for name in names[:_NAMED]]
    return [*few, f"and {len(names) - _NAMED} more"] if len(names) > _NAMED else few
