"""Reads the pixels of images from a table: one row per image, values from 0 to 255."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from zoo import DataError
from zoo.images import shown
from zoo_images.tables.digits import IrregularTextError, read_numbers, read_spaced
from zoo_images.tables.text import LONGEST_LINE, MOST_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from zoo_images.tables.rows import Fields, Source

    Batch = tuple[NDArray[np.uint8], list[tuple[int, Fields]]]

_BLOCK = 1 << 20  # bytes parsed at a time
_ROWS = 256  # rows parsed at a time, one by one
_NEWLINE = ord("\n")
_BRIGHTEST = 255


def image_shape(source: Source, shape: tuple[int, int, int] | None) -> tuple[int, int, int]:
    """Return the height, width and channels of the images of a table.

    Args:
        source: The table.
        shape: What they should be; None if they are gray, and square unless the names of columns say otherwise.

    Raises:
        DataError: The number of pixels of an image does not fit.
    """
    columns = source.columns.pixels
    if shape is None and source.columns.grid is not None:
        return *source.columns.grid, 1
    count = len(columns)
    if count == 1:
        count = len(source.start[0][1][columns[0]].split())
    side = math.isqrt(count)
    if shape is None and side * side == count and side:
        return side, side, 1
    if shape is None or math.prod(shape) != count:
        raise DataError(
            f"{shown(source.path)}: The pixels of an image {'make no square' if shape is None else 'do not fill it'}. "
            "Set height, width and channels, for example --set dataset.shape=28,28,1; values of pixels are row by "
            "row, channels last. "
            f"Received: {count} pixels{'' if shape is None else f', dataset.shape={shape}'}",
            path=source.path,
        )
    return shape


def read_pixels(source: Source, count: int) -> tuple[NDArray[np.uint8], list[tuple[int, Fields]]]:
    """Return the pixels of all rows, ``(n, count)`` uint8, and for each row its line number and its `Columns.marks`.

    Args:
        source: The table.
        count: Number of pixels of an image.

    Raises:
        DataError: A value is not an integer from 0 to 255, or a row has another number of pixels.
    """
    import numpy as np

    try:
        batches = list(_fast(source))
    except IrregularTextError:
        batches = list(_by_row(source, count))
    pixels = np.concatenate([each for each, _ in batches]) if batches else np.empty((0, count), np.uint8)
    return pixels, [row for _, rows in batches for row in rows]


def _fast(source: Source) -> Iterator[Batch]:
    """Iterate over the rows of a table in which every pixel has one to three digits and a column of its own.

    Raises:
        IrregularTextError: The table is not like that.
    """
    if len(source.columns.pixels) == 1 or source.table.encoding != "utf-8-sig" or source.table.skipped:
        raise IrregularTextError
    line, rest = 1, b""
    with source.table.open() as file:
        if source.columns.has_header:
            header = file.readline(LONGEST_LINE).decode(source.table.encoding, "replace").rstrip("\r\n")
            if header.split(source.table.delimiter) != list(source.table.first):  # after empty lines, or with quotes
                raise IrregularTextError
            line = 2
        elif file.read(3) != b"\xef\xbb\xbf":
            file.seek(0)
        while block := file.read(_BLOCK):
            whole, end, rest = (rest + block).replace(b"\r\n", b"\n").rpartition(b"\n")
            if len(rest) > LONGEST_LINE or line > MOST_ROWS:
                raise IrregularTextError  # which says where
            if end:
                yield _parse(source, whole + end, line)
                line += whole.count(b"\n") + 1
        if rest:
            yield _parse(source, rest.rstrip(b"\r") + b"\n", line)


def _parse(source: Source, text: bytes, line: int) -> Batch:
    """Return the pixels of some lines, and for each line its number and its other fields that are needed."""
    import numpy as np

    columns, delimiter = source.columns, ord(source.table.delimiter)
    data = np.frombuffer(text, np.uint8)
    is_newline = data == _NEWLINE
    is_end = is_newline | (data == delimiter)
    ends = np.flatnonzero(is_end)
    width = len(columns.names)
    newlines = ends[width - 1 :: width]
    if b'"' in text or len(ends) % width or not is_newline[newlines].all() or is_newline.sum() != len(newlines):
        raise IrregularTextError
    first, last = columns.pixels[0], columns.pixels[-1]
    is_range = columns.pixels == tuple(range(first, last + 1))
    chosen = slice(first, last + 1) if is_range else list(columns.pixels)  # a slice makes no copy
    lengths = np.diff(ends, prepend=-1).reshape(-1, width) - 1
    stops = ends.reshape(-1, width)
    pixels = read_numbers(data, is_end, stops, lengths, chosen)
    places = [(each, (stops - lengths)[:, each].tolist(), stops[:, each].tolist()) for each in columns.marks]
    try:
        rows: list[tuple[int, Fields]] = [
            (line + i, {each: text[begin[i] : end[i]].decode() for each, begin, end in places})
            for i in range(len(stops))
        ]
    except UnicodeDecodeError as error:
        raise IrregularTextError from error
    return pixels, rows


def _by_row(source: Source, count: int) -> Iterator[Batch]:
    import numpy as np

    columns, marks = source.columns.pixels, source.columns.marks
    rows = source.rows()
    while several := list(itertools.islice(rows, _ROWS)):
        pixels = np.empty((len(several), count), np.uint8)
        kept: list[tuple[int, Fields]] = []
        for i, (line, fields) in enumerate(several):
            texts = fields[columns[0]].split() if len(columns) == 1 else [fields[each] for each in columns]
            if len(texts) != count:
                raise DataError(
                    f"{shown(source.path)}, line {line}: Every image must have as many pixels as the first. Correct or "
                    f"remove the row. Received: {len(texts)} instead of {count} pixels",
                    path=source.path,
                )
            try:
                pixels[i] = read_spaced(fields[columns[0]]) if len(columns) == 1 else np.array(texts, np.uint8)
            except (ValueError, OverflowError, IrregularTextError):
                pixels[i] = [_number(source, line, j, text) for j, text in enumerate(texts)]
            kept.append((line, {each: fields[each] for each in marks}))
        yield pixels, kept


def _number(source: Source, line: int, index: int, text: str) -> int:
    """Return a pixel, which may be written as ``12.0``."""
    try:
        value = float(text)
    except ValueError:
        value = -1
    if value not in range(_BRIGHTEST + 1):
        columns = source.columns.pixels
        where = source.column(columns[0]) if len(columns) == 1 else source.column(columns[index])
        scale = " If values are from 0 to 1, multiply them by 255 and round them." if 0 < value < 1 else ""
        raise DataError(
            f"{shown(source.path)}, line {line}, column {shown(where):.60}: A pixel must be an integer from 0 to 255."
            f"{scale} Correct the value. Received: '{shown(text):.60}'",
            path=source.path,
        )
    return int(value)
