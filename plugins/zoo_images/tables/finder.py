"""Finds image files by the names that a table has for them."""

from __future__ import annotations

import errno
import itertools
import os
import re
from typing import TYPE_CHECKING
from unicodedata import normalize

from zoo.images import SUFFIXES, natural, shown
from zoo_images.tables.splits import part_named, parts_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

NOWHERE = "it does not exist"
"""Why a name that stands for no file cannot be used."""

_REGULAR, _LINK, _OTHER = range(3)
_NAMED = 3  # files named in a message
_ADDRESS = "it is an address, not a file: download the images"
_DRIVE = re.compile(r"[A-Za-z]:/")
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})
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
        self._unreadable: dict[str, str] = {}  # folders, and why
        self._nowhere = {NOWHERE, _ADDRESS, self.elsewhere}  # reasons why a name has no file
        self._inner: list[str] | None = None
        self._own: dict[str | None, tuple[list[str], frozenset[str]]] = {}
        self._alike: dict[tuple[str | None, str, str], bool] = {}
        self._indices: dict[str, dict[str, dict[str, None]]] = {}

    @property
    def elsewhere(self) -> str:
        """Why a name that leads out of the folder cannot be used."""
        return f"it is not in {shown(self._root)}: use a table in a folder that contains all of its images"

    def is_nowhere(self, fault: str | None) -> bool:
        """Return whether a fault is that of a name without a file in the folder."""
        return fault in self._nowhere

    def find(self, name: str, part: str | None) -> tuple[str, str | None]:
        """Return the path of a file relative to the folder, and why it cannot be used, if so.

        Args:
            name: Its name in the table.
            part: Its split; None if it is unknown. A folder inside the folder with the name of the split comes before
                the others. Those of other splits are left out if they have files of the same names, which are then
                other images.
        """
        text = name.strip()
        if not text:
            return name, "it has no file name"
        if "://" in text:
            return text, _ADDRESS
        forms = [os.path.normpath(self._relative(form)) for form in _forms(text)]
        forms = [form for form in forms if form.split("/")[0] != ".."]
        if not forms:
            return text, self.elsewhere
        found: list[str] = []
        for form in forms:
            found = found or self._within("", form)
        for form in forms:
            found = found or self._inside(form, part)
        if len(found) > 1:
            return forms[-1], f"it could be {' or '.join(map(shown, found))}: use dataset.images=DIR or full names"
        if found:
            return found[0], self._fault(found[0])
        return (text, self.elsewhere) if _DRIVE.match(forms[-1]) else (forms[-1], self._why_missing(forms))

    def _relative(self, path: str) -> str:
        return os.path.relpath(path, os.path.abspath(self._root)) if os.path.isabs(path) else path

    def _inside(self, text: str, part: str | None) -> list[str]:
        """Return the first few files in the folders in the folder that a name of a split stands for."""
        inner = os.path.dirname(text)
        folders = [folder for folder in self._folders_with(text) if not self._has_other_images(folder, inner, part)]
        own = [folder for folder in folders if part_named(folder) == (part or "train")]
        return self._first_within(own, text) or self._first_within(folders, text)

    def _why_missing(self, forms: Sequence[str]) -> str:
        """Return why there is no file with a name: it may be of another split, or in a folder that cannot be read."""
        for form in forms:
            if other := self._first_within(self._folders_with(form), form):
                path = shown(other[0])
                return f"it is not in the folder of its split. {path} has its name: write that path if it is meant"
            for folder, reason in sorted(self._unreadable.items()):
                inner = os.path.join(folder.split("/")[0], form)
                if not folder or _is_in(form, folder) or _is_in(inner, folder):
                    fault = f"it may be in {shown(self._root / folder)}, which cannot be read: {reason}"
                    self._nowhere.add(fault)
                    return fault
        return NOWHERE

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

    def _has_other_images(self, folder: str, inner: str, part: str | None) -> bool:
        """Return whether a folder is of another split, and has files with the names of files of a split.

        Args:
            folder: The folder, in the folder.
            inner: Path of the folder inside it, and inside those of the split, that has the files.
            part: The split.
        """
        if part not in self._own:
            named = {each: parts_in(each) for each in self._folders()}
            own = [each for each, parts in named.items() if part in parts]
            self._own[part] = own, frozenset(each for each, parts in named.items() if parts and part not in parts)
        own, others = self._own[part]
        if folder not in others:
            return False
        key = (part, folder, inner)
        if key not in self._alike:
            names = self._list(os.path.join(folder, inner)).keys()
            self._alike[key] = any(not names.isdisjoint(self._list(os.path.join(each, inner))) for each in own)
        return self._alike[key]

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
                    names = [
                        each.name for each in entries if _check_quietly(each.is_dir) and not each.name.startswith(".")
                    ]
            except OSError as error:
                names = []
                self._note("", error)
            self._inner = sorted(names, key=natural)
        return self._inner

    def _list(self, folder: str) -> dict[str, int]:
        """Return the entries of a folder and what they are; none if it does not exist or cannot be read."""
        if folder not in self._entries:
            found = {}
            try:
                with os.scandir(self._root / folder) as entries:
                    for each in entries:
                        is_link = each.is_symlink()
                        is_file = _check_quietly(each.is_file)
                        found[each.name] = _OTHER if not is_file else _LINK if is_link else _REGULAR
            except OSError as error:
                found = {}
                self._note(folder, error)
            except ValueError:  # a name may have any characters
                found = {}
            self._entries[folder] = found
        return self._entries[folder]

    def _note(self, folder: str, error: OSError) -> None:
        """Note why a folder cannot be read, if it exists."""
        if error.errno not in _ABSENT:
            self._unreadable[folder] = error.strerror or type(error).__name__


def _forms(text: str) -> list[str]:
    """Return the ways in which the path of a file may be written: with other slashes, and in NFC or NFD."""
    forms = [text, text.replace("\\", "/")] if "\\" in text else [text]  # as Windows writes paths
    return forms if text.isascii() else [*forms, *(normalize(form, forms[-1]) for form in ("NFC", "NFD"))]


def _check_quietly(kind: Callable[[], bool]) -> bool:
    """Return what a method of an entry of a folder says; false if a link leads nowhere, or to where nobody may look."""
    try:
        return kind()
    except OSError:
        return False


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
