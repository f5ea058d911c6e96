"""Finds the image files that the rows of a table name."""

from __future__ import annotations

import itertools
import os
import re
import warnings
from typing import TYPE_CHECKING

from zoo import DataError
from zoo.errors import ZooWarning
from zoo.images import SUFFIXES, natural, shown
from zoo_images.tables.marks import PARTS, Marks, check_trained, list_marks
from zoo_images.tables.splits import part_named, parts_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from zoo_images.folders.listing import Listing
    from zoo_images.tables.rows import Source

_REGULAR, _LINK, _OTHER = range(3)
_NAMED = 3  # files named in a message
_NOWHERE = "it does not exist"
_ADDRESS = "it is an address, not a file: download the images"
_DRIVE = re.compile(r"[A-Za-z]:/")
_COMPLETIONS = tuple(each for suffix in SUFFIXES for each in (suffix, suffix.upper()))


class Finder:
    """Finds files by the names that a table has for them.

    A name is a path relative to the folder, or to a folder in it, with or without the suffix of an image.

    Args:
        root: Folder that contains the files.
        follow_links: Whether symbolic links may lead out of the folder.
    """

    def __init__(self, root: Path, *, follow_links: bool) -> None:
        """Read nothing yet."""
        self._root, self._follows_links = root, follow_links
        self._real = os.path.realpath(root)
        self._entries: dict[str, dict[str, int]] = {}
        self._inner: list[str] | None = None
        self._others: dict[str | None, frozenset[str]] = {}
        self._indices: dict[str, dict[str, dict[str, None]]] = {}

    @property
    def elsewhere(self) -> str:
        """Why a name that leads out of the folder cannot be used."""
        return f"it is not in {shown(self._root)}: use a table in a folder that contains all of its images"

    def find(self, name: str, part: str | None) -> tuple[str, str | None]:
        """Return the path of a file relative to the folder, and why it cannot be used, if so.

        Args:
            name: Its name in the table.
            part: Its split; None if it is unknown. A folder inside the folder with the name of the split comes before
                the others, and keeps the file from being looked for in those of other splits.
        """
        text = name.strip()
        if not text:
            return name, "it has no file name"
        if "://" in text:
            return text, _ADDRESS
        text = text if "/" in text else text.replace("\\", "/")  # as Windows writes paths
        if os.path.isabs(text):
            text = os.path.relpath(text, os.path.abspath(self._root))
        text = os.path.normpath(text)
        if text.split("/")[0] == "..":
            return name.strip(), self.elsewhere
        found = self._within("", text)
        if not found:
            folders = self._folders_with(text)
            others = self._folders_of_others(part)
            allowed = [folder for folder in folders if folder not in others]
            own = [folder for folder in allowed if part_named(folder) == (part or PARTS[0])]
            found = self._first_within(own, text) or self._first_within(allowed, text)
            if not found and (other := self._first_within(folders, text)):
                return text, (
                    f"it does not exist in a folder of its split: name it {shown(other[0])} if it is that of another"
                )
        if len(found) > 1:
            return text, f"it could be {' or '.join(map(shown, found))}: use dataset.images=DIR or full names"
        if not found and _DRIVE.match(text):
            return name.strip(), self.elsewhere
        return (found[0], self._fault(found[0])) if found else (text, _NOWHERE)

    def _within(self, folder: str, text: str) -> list[str]:
        """Return the files in a folder that a name stands for."""
        inner, name = os.path.split(os.path.join(folder, text))
        entries = self._list(inner)
        if name in entries and (name.casefold().endswith(SUFFIXES) or entries[name] != _OTHER):
            return [os.path.join(inner, name)]
        return [os.path.join(inner, name + suffix) for suffix in _COMPLETIONS if name + suffix in entries]

    def _first_within(self, folders: Iterable[str], text: str) -> list[str]:
        """Return the first few files in folders that a name stands for."""
        return list(itertools.islice((each for folder in folders for each in self._within(folder, text)), _NAMED))

    def _folders_with(self, text: str) -> dict[str, None]:
        """Return the folders in the folder that may have a file: those that have each part of its path."""
        folders, inner = dict.fromkeys(self._folders()), ""
        for name in text.split("/"):
            if inner not in self._indices:
                self._indices[inner] = self._index(folders, inner)
            folders = self._indices[inner].get(name, {})
            if not folders:
                break
            inner = os.path.join(inner, name)
        return folders

    def _index(self, folders: Iterable[str], inner: str) -> dict[str, dict[str, None]]:
        """Return which folders have a name, with or without the suffix of an image, in a folder inside them."""
        index: dict[str, dict[str, None]] = {}
        for folder in folders:
            for name in self._list(os.path.join(folder, inner)):
                index.setdefault(name, {})[folder] = None
                stem, suffix = os.path.splitext(name)
                if suffix in _COMPLETIONS:
                    index.setdefault(stem, {})[folder] = None
        return index

    def _folders_of_others(self, part: str | None) -> frozenset[str]:
        """Return the folders of other splits, such as ``test`` and ``test_images``, if a split has a folder itself."""
        if part not in self._others:
            parts = {folder: parts_in(folder) for folder in self._folders()}
            has_own = any(part in named for named in parts.values())
            self._others[part] = frozenset(
                folder for folder, named in parts.items() if has_own and named and part not in named
            )
        return self._others[part]

    def _fault(self, path: str) -> str | None:
        inner, name = os.path.split(path)
        kind = self._list(inner)[name]
        if not name.casefold().endswith(SUFFIXES):
            return f"its name does not end with one of {' '.join(SUFFIXES)}"
        if kind == _OTHER:
            return "it is not a regular file"
        if self._follows_links:
            return None
        real = os.path.realpath(self._root / (path if kind == _LINK else inner))
        return None if _is_in(real, self._real) else f"it is a link that leads out of {shown(self._root)}"

    def _folders(self) -> list[str]:
        """Return the names of the folders in the folder, in natural order."""
        if self._inner is None:
            try:
                with os.scandir(self._root) as entries:
                    names = [each.name for each in entries if each.is_dir() and not each.name.startswith(".")]
            except OSError:  # then no file is found either
                names = []
            self._inner = sorted(names, key=natural)
        return self._inner

    def _list(self, folder: str) -> dict[str, int]:
        """Return the entries of a folder and what they are; none if it does not exist."""
        if folder not in self._entries:
            found = {}
            try:
                with os.scandir(self._root / folder) as entries:
                    for each in entries:
                        is_link = each.is_symlink()
                        is_file = each.is_file()
                        found[each.name] = _OTHER if not is_file else _LINK if is_link else _REGULAR
            except (OSError, ValueError):  # a name may have any characters
                found = {}
            self._entries[folder] = found
        return self._entries[folder]


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
    marks = Marks()
    names: list[tuple[str, str | None]] = []  # of each row, with the split that says in which folder it is
    for source in sources:
        position = _position(source)
        names += [
            (fields[position], source.part_of(fields))
            for line, fields in source.rows()
            if marks.add(source, line, fields)
        ]
    listing, labels = list_marks(sources, marks, skip_bad, root)
    finder, groups, again = Finder(root, follow_links=follow_links), marks.all_groups(), 0
    first: dict[str, int] = {}  # of each file, its first row
    for i, (name, part) in enumerate(names):
        found, fault = finder.find(name, part)
        if fault is not None:
            listing.bad.append((found, f"{marks.place(i)}: {fault}"))
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
    check_trained(listing)
    if again:
        warnings.warn(
            f"{again} row{'s' if again > 1 else ''} of {shown(listing.source)} name{'' if again > 1 else 's'} a file "
            "again; each file is used once.",
            ZooWarning,
            stacklevel=3,
        )
    return listing


