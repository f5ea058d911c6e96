"""Finds the image files that the rows of a table name."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from zoo import DataError
from zoo.errors import ZooWarning
from zoo.images import shown
from zoo_images.tables.finder import NOWHERE, Finder
from zoo_images.tables.marks import Marks, check_trained, list_marks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from zoo_images.folders.listing import Listing
    from zoo_images.tables.rows import Source


def list_files(sources: Sequence[Source], root: Path, skip_bad: bool, *, follow_links: bool) -> Listing:
    """Return the files that tables name, with their classes, splits and groups.

    Args:
        sources: The tables.
        root: Folder that contains the files.
        skip_bad: Whether to skip rows without a label.
        follow_links: As for `Finder`.

    Raises:
        DataError: No file exists, a file has more than one label, or a row is malformed.
    """
    marks, names = _read_rows(sources)
    listing, labels = list_marks(sources, marks, skip_bad, root)
    finder, groups, again = Finder(root, follow_links=follow_links), marks.all_groups(), 0
    first: dict[str, int] = {}  # of each file, its first row
    lost: dict[int, list[str]] = {}  # of each class, what is wrong with files of training
    for i, (name, part) in enumerate(names):
        found, fault = finder.find(name, part)
        if fault is not None:
            listing.bad.append((found, f"{marks.place(i)}: {fault}"))
            listing.bad_part_of.append(marks.parts[i])
            if not marks.parts[i]:
                lost.setdefault(labels[i], []).append(f"{shown(found)}: {marks.place(i)}: {fault}")
            continue
        other = first.setdefault(found, i)
        if labels[other] != labels[i]:
            raise DataError(
                f"{shown(found)} has more than one label, in {marks.place(other)} and {marks.place(i)}, but zoo trains "
                "models of one label per image. Keep one row for each image. "
                f"Received: {listing.class_names[labels[other]]!r} and {listing.class_names[labels[i]]!r}",
                path=listing.source,
            )
        if other != i and marks.parts[other] == marks.parts[i]:
            again += 1
            continue
        listing.names.append(found)
        listing.labels.append(labels[i])
        listing.part_of.append(marks.parts[i])
        if groups:
            listing.groups.append(groups[i])
    if not listing.names:
        raise _none_usable(listing.source, root, names[0][0], finder.find(*names[0])[1])
    if skip_bad or not listing.bad:  # which are an error themselves
        check_trained(listing, lost)
    if again:
        warnings.warn(
            f"{again} row{'s' if again > 1 else ''} of {shown(listing.source)} name{'' if again > 1 else 's'} a file "
            "again; each file is used once.",
            ZooWarning,
            stacklevel=3,
        )
    return listing


def _read_rows(sources: Sequence[Source]) -> tuple[Marks, list[tuple[str, str | None]]]:
    """Return the marks of the rows that are used, and for each the name of its file and its `Source.part_of`."""
    marks, names = Marks(), []
    for source in sources:
        position = _position(source)
        names += [
            (fields[position], source.part_of(fields))
            for line, fields in source.rows()
            if marks.add(source, line, fields)
        ]
    return marks, names


def check_files(source: Source, root: Path, *, follow_links: bool) -> None:
    """Raise `DataError` if none of a table's first files exists in the folder."""
    finder, position = Finder(root, follow_links=follow_links), _position(source)
    faults = [finder.find(fields[position], source.part_of(fields))[1] for _, fields in source.start]
    if all(map(finder.is_nowhere, faults)):
        raise _none_usable(source.path, root, source.start[0][1][position], faults[0])


def _position(source: Source) -> int:
    if source.columns.files is None:
        raise DataError(
            f"{shown(source.path)} has pixels, unlike the other tables. Pass tables of one kind.", path=source.path
        )
    return source.columns.files


def _none_usable(table: Path, root: Path, name: str, fault: str | None) -> DataError:
    """Return the error for names of which none can be used; ``fault`` is that of the first."""
    if fault != NOWHERE:
        return DataError(
            f"None of the files that {shown(table)} names can be used. The first is '{shown(name):.200}', but {fault}.",
            path=table,
        )
    return DataError(
        f"The files that {shown(table)} names are neither in {shown(root)} nor in a folder in it. Name their folder, "
        f"relative to that of the table, with --set dataset.images=DIR. Received: '{shown(name):.200}'",
        path=table,
    )
