"""The tables of a dataset, with what their columns are."""

from __future__ import annotations

import hashlib
import itertools
import os
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo import DataError
from zoo.errors import DataHint, ZooWarning
from zoo.images import BLOCK, open_regular, shown
from zoo.utils import usable_memory
from zoo_images.tables.columns import column_key, find_columns
from zoo_images.tables.labels import is_missing
from zoo_images.tables.parquet import MAGIC, open_parquet
from zoo_images.tables.splits import COLUMNS, other_values, part_named, parts_in
from zoo_images.tables.text import open_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from zoo_images.tables.columns import Columns, Wanted
    from zoo_images.tables.text import Row, TextTable

    # all fields of a row, or those that are needed, by their positions
    Fields = Sequence[str] | Mapping[int, str]

_GROUPS = frozenset({"patient", "patientid", "subject", "subjectid", "lesionid", "person", "personid", "individualid"})
_SHARE = 0.25  # maximum share of the memory
_LOOKED_AT = 100  # rows that are read to find out what the columns are


@dataclass(frozen=True, kw_only=True)
class Source:
    """A table whose columns are known.

    Args:
        table: The table.
        columns: What its columns are.
        part: The split of its rows, if they have no column for it.
        named_part: The split that the table is named after, alone or with other tables; None if it is after none.
        start: Some of the first rows.
    """

    table: TextTable
    columns: Columns
    part: str
    named_part: str | None
    start: Sequence[Row]

    @property
    def path(self) -> Path:
        """The file."""
        return self.table.path

    def rows(self) -> Iterator[Row]:
        """Iterate over the rows after the header; see `TextTable.rows`."""
        return self.table.rows(int(self.columns.has_header))

    def part_of(self, fields: Fields) -> str | None:
        """Return the split that a column, or the name of the table, says a row is of; None if neither does."""
        position = self.columns.split
        return self.named_part if position is None else part_named(fields[position])

    def column(self, position: int) -> str:
        """Return the name of a column."""
        return self.columns.names[position]


def open_sources(tables: dict[str, Path], wanted: Wanted, *, is_quiet: bool) -> list[Source]:
    """Return the tables with their columns, after a look at their first rows.

    A table without labels, such as the images of a competition that are to be predicted, is left out with a warning.

    Args:
        tables: The tables, by split.
        wanted: Columns that settings choose.
        is_quiet: Whether to leave out the warning.

    Raises:
        DataError: A table cannot be read, or a column is missing.
    """
    sources = []
    for part, path in tables.items():
        table = _open(path)
        start = list(itertools.islice(table.rows(), _LOOKED_AT + 1))
        columns = find_columns(path, table.first, [fields for _, fields in start[1:]], wanted)
        named = parts_in(path.stem)
        source = Source(
            table=table,
            columns=columns,
            part=part,
            named_part=part if len(tables) > 1 else next(iter(named)) if len(named) == 1 else None,
            start=start[int(columns.has_header) :],
        )
        if columns.labels and source.start:
            sources.append(source)
            continue
        fault = "has no labels" if source.start else "has a header, but no rows"
        if part == "train":
            cure = ", or name the column of labels with --set dataset.labels=COLUMN" if source.start else ""
            raise DataError(
                f"{shown(path)} {fault}. Add them{cure}. "
                f"Received: columns={[f'{shown(name):.60}' for name in columns.names[:10]]}",
                path=path,
            )
        cure = " Predict its images with `zoo predict`." if source.start else ""
        if is_quiet:
            continue
        warnings.warn(
            f"{shown(path)} {fault} and is left out. A {part} split is cut from the other images.{cure}",
            ZooWarning,
            stacklevel=4,
        )
    return sources


def hint_at_groups(sources: Sequence[Source]) -> None:
    """Give a hint if tables seem to have groups that are not used, and splits divide them, or are cut from a table."""
    source = sources[0]
    columns = source.columns
    if columns.group is not None:
        return
    is_split = columns.split is not None
    for i, name in enumerate(columns.names):
        if column_key(name) not in _GROUPS or i in columns.marks:  # persons may be the classes
            continue
        if (is_split or len(sources) > 1) and (count := _count_divided(sources, column_key(name))):
            cure = (
                f", or cut them with --set dataset.split=none --set 'dataset.group={shown(name)}'" if is_split else ""
            )
            warnings.warn(
                f"Column {shown(name)} of {shown(source.path)} may have groups, such as patients, and {count} of them "
                f"{'is' if count == 1 else 'are'} in more than one split: metrics look better than they are. "
                f"Correct the splits{cure}.",
                DataHint,
                stacklevel=3,
            )
            return
        values = [fields[i] for _, fields in source.start if not is_missing(fields[i])]
        if not is_split and len(set(values)) < len(values):
            warnings.warn(
                f"Column {shown(name)} of {shown(source.path)} may have groups, such as patients, whose images should "
                "be in one split: otherwise, metrics look better than they are. "
                f"Use --set 'dataset.group={shown(name)}'.",
                DataHint,
                stacklevel=3,
            )
            return


def _count_divided(sources: Sequence[Source], key: str) -> int:
    """Return how many values of a column are in more than one split."""
    first: dict[str, str | None] = {}  # of each value, its first split
    divided = set()
    for source in sources:
        split = source.columns.split
        keys = [column_key(name) for name in source.columns.names]
        if key not in keys:
            continue
        position = keys.index(key)
        for _, fields in source.rows():
            part = source.part if split is None else part_named(fields[split])
            value = fields[position].strip()
            if not is_missing(value) and first.setdefault(value, part) != part:
                divided.add(value)
    return len(divided)


def warn_of_unused_splits(source: Source) -> None:
    """Warn about a column with the usual name of one of splits that is not used, because some of its values are others.

    A column in which no value is the name of a split is something else.
    """
    columns = source.columns
    if columns.split is not None:
        return
    for i, name in enumerate(columns.names):
        values = [fields[i] for _, fields in source.start]
        if column_key(name) in COLUMNS and i not in (columns.files, *columns.marks) and any(map(part_named, values)):
            warnings.warn(
                f"Column {shown(name)} of {shown(source.path)} has values that are not names of splits, so it is not "
                "used: splits are cut instead. If it has the splits, write train, validation or test into it; if not, "
                f"rename it. Received: {other_values(values)}",
                ZooWarning,
                stacklevel=3,
            )


def _open(path: Path) -> TextTable:
    with open_regular(path) as file:
        is_parquet = file.read(len(MAGIC)) == MAGIC
    return open_parquet(path) if is_parquet else open_table(path)


def check_memory(sources: Sequence[Source]) -> None:
    """Raise `DataError` if tables are larger than a share of the memory; their pixels take at most half of that."""
    size = 0
    for source in sources:
        with source.table.open() as file:
            size += os.fstat(file.fileno()).st_size
    if size > _SHARE * usable_memory():
        raise DataError(
            f"{shown(sources[0].path)} is larger than a quarter of the memory. Save the images as files, which are "
            f"streamed from disk, and use a table of their names. Received: {size} bytes",
            path=sources[0].path,
        )


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
