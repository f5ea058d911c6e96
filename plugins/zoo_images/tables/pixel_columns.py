"""Finds the columns of pixels in a table, and the order of the pixels in an image."""

from __future__ import annotations

import itertools
import math
import re
from typing import TYPE_CHECKING

from zoo import DataError
from zoo.images import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    Grid = tuple[int, int]

FEWEST_PIXELS = 16
"""Minimum number of columns that are pixels."""

NUMBER = re.compile(r" *-?[0-9]+(\.0*)? *")
"""A value of a column of pixels."""

_PIXELS = "pixels"
_NAME = re.compile(  # with the number of a pixel, or its row and column
    r"(?:pixels?|px|p|x|v)?[ _-]?([0-9]{1,9})|(?:pixels?[ _-]?)?([0-9]{1,9})x([0-9]{1,9})|"
    r"pixels?[ _-]?([0-9]{1,9})[ _-]([0-9]{1,9})",
    re.IGNORECASE,
)
_NAMED = 5  # columns named in a message


def find_pixels(
    path: Path,
    names: Sequence[str],
    keys: Sequence[str],
    others: Sequence[int],
    rows: Sequence[Sequence[str]],
    has_header: bool,
) -> tuple[tuple[int, ...], Grid | None]:
    """Return the columns of pixels, row by row, and the numbers of rows and columns that their names say, if any.

    Args:
        path: The table, for messages.
        names: Names of all columns.
        keys: The same as `column_key` makes them.
        others: The columns that may have pixels.
        rows: Some rows.
        has_header: Whether the names are those of a header.

    Raises:
        DataError: The order of the pixels is not known.
    """
    if _PIXELS in keys:
        return (keys.index(_PIXELS),), None
    if has_header:
        found = {i: match for i in others if (match := _NAME.fullmatch(names[i]))}
        if len(found) < FEWEST_PIXELS:
            return (), None
        places = {i: tuple(int(text) for text in match.groups() if text) for i, match in found.items()}
        return _sort_pixels(path, names, places)
    texts = [i for i in others if not NUMBER.fullmatch(rows[0][i])]
    numbers = [i for i in others if i not in texts]
    if len(numbers) < FEWEST_PIXELS:
        return (), None
    if not texts and len(numbers) == len(names):
        numbers.remove(_label_without_name(rows))
    return tuple(numbers), None


def _sort_pixels(
    path: Path, names: Sequence[str], places: Mapping[int, tuple[int, ...]]
) -> tuple[tuple[int, ...], Grid | None]:
    """Return columns in the order of the numbers in their names, and the grid that these fill, if they do.

    Columns that are in order already stay so: with numbers that are missing, or with that of the column before the row.

    Args:
        path: The table, for messages.
        names: Names of all columns.
        places: The numbers in the name of each column of pixels: its own, or its row and column.

    Raises:
        DataError: Numbers are missing or repeated, and the columns are not in order.
    """
    given = list(places.values())
    is_sorted = given == sorted(set(given))
    ranges = [range(min(axis), max(axis) + 1) for axis in zip(*given, strict=False)]
    sides = [len(each) for each in ranges]
    if (
        math.prod(sides) == len(given)
        and all(each.start <= 1 for each in ranges)
        and set(given) == set(itertools.product(*ranges))
    ):
        is_swapped = not is_sorted and given == sorted(given, key=lambda place: place[::-1])
        height, width = (*sides[::-1], 1)[:2] if is_swapped else (*sides, 1)[:2]
        order = places if is_swapped else sorted(places, key=places.__getitem__)
        return tuple(order), (height, width) if min(height, width) > 1 else None
    if not is_sorted:
        raise DataError(
            f"{shown(path)}: The order of its columns of pixels is not known. Number them without gaps or repetitions, "
            "from 0 or 1, or sort them: row by row, channels last. "
            f"Received: columns={[f'{shown(names[i]):.60}' for i in places][:_NAMED]}",
            path=path,
        )
    return tuple(places), None


def _label_without_name(rows: Sequence[Sequence[str]]) -> int:
    """Return which column of numbers has the labels: the first or last, whichever is less like its neighbor."""

    def distance(column: int, neighbor: int) -> float:
        return sum(
            abs(float(row[column]) - float(row[neighbor]))
            for row in rows
            if NUMBER.fullmatch(row[column]) and NUMBER.fullmatch(row[neighbor])
        )

    return 0 if distance(0, 1) >= distance(-1, -2) else len(rows[0]) - 1
