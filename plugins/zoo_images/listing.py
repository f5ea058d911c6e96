"""A folder with one folder a class, listed: which files there are, of which class and part, and what cannot be used."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from zoo import DataError
from zoo_images.decoding import SUFFIXES
from zoo_images.names import natural, shown

PARTS = ("train", "validation", "test")
"""Folders that hold a part of the data set each."""

_LITTER = ("desktop.ini", "thumbs.db")  # what file managers leave behind, in small letters


@dataclass(kw_only=True)
class Listing:
    """What a folder holds.

    Args:
        root: The folder.
        parts: The parts that have folders of their own; empty where there are only classes.
        class_names: Names of the classes, in natural order.
        names: Of each file, its path within the folder.
        labels: Of each file, the number of its class.
        part_of: Of each file, the number of its part.
        bad: What cannot be used, by name, and why.
    """

    root: Path
    parts: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    names: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    part_of: list[int] = field(default_factory=list)
    bad: list[tuple[str, str]] = field(default_factory=list)


def list_images(root: Path) -> Listing:
    """Return what a folder of class folders holds.

    Names that begin with a dot are left out. The files of a class folder must be images, by their suffixes, and lie
    within the folder, symbolic links too; what is not so is told as bad.

    Raises:
        DataError: It cannot be read, has fewer than two classes, a class without files, or one that only part of the
            data has.
    """
    found = Listing(root=root)
    folders = _folders(found, "")
    if "train" in folders and set(folders) <= set(PARTS):
        found.parts = tuple(part for part in PARTS if part in folders)
        classes = {part: _folders(found, part) for part in found.parts}
    else:
        classes = {"": folders}
    trained = classes[next(iter(classes))]
    _check_classes(found, trained)
    found.class_names = tuple(trained)
    for part, names in classes.items():
        for name in names:
            if name not in trained:
                raise DataError(
                    f"{shown(root / part / name)} is a class without training images: remove it, or add "
                    f"{shown(root / 'train' / name)}."
                )
            _add_files(found, part, name)
    return found


def _folders(found: Listing, inner: str) -> list[str]:
    """Return the names of the folders within one; image files there are bad, other files are left out."""
    names = []
    for entry in _scan(found.root / inner):
        name = os.path.join(inner, entry.name)
        if _is_folder(entry):
            if not _is_within(found.root, entry):
                raise DataError(f"{shown(entry.path)} leads out of {shown(found.root)}: put the folder itself there.")
            names.append(entry.name)
        elif entry.name.casefold().endswith(SUFFIXES):
            found.bad.append((name, "it lies in no class folder"))
    return names


def _check_classes(found: Listing, names: list[str]) -> None:
    if len(names) < 2:
        raise DataError(
            f"{shown(found.root)} has {'no class folder' if not names else 'one class folder'}, and two or more are "
            f"needed: a folder of images for each class. Received: {[shown(name) for name in names]}"
        )
    for name in names:
        if shown(name) != name:
            raise DataError(
                f"A class takes its name from its folder, and this one is no printable UTF-8: rename it. "
                f"Received: {shown(found.root / name)}"
            )


def _add_files(found: Listing, part: str, class_name: str) -> None:
    label, folder = found.class_names.index(class_name), found.root / part / class_name
    entries = [entry for entry in _scan(folder) if entry.name.casefold() not in _LITTER]
    if not entries and part in ("", "train"):
        raise DataError(f"{shown(folder)} is a class without images: add some, or remove it.")
    for entry in entries:
        name = os.path.join(part, class_name, entry.name)
        if (reason := _fault(found.root, entry)) is not None:
            found.bad.append((name, reason))
            continue
        found.names.append(name)
        found.labels.append(label)
        found.part_of.append(found.parts.index(part) if part else 0)


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(
                (each for each in entries if not each.name.startswith(".")), key=lambda each: natural(each.name)
            )
    except OSError as error:
        raise DataError(f"{shown(folder)} cannot be read: {error.strerror}.") from error


def _fault(root: Path, entry: os.DirEntry[str]) -> str | None:
    try:
        status = entry.stat()
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if stat.S_ISDIR(status.st_mode):
        return "it is a folder, and a class folder has files alone"
    if not stat.S_ISREG(status.st_mode):
        return "it is not a regular file"
    if not entry.name.casefold().endswith(SUFFIXES):
        return f"its name ends with none of {' '.join(SUFFIXES)}"
    return None if _is_within(root, entry) else f"it is a link that leads out of {shown(root)}"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself, for example
        return False


def _is_within(root: Path, entry: os.DirEntry[str]) -> bool:
    return not entry.is_symlink() or Path(entry.path).resolve().is_relative_to(root.resolve())
