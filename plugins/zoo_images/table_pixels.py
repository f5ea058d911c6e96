"""Reads the pixels of images from a table: one row per image, values from 0 to 255."""

from __future__ import annotations

import itertools
import math
import os
from typing import TYPE_CHECKING

from zoo import DataError
from zoo.images import open_regular, shown
from zoo.utils import usable_memory
from zoo_images.table_text import LONGEST_LINE, MOST_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from zoo_images.table_rows import Fields, Source

    Batch = tuple[NDArray[np.uint8], list[tuple[int, Fields]]]

_SHARE = 0.25  # maximum size of a table as a share of the memory; its pixels take at most half of that
_BLOCK = 1 << 20  # bytes parsed at a time
_ROWS = 256  # rows parsed at a time, one by one
_NEWLINE, _ZERO, _BRIGHTEST = ord("\n"), ord("0"), 255


class _Irregular(Exception):  # noqa: N818  # no error: the table is read again, row by row
    """A table has quotes, spaces, fractions or other text where the fast reader takes only digits."""


def image_shape(source: Source, shape: tuple[int, int, int] | None) -> tuple[int, int, int]:
    """Return the height, width and channels of the images of a table.

    Args:
        source: The table.
        shape: What they should be; None if they are square and gray.

    Raises:
        DataError: The number of pixels of an image does not fit.
    """
    columns = source.columns.pixels
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


def check_memory(sources: Sequence[Source]) -> None:
    """Raise `DataError` if tables are too large to hold their pixels in memory."""
    size = 0
    for source in sources:
        with open_regular(source.path) as file:
            size += os.fstat(file.fileno()).st_size
    if size > _SHARE * usable_memory():
        raise DataError(
            f"{shown(sources[0].path)} has more pixels than fit in a quarter of the memory. Save the images as files "
            f"and use a table of file names, which are streamed from disk. Received: {size} bytes",
            path=sources[0].path,
        )


def read_pixels(source: Source, count: int) -> tuple[NDArray[np.uint8], list[tuple[int, Fields]]]:
    """Return the pixels of all rows, ``(n, count)`` uint8, and for each row its line number and other fields.

    Args:
        source: The table.
        count: Number of pixels of an image.

    Raises:
        DataError: A value is not an integer from 0 to 255, or a row has another number of pixels.
    """
    import numpy as np

    try:
        batches = list(_fast(source))
    except _Irregular:
        batches = list(_by_row(source, count))
    pixels = np.concatenate([each for each, _ in batches]) if batches else np.empty((0, count), np.uint8)
    return pixels, [row for _, rows in batches for row in rows]


def _fast(source: Source) -> Iterator[Batch]:
    """Iterate over the rows of a table in which every pixel has one to three digits and a column of its own.

    Raises:
        _Irregular: The table is not like that.
    """
    if len(source.columns.pixels) == 1 or source.table.encoding != "utf-8-sig":
        raise _Irregular
    line, rest = 1, b""
    with open_regular(source.path) as file:
        if source.columns.has_header:
            header = file.readline(LONGEST_LINE)
            if b'"' in header or b"\r" in header.rstrip(b"\r\n"):
                raise _Irregular
            line = 2
        elif file.read(3) != b"\xef\xbb\xbf":
            file.seek(0)
        while block := file.read(_BLOCK):
            whole, end, rest = (rest + block).replace(b"\r\n", b"\n").rpartition(b"\n")
            if len(rest) > LONGEST_LINE or line > MOST_ROWS:
                raise _Irregular  # which says where
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
    ends = np.flatnonzero((data == delimiter) | (data == _NEWLINE))
    if b'"' in text or len(ends) % len(columns.names):
        raise _Irregular
    starts = np.concatenate([[0], ends[:-1] + 1]).reshape(-1, len(columns.names))
    ends = ends.reshape(starts.shape)
    if not (data[ends[:, -1]] == _NEWLINE).all() or not (data[ends[:, :-1]] == delimiter).all():
        raise _Irregular
    chosen = list(columns.pixels)
    pixels = _numbers(data, starts[:, chosen], ends[:, chosen])
    others = [*columns.labels, *(each for each in (columns.split, columns.group) if each is not None)]
    rows: list[tuple[int, Fields]] = []
    places = [(other, starts[:, other].tolist(), ends[:, other].tolist()) for other in others]
    try:
        for i in range(len(pixels)):
            rows.append((line + i, {other: text[s[i] : e[i]].decode() for other, s, e in places}))  # noqa: PERF401
    except UnicodeDecodeError as error:
        raise _Irregular from error
    return pixels, rows


def _numbers(data: NDArray[np.uint8], starts: NDArray[np.intp], ends: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Return the numbers from 0 to 255 whose digits are between these places of a text."""
    import numpy as np

    lengths = ends - starts
    if lengths.size and not 1 <= lengths.min() <= lengths.max() <= 3:
        raise _Irregular
    values = np.zeros(starts.shape, np.uint16)
    for place, power in enumerate((1, 10, 100)):
        digits = data[np.maximum(ends - 1 - place, 0)] - _ZERO  # less than zero wraps around
        digits[lengths <= place] = 0
        if (digits > 9).any():
            raise _Irregular
        values += digits * np.uint16(power)
    if values.max(initial=0) > _BRIGHTEST:
        raise _Irregular
    return values.astype(np.uint8)


def _by_row(source: Source, count: int) -> Iterator[Batch]:
    import numpy as np

    columns = source.columns.pixels
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
                pixels[i] = np.array(texts, np.uint8)
            except (ValueError, OverflowError):
                pixels[i] = [_number(source, line, j, text) for j, text in enumerate(texts)]
            kept.append((line, {j: text for j, text in enumerate(fields) if j not in columns}))
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
            f"{scale} Correct the value. Received: {shown(text)!r:.60}",
            path=source.path,
        )
    return int(value)
