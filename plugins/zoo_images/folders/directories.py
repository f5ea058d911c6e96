"""Reads directories of a dataset: hidden names and litter are left out, and links lead out of it only if allowed."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from zoo import DataError
from zoo.images import SUFFIXES, is_litter, natural, shown

LINK_CURE = "follow links with --set dataset.follow_links=true, or copy the folder with `cp -rL`"
"""What to do about a link that leads out of a dataset."""


@dataclass(frozen=True, kw_only=True)
class Directories:
    """The directories of a dataset.

    Args:
        root: The outermost one.
        follow_links: Whether links may lead out of it.
        litter: Paths of what systems left there, as found so far.
        broken: Paths of broken links that may have led to folders, as found so far.
    """

    root: Path
    follow_links: bool = False
    litter: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)

    def entries(self, inner: str) -> list[os.DirEntry[str]]:
        """Return what is in a directory, in natural order, without hidden names and litter.

        Args:
            inner: Path of the directory, relative to the root.

        Raises:
            DataError: It cannot be read.
        """
        folder = self.root / inner
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda each: natural(each.name))
        except OSError as error:
            raise DataError(
                f"{shown(folder)} cannot be read: {error.strerror}. Check the path and its permissions.", path=folder
            ) from error
        self.litter.update(each.path for each in found if is_litter(each.name))
        return [each for each in found if not (each.name.startswith(".") or is_litter(each.name))]

    def contents(self, inner: str) -> tuple[list[str], list[str]]:
        """Return the names of the folders in a directory, and of the image files beside them.

        Args:
            inner: As for `entries`.

        Raises:
            DataError: It cannot be read, or a folder is a link that leads out of the root.
        """
        folders, images = [], []
        for entry in self.entries(inner):
            if _is_folder(entry):
                if not self.is_allowed(entry):
                    raise DataError(
                        f"{shown(entry.path)} is a link that leads out of {shown(self.root)}: {LINK_CURE}.",
                        path=entry.path,
                    )
                folders.append(entry.name)
            elif entry.name.casefold().endswith(SUFFIXES):
                images.append(entry.name)
            elif _is_broken(entry):
                self.broken.add(entry.path)
        return folders, images

    def is_allowed(self, entry: os.DirEntry[str]) -> bool:
        """Return whether an entry is no link that leads out of the root, or may be one."""
        if self.follow_links or not entry.is_symlink():
            return True
        return Path(entry.path).resolve().is_relative_to(self.root.resolve())


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself, for example
        return False


def _is_broken(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a link to what does not exist; one that leads to itself never led to a folder."""
    try:
        entry.stat()
    except FileNotFoundError:
        return entry.is_symlink()
    except OSError:
        pass
    return False
