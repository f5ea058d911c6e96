"""What the rows of tables say about images: their labels, splits and groups."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zoo import DataError
from zoo.errors import ZooWarning
from zoo.images import shown
from zoo_images.folders.listing import Listing
from zoo_images.split_names import SPLIT_NAMES
from zoo_images.tables.labels import is_missing, number_classes
from zoo_images.tables.splits import part_named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from zoo_images.tables.rows import Fields, Source

PARTS = tuple(SPLIT_NAMES)
"""The splits, in the order of their numbers."""

_NAMED = 5  # rows named in a message
_ONE = re.compile(r"1(\.0*)?")


@dataclass(kw_only=True)
class Marks:
    """Label, split and group of the rows that are used, in order.

    Args:
        labels: Label of each.
        parts: Number of the split of each, in `PARTS`.
        groups: Group of each; empty text if it has none.
        places: Table and line number of each.
        unlabeled: Number of the split, table and line number of each row without a label; these are not used.
        has_groups: Whether a table has a column of groups.
    """

    labels: list[str] = field(default_factory=list)
    parts: list[int] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    places: list[tuple[Path, int]] = field(default_factory=list)
    unlabeled: list[tuple[int, Path, int]] = field(default_factory=list)
    has_groups: bool = False

    def add(self, source: Source, line: int, fields: Fields) -> bool:
        """Add a row, and return whether it has a label and is used.

        Raises:
            DataError: Its value in the column of splits is not the name of a split, or it has several labels.
        """
        part: str | None = source.part
        if (position := source.columns.split) is not None and (part := part_named(fields[position])) is None:
            raise DataError(
                f"{shown(source.path)}, line {line}: Column {shown(source.column(position))} must have the name of a "
                "split: train, validation or test. Correct it, choose another column with --set dataset.split=COLUMN, "
                "or ignore it with dataset.split=none. "
                f"Received: '{shown(fields[position]):.100}'",
                path=source.path,
            )
        number = PARTS.index(part or source.part)
        label = _label_of(source, line, fields)
        if not label:
            self.unlabeled.append((number, source.path, line))
            return False
        self.labels.append(label)
        self.parts.append(number)
        self.places.append((source.path, line))
        group = "" if source.columns.group is None else fields[source.columns.group].strip()
        self.groups.append("" if is_missing(group) else group)
        self.has_groups |= source.columns.group is not None
        return True

    def all_groups(self) -> list[str]:
        """Return the group of each row, one of its own for a row without any; none if no table has groups."""
        if not self.has_groups:
            return []
        return [group or place for group, place in zip(self.groups, self.all_places(), strict=True)]

    def all_places(self) -> list[str]:
        """Return where each row is; see `place`."""
        return [self.place(i) for i in range(len(self.places))]

    def place(self, index: int) -> str:
        """Return where a row is, for messages: the name of its table and its line number."""
        path, line = self.places[index]
        return f"{shown(path.name)}, line {line}"

    def check_labeled(self, skip_bad: bool) -> list[str]:
        """Return the names of rows without labels that are skipped.

        A test or validation split without any label is left out with a warning.

        Raises:
            DataError: Other rows have no label, and ``skip_bad`` is false.
        """
        bad = []
        for number, part in enumerate(PARTS):
            rows = [f"{shown(path.name)}, line {line}" for each, path, line in self.unlabeled if each == number]
            if rows and number and number not in self.parts:
                warnings.warn(
                    f"The {part} rows have no labels and are left out: predict their images with `zoo predict`. "
                    f"A {part} split is cut from the other images.",
                    ZooWarning,
                    stacklevel=4,
                )
            else:
                bad += rows
        if bad:
            count = len(bad) + len(self.labels)
            names = "; ".join(bad[:_NAMED]) + (f"; and {len(bad) - _NAMED} more" if len(bad) > _NAMED else "")
            if not skip_bad:
                raise DataError(
                    f"{len(bad)} of {count} rows have no label: {names}. Add labels or remove the rows, or skip them "
                    "with --skip-bad (dataset.skip_bad=true). NaN, None, NULL, N/A and NA are no labels, like empty "
                    "cells: rename a class with such a name.",
                    path=self.unlabeled[0][1],
                )
            warnings.warn(f"Skipped {len(bad)} of {count} rows without a label: {names}.", ZooWarning, stacklevel=4)
        return bad


def list_marks(sources: Sequence[Source], marks: Marks, skip_bad: bool, root: Path) -> tuple[Listing, list[int]]:
    """Return a listing with the classes and splits of the rows, but without files, and the class of each row.

    The numbers of splits in ``marks`` become those of the listing.

    Args:
        sources: The tables.
        marks: What their rows say.
        skip_bad: Whether to skip rows without a label.
        root: Folder of the listing.

    Raises:
        DataError: A row has no label, or the labels do not make classes.
    """
    skipped = marks.check_labeled(skip_bad)
    table, columns = sources[0].path, sources[0].columns
    names = "labels" if len(columns.labels) > 1 else sources[0].column(columns.labels[0])
    class_names, labels = number_classes(marks.labels, table, names)
    given = [number for number in range(len(PARTS)) if not number or number in marks.parts]
    marks.parts = [given.index(number) for number in marks.parts]
    listing = Listing(
        root=root,
        parts=tuple(PARTS[number] for number in given),
        class_names=class_names,
        table=table,
        bad=[(name, "it has no label") for name in skipped],
        bad_part_of=[-1] * len(skipped),
    )
    return listing, labels


def check_trained(listing: Listing, lost: Mapping[int, Sequence[str]] | None = None) -> None:
    """Raise `DataError` unless each class has images to train on.

    Args:
        listing: The images that can be used.
        lost: Of some classes, what is wrong with others.
    """
    trained = {label for label, part in zip(listing.labels, listing.part_of, strict=True) if not part}
    for label, name in enumerate(listing.class_names):
        if label not in trained:
            bad = (lost or {}).get(label, ())
            told = f" that can be used: {'; '.join(bad[:_NAMED])}" if bad else ""
            more = f"; and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
            raise DataError(
                f"Class {name!r} in {shown(listing.source)} has no training images{told}{more}. "
                f"{'Fix these' if bad else 'Add some'}, or remove the class.",
                path=listing.source,
            )


def _label_of(source: Source, line: int, fields: Fields) -> str:
    """Return the label of a row; empty text if it has none.

    Raises:
        DataError: It has several, in columns of ones and zeros.
    """
    columns = source.columns.labels
    if len(columns) == 1:
        return "" if is_missing(label := fields[columns[0]]) else label
    ones = [i for i in columns if _ONE.fullmatch(fields[i].strip())]
    if len(ones) > 1:
        names = " and ".join(shown(source.column(i)) for i in ones[:_NAMED])
        raise DataError(
            f"{shown(source.path)}, line {line}: The image has several labels, {names:.200}, but zoo trains models of "
            "one label per image. Pass a table of the images with one label each.",
            path=source.path,
        )
    return source.column(ones[0]) if ones else ""
