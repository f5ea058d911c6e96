"""Reads tables of text, CSV and the like: untrusted, so that every line, row and column is bounded."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import itertools
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from zoo import DataError
from zoo.images import is_web_page, open_regular, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    Opener = Callable[[], BinaryIO]

MOST_ROWS = 4_000_000
"""Maximum number of rows of a table."""

MOST_COLUMNS = 1 << 16
"""Maximum number of columns of a table."""

LONGEST_LINE = 1 << 22
"""Maximum length of a line, in bytes or characters."""

LONGEST_FIELD = 1 << 17
"""Maximum length of a field in characters; that of Python's csv module."""

_DELIMITERS = (",", "\t", ";", "|")
_START = 64  # bytes that tell the encoding, and what is no table
_SPACED_QUOTE = re.compile(r'(?:^|[,\t;|]) +"')  # of a field in quotes after spaces
_QUOTED = re.compile(r'(^|[,\t;|]) *"(?:[^"]|"")*("|$)')
_NAMED_DELIMITER = re.compile(r'"?sep=([,\t;|])"?[\r\n]*')  # the first line of some tables for Excel
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_KINDS = (  # first bytes, in lowercase
    (b"pk\x03\x04", "a ZIP archive or an Excel workbook: unpack it, or save the sheet as CSV"),
    (b"\x1f\x8b", "compressed with gzip: unpack it"),
    (b"version https://git-lfs", "a pointer to a file in Git LFS: fetch the file with `git lfs pull`"),
)

Row = tuple[int, list[str]]
"""Line number of a row in its file, from 1, and its fields."""


@dataclass(frozen=True, kw_only=True)
class TextTable:
    """A table of text.

    Args:
        path: The file, for messages.
        open: Opens the text, which is that of ``path`` if the table is written as text.
        encoding: ``"utf-8-sig"``, or ``"utf-16"`` if the file begins with its mark.
        delimiter: The character between fields.
        first: Fields of the first row, which may be a header.
        skipped: Number of lines before it that are no rows: one if that names the delimiter, as ``sep=;``.
    """

    path: Path
    open: Opener
    encoding: str
    delimiter: str
    first: tuple[str, ...]
    skipped: int = 0

    def rows(self, skip: int = 0) -> Iterator[Row]:
        """Iterate over the rows without the first ``skip``; empty lines and lines of spaces are left out.

        Raises:
            DataError: A row has another number of fields than the first, or the file is not a table of text.
        """
        for count, (line, fields) in enumerate(self._parsed()):
            if count >= MOST_ROWS:
                raise DataError(
                    f"{shown(self.path)} has more than {MOST_ROWS:,} rows. Split it into smaller tables.",
                    path=self.path,
                )
            if len(fields) != len(self.first):
                raise DataError(
                    f"{shown(self.path)}, line {line}: The row must have as many fields as the first row. Check for "
                    f"missing quotes or delimiters. Received: {len(fields)} instead of {len(self.first)} fields, "
                    f"delimiter={self.delimiter!r}",
                    path=self.path,
                )
            if count >= skip:
                yield line, fields

    def _parsed(self) -> Iterator[Row]:
        return _parse(self.path, self.open, self.encoding, self.delimiter, self.skipped)


