"""Finds out how a folder of images is laid out: where its class folders are, and which splits have a folder."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from zoo import DataError
from zoo.images import shown
from zoo_images.split_names import SPLIT_NAMES, SPLIT_OF

if TYPE_CHECKING:
    from zoo_images.folders.directories import Directories

_PLAIN = ("train", "validation", "val", "valid", "test")  # names that are those of splits, whatever is in the folder
_MOST_WRAPPERS = 8
_NO_JOINERS = dict.fromkeys(map(ord, "\u200c\u200d"))


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where the class folders are.

    Args:
        directories: The directories, from the one that contains the class folders or the splits.
        parts: Name of the folder of each split that has one; empty if the class folders are not in splits.
        classes: For the folder of each split, or for ``""``, the folder of each class by its name in NFC.
        without_classes: Folder of each split, validation or test, that has no class folders. A test folder with a
            single folder that is no class, such as ``test/unknown``, has none.
        loose: Paths of image files that are in no class folder.
    """

    directories: Directories
    parts: dict[str, str]
    classes: dict[str, dict[str, str]]
    without_classes: dict[str, str] = field(default_factory=dict)
    loose: list[str] = field(default_factory=list)


def find_layout(directories: Directories) -> Layout:
    """Return the layout of a folder; a folder that contains nothing but another one is looked into.

    Raises:
        DataError: A directory cannot be read, a split has multiple folders, or a class has multiple folders in a split.
    """
    folders, images = directories.contents("")
    parts = _parts(directories, folders)
    for _ in range(_MOST_WRAPPERS):
        if parts or (inner := _wrapped(directories, "", folders, images)) is None:
            break
        folder, folders, images = inner
        directories = replace(directories, root=directories.root / folder)
        parts = _parts(directories, folders)
    layout = Layout(directories=directories, parts={}, classes={}, loose=images)
    for part, outer in parts.items() or [("", "")]:
        folder, inside, images = _class_folders(directories, outer) if outer else ("", folders, [])
        if part in ("validation", "test") and not _has_class(inside, layout.classes):
            folder, (inside, images) = outer, directories.contents(outer)
        if part in ("validation", "test") and (not inside or (part == "test" and _is_no_class(inside, layout.classes))):
            layout.without_classes[part] = folder
            continue
        layout.loose.extend(os.path.join(folder, name) for name in images)
        layout.classes[folder] = _by_name(directories, folder, inside)
        if part:
            layout.parts[part] = folder
    return layout


def _wrapped(
    directories: Directories, folder: str, folders: list[str], images: list[str]
) -> tuple[str, list[str], list[str]] | None:
    """Return the only folder in a folder, with its contents, or None if there is more or if it is a class folder."""
    if images or len(folders) != 1:
        return None
    inner = os.path.join(folder, folders[0])
    inside = directories.contents(inner)
    return (inner, *inside) if inside[0] and not inside[1] else None


def _class_folders(directories: Directories, folder: str) -> tuple[str, list[str], list[str]]:
    """Return where the class folders of a split are, such as in ``train/train``, these, and images beside them."""
    found = (folder, *directories.contents(folder))
    for _ in range(_MOST_WRAPPERS):
        if (inner := _wrapped(directories, *found)) is None:
            break
        found = inner
    return found


def _parts(directories: Directories, folders: list[str]) -> dict[str, str]:
    """Return the folder of each split; none if the folders are not all splits, or if training images have none."""
    of_part = {part: [name for name in folders if SPLIT_OF.get(name.casefold()) == part] for part in SPLIT_NAMES}
    is_plain = "train" in folders and set(folders) <= set(_PLAIN)
    if not of_part["train"] or sum(map(len, of_part.values())) < len(folders):
        return {}
    if not is_plain:  # folders of classes may have such names, too
        inside = [directories.contents(name) for name in of_part["train"]]
        if any(images or not names for names, images in inside):
            return {}
    for part, names in of_part.items():
        if len(names) > 1:
            raise DataError(
                f"{shown(directories.root)} has more than one folder for {part}. Keep one. Received: folders={names}",
                path=directories.root,
            )
    return {part: names[0] for part, names in of_part.items() if names}


def _is_no_class(folders: list[str], classes: dict[str, dict[str, str]]) -> bool:
    """Return whether a test folder has a single folder whose name is not even nearly that of a training class."""
    return len(folders) == 1 and not _has_class(folders, classes)


def _has_class(folders: list[str], classes: dict[str, dict[str, str]]) -> bool:
    trained = {same_class(name) for name in next(iter(classes.values()))}
    return any(same_class(name) in trained for name in folders)


def same_class(name: str) -> str:
    """Return what the names of class folders have in common that look alike, or differ only in case or outer spaces."""
    return unicodedata.normalize("NFC", name).translate(_NO_JOINERS).strip().casefold()


def _by_name(directories: Directories, inner: str, folders: list[str]) -> dict[str, str]:
    """Return class folders by their names in NFC: systems write one name in different ways."""
    found: dict[str, str] = {}
    for name in folders:
        earlier = found.setdefault(unicodedata.normalize("NFC", name), name)
        if earlier != name:
            raise DataError(
                f"{shown(directories.root / inner)} has two folders for class {earlier!r}, whose names look the same "
                f"but are written with different characters. Merge them. Received: folders={[earlier, name]!a}",
                path=directories.root / inner / name,
            )
    return found
