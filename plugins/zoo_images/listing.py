"""Lists a folder of class folders: the files, the class and split of each, and the files that cannot be used."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from zoo import DataError
from zoo.images import SUFFIXES, natural, shown

PARTS = {"train": ("train",), "validation": ("validation", "val", "valid"), "test": ("test",)}
"""Splits of a dataset, and the possible names of their folders."""

_IS_FOLDER = "it is a folder inside a class folder: move its images up, or make it a class folder"
_LITTER = ("desktop.ini", "thumbs.db")  # files that file managers leave behind, in lowercase


@dataclass(kw_only=True)
class Listing:
    """Contents of an image folder.

    Args:
        root: The folder.
        parts: The splits that have their own folder, as in `PARTS`; empty if ``root`` contains the class folders.
        class_names: Names of the classes, in natural order.
        names: Path of each file, relative to ``root``.
        labels: Class number of each file.
        part_of: Split number of each file.
        bad: Names of the files that cannot be used, and why.
        groups: Group of each file, see `zoo.Split`; empty if unknown.
        table: The table that lists the files; None if folders do.
    """

    root: Path
    parts: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    names: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    part_of: list[int] = field(default_factory=list)
    bad: list[tuple[str, str]] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    table: Path | None = None

    @property
    def source(self) -> Path:
        """What says which class each file has: the table or the folder."""
        return self.table or self.root


def list_images(root: Path) -> Listing:
    """Return the contents of a folder of class folders.

    Names that begin with a dot are ignored. Files in a class folder must have the suffix of an image and must be within
    ``root``, symbolic links included; other files are listed as bad.

    Raises:
        DataError: The folder cannot be read, it has fewer than two classes, or a class has no files or no folder in
            ``train``.
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
                    f"The class of {shown(root / folder / name)} has no training images. Remove this folder, or add "
                    f"{shown(root / 'train' / name)}.",
                    path=root / folder / name,
                )
            _add_files(found, folder, name, number)
    _check_no_parts_unknown(found)
    return found


def _folder_of(root: Path, part: str, folders: list[str]) -> str | None:
    """Return the name of a split's folder, if there is one."""
    names = [name for name in PARTS[part] if name in folders]
    if len(names) > 1:
        raise DataError(
            f"{shown(root)} has more than one folder for {part}. Keep one. Received: folders={names}", path=root
        )
    return names[0] if names else None


def _check_no_parts_unknown(found: Listing) -> None:
    """Raise `DataError` if the class folders contain only folders: they may be splits with unknown names."""
    if not found.names and not found.parts and any(reason == _IS_FOLDER for _, reason in found.bad):
        names = ", ".join(name for several in PARTS.values() for name in several)
        raise DataError(
            f"The class folders in {shown(found.root)} contain folders but no images. If they are splits, rename them: "
            f"the possible names are {names}, and the first is required. If they are classes, move the images up into "
            "them, or pass the folder that contains the class folders. "
            f"Received: class_names={list(found.class_names)[:5]}",
            path=found.root,
        )


def _folders(found: Listing, inner: str) -> list[str]:
    """Return the names of the folders in a folder; image files next to them are bad, other files are ignored."""
    names = []
    for entry in _scan(found.root / inner):
        name = os.path.join(inner, entry.name)
        if _is_folder(entry):
            if not _is_within(found.root, entry):
                raise DataError(
                    f"{shown(entry.path)} is a link that leads out of {shown(found.root)}. Replace it with the folder.",
                    path=entry.path,
                )
            names.append(entry.name)
        elif entry.name.casefold().endswith(SUFFIXES):
            found.bad.append((name, "it is not in a class folder"))
    return names


def _check_classes(found: Listing, names: list[str]) -> None:
    if len(names) < 2:
        raise DataError(
            f"{shown(found.root)} has {'no class folder' if not names else 'one class folder'}, but at least "
            "two are required. Add a folder of images for each class. "
            f"Received: folders={[shown(name) for name in names]}",
            path=found.root,
        )
    for name in names:
        if shown(name) != name:
            raise DataError(
                "The name of a class folder is not printable UTF-8. Rename the folder. "
                f"Received: folder={shown(found.root / name)}",
                path=found.root / name,
            )


def _add_files(found: Listing, part_folder: str, class_name: str, part: int) -> None:
    label, folder = found.class_names.index(class_name), found.root / part_folder / class_name
    entries = [entry for entry in _scan(folder) if entry.name.casefold() not in _LITTER]
    if not entries and part == 0:
        raise DataError(f"Class folder {shown(folder)} has no images. Add some, or remove the folder.", path=folder)
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
        raise DataError(
            f"{shown(folder)} cannot be read: {error.strerror}. Check the path and its permissions.", path=folder
        ) from error


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
        return f"its name does not end with one of {' '.join(SUFFIXES)}"
    return None if _is_within(root, entry) else f"it is a link that leads out of {shown(root)}"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself, for example
        return False


def _is_within(root: Path, entry: os.DirEntry[str]) -> bool:
    return not entry.is_symlink() or Path(entry.path).resolve().is_relative_to(root.resolve())