def open_table(path: Path, opener: Opener | None = None) -> TextTable:
    """Return a table after a look at its first row.

    Commas, tabs, semicolons and pipes may delimit its fields: the one that makes the most of the first line outside
    quotes, or that which the line ``sep=;`` before it names, as Excel reads it.

    Args:
        path: The file.
        opener: Opens the text; by default, that of ``path``.

    Raises:
        DataError: The file is not a table of text, or has too many columns.
    """
    opener = opener or partial(open_regular, path)
    with opener() as file:
        start = file.read(_START)
    kinds = [kind for mark, kind in _KINDS if start.lstrip().lower().startswith(mark)]
    if is_web_page(start):
        kinds = ["a web page: download the table itself"]
    if kinds:
        raise DataError(f"{shown(path)} is not a table of text, but {kinds[0]}.", path=path)
    encoding = next((name for mark, name in _MARKS if start.startswith(mark)), "utf-8-sig")
    line = next((text for text in _lines(path, opener, encoding) if text.strip()), "")
    named = _NAMED_DELIMITER.fullmatch(next(_lines(path, opener, encoding), ""))
    bare = _QUOTED.sub(r"\1", line)
    delimiter = named[1] if named else max(_DELIMITERS, key=lambda each: (bare.count(each), line.count(each)))
    skipped = int(named is not None)
    _, first = next(_parse(path, opener, encoding, delimiter, skipped), (0, []))
    if not first:
        raise DataError(f"{shown(path)} is empty. Write one line for each image into it.", path=path)
    return TextTable(
        path=path, open=opener, encoding=encoding, delimiter=delimiter, first=tuple(first), skipped=skipped
    )


def _parse(path: Path, opener: Opener, encoding: str, delimiter: str, skipped: int) -> Iterator[Row]:
    """Iterate over the rows of a file that are not empty, after some lines."""
    spaced: list[str] = []  # lines of a row that may have spaces before quotes
    lines = _note_spaced(itertools.islice(_lines(path, opener, encoding), skipped, None), spaced)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    line = skipped + 1  # of the beginning of a row: a field in quotes may have ends of lines
    try:
        for fields in reader:
            if spaced:
                if skipped + reader.line_num == line:
                    with contextlib.suppress(csv.Error):  # the quotes are of a text, as in: a, "b" c
                        (fields,) = csv.reader(spaced, delimiter=delimiter, strict=True, skipinitialspace=True)
                spaced.clear()
            if len(fields) > MOST_COLUMNS:
                raise DataError(
                    f"{shown(path)}, line {line}: The row has too many fields. A table may have at most "
                    f"{MOST_COLUMNS:,} columns. Received: {len(fields)} fields",
                    path=path,
                )
            if any(fields) and (len(fields) > 1 or fields[0].strip()):
                yield line, fields
            line = skipped + reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{shown(path)}, line {line}: The row cannot be read: {error}. Check its quotes: a field in quotes ends "
            f"with one, and may have at most {LONGEST_FIELD:,} characters.",
            path=path,
        ) from error


def _note_spaced(lines: Iterator[str], spaced: list[str]) -> Iterator[str]:
    """Iterate over lines, and add those in which a quote comes after a delimiter and spaces to a list."""
    for line in lines:
        if ' "' in line and _SPACED_QUOTE.search(line):
            spaced.append(line)
        yield line


def _lines(path: Path, opener: Opener, encoding: str) -> Iterator[str]:
    """Iterate over the lines of a file, with their ends."""
    number = 0
    with opener() as file, io.TextIOWrapper(file, encoding, newline="") as text:
        try:
            while line := text.readline(LONGEST_LINE):
                number += 1
                if len(line) == LONGEST_LINE:
                    raise DataError(
                        f"{shown(path)}, line {number}: The line is longer than {LONGEST_LINE:,} characters. Pass a "
                        "table with one line for each image.",
                        path=path,
                    )
                if "\0" in line:
                    raise DataError(
                        f"{shown(path)}, line {number}: The line has a NUL byte, which no text has. Pass a table of "
                        "text, saved as CSV in UTF-8.",
                        path=path,
                    )
                yield line
        except UnicodeError as error:
            name = "UTF-16" if encoding == "utf-16" else "UTF-8"
            raise DataError(
                f"{shown(path)} is not a text in {name}, at or after line {number + 1}. Save it as CSV in UTF-8.",
                path=path,
            ) from error
        except OSError as error:
            raise DataError(f"{shown(path)} cannot be read: {error.strerror}.", path=path) from error
