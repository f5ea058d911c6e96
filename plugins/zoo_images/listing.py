"""A folder with one folder a class, listed: which files there are, of which class and part, and what cannot be used."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from zoo import DataError
from zoo_images.decoding import SUFFIXES
from zoo_images.natural_sort import natural, shown

PARTS = {"train": ("train",), "validation": ("validation", "val", "valid"), "test": ("test",)}
"""Parts of a data set, and what the folder of each may be called."""

_IS_FOLDER = "it is a folder, and a class folder has files alone: move its images up, or make it a class of its own"
_LITTER = ("desktop.ini", "thumbs.db")  # what file managers leave behind, in small letters


@dataclass(kw_only=True)
class Listing:
    """What a folder holds.

    Args:
        root: The folder.
        parts: The parts that have folders of their own, as `PARTS` has them; empty where there are only classes.
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
    if "train" in folders and set(folders) <= {name for names in PARTS.values() for name in names}:
        of_part = {part: name for part in PARTS if (name := _folder_of(root, part, folders)) is not None}
        found.parts = tuple(of_part)
        classes = {name: _folders(found, name) for name in of_part.values()}
    else:
        classes = {"": folders}
    trained = classes[next(iter(classes))]
    _check_classes(found, trained)
    found.class_names = tuple(trained)
    for number, (folder, names) in enumerate(classes.items()):
        for name in names:
            if name not in trained:
                raise DataError(
                    f"{shown(root / folder / name)} is a class without training images: remove it, or add "
                    f"{shown(root / 'train' / name)}.",
                    path=folder,
                )
            _add_files(found, folder, name, number)
    _check_no_parts_unknown(found)
    return found


def _folder_of(root: Path, part: str, folders: list[str]) -> str | None:
    """Return the name of a part's folder, if there is one."""
    names = [name for name in PARTS[part] if name in folders]
    if len(names) > 1:
        raise DataError(f"{shown(root)} has several folders for {part}: keep one. Received: {names}", path=root)
    return names[0] if names else None


def _check_no_parts_unknown(found: Listing) -> None:
    """Raise `DataError` if there is nothing in the class folders but folders: they are parts of other names."""
    if not found.names and not found.parts and any(reason == _IS_FOLDER for _, reason in found.bad):
        names = ", ".join(name for several in PARTS.values() for name in several)
        raise DataError(
            f"The class folders in {shown(found.root)} hold folders and no images. If they are the parts of the data, "
            f"call them by these names: {names}, the first of which must be there. If they are classes, move the "
            "images up into them, or give the folder that has the class folders. "
            f"Received: {list(found.class_names)[:5]}"
        )


def _folders(found: Listing, inner: str) -> list[str]:
    """Return the names of the folders within one; image files there are bad, other files are left out."""
    names = []
    for entry in _scan(found.root / inner):
        name = os.path.join(inner, entry.name)
        if _is_folder(entry):
            if not _is_within(found.root, entry):
                raise DataError(
                    f"{shown(entry.path)} leads out of {shown(found.root)}: put the folder itself there.",
                    path=entry.path,
                )
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


def _add_files(found: Listing, part_folder: str, class_name: str, part: int) -> None:
    label, folder = found.class_names.index(class_name), found.root / part_folder / class_name
    entries = [entry for entry in _scan(folder) if entry.name.casefold() not in _LITTER]
    if not entries and part == 0:
        raise DataError(f"{shown(folder)} is a class without images: add some, or remove it.", path=folder)
    for entry in entries:
        name = os.path.join(part_folder, class_name, entry.name)
        if (reason := _fault(found.root, entry)) is not None:
            found.bad.append((name, reason))
            continue
        found.names.append(name)
        found.labels.append(label)
        found.part_of.append(part)


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(
                (each for each in entries if not each.name.startswith(".")), key=lambda each: natural(each.name)
            )
    except OSError as error:
        raise DataError(f"{shown(folder)} cannot be read: {error.strerror}.", path=folder) from error


def _fault(root: Path, entry: os.DirEntry[str]) -> str | None:
    try:
        status = entry.stat()
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if stat.S_ISDIR(status.st_mode):
        return _IS_FOLDER
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