def check_files(source: Source, root: Path, *, follow_links: bool) -> None:
    """Raise `DataError` if none of a table's first files exists in the folder."""
    finder, position = Finder(root, follow_links=follow_links), _position(source)
    faults = [finder.find(fields[position], source.part_of(fields))[1] for _, fields in source.start]
    if all(fault in (_NOWHERE, _ADDRESS, finder.elsewhere) for fault in faults):
        raise _none_usable(source.path, root, source.start[0][1][position], faults[0])


def _position(source: Source) -> int:
    if source.columns.files is None:
        raise DataError(
            f"{shown(source.path)} has pixels, unlike the other tables. Pass tables of one kind.", path=source.path
        )
    return source.columns.files


def _none_usable(table: Path, root: Path, name: str, fault: str | None) -> DataError:
    """Return the error for names of which none can be used; ``fault`` is that of the first."""
    if fault != _NOWHERE:
        return DataError(
            f"None of the files that {shown(table)} names can be used. The first is '{shown(name):.200}', but {fault}.",
            path=table,
        )
    return DataError(
        f"The files that {shown(table)} names are neither in {shown(root)} nor in a folder in it. Name their folder, "
        f"relative to that of the table, with --set dataset.images=DIR. Received: '{shown(name):.200}'",
        path=table,
    )


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
