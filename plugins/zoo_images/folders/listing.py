"""Lists a folder of class folders: the files, the class and split of each, and the files that cannot be used."""

from __future__ import annotations

import contextlib
import os
import stat
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zoo import DataError
from zoo.errors import ZooWarning
from zoo.images import SUFFIXES, shown, unsupported
from zoo_images.folders.directories import Directories
from zoo_images.folders.layouts import find_layout, same_class
from zoo_images.split_names import SPLIT_NAMES, SPLIT_OF

if TYPE_CHECKING:
    from pathlib import Path

    from zoo_images.folders.layouts import Layout

_TABLES = (".csv", ".parquet", ".tsv")
IS_LINK = "it is a link that leads out of"
"""Beginning of the reason why such a file cannot be used."""

_NAMED = 5  # folders named in a message
_IS_FOLDER = "it is a folder inside a class folder: move its images up, or make it a class folder"


@dataclass(kw_only=True)
class Listing:
    """Contents of an image folder.

    Args:
        root: The folder that contains the class folders, or the splits.
        parts: The splits that have their own folder, as in `SPLIT_NAMES`; empty if ``root`` contains the class folders.
        class_names: Names of the classes, in natural order.
        names: Path of each file, relative to ``root``.
        labels: Class number of each file.
        part_of: Split number of each file.
        bad: Names of the files that cannot be used, and why.
        bad_part_of: Split number of each of them, as far as a table says it, else -1; empty if folders do.
        without_classes: Folder of each split, validation or test, that is not used, because it has no class folders.
        litter: Number of files and folders that systems left there.
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
    bad_part_of: list[int] = field(default_factory=list)
    without_classes: dict[str, str] = field(default_factory=dict)
    litter: int = 0
    groups: list[str] = field(default_factory=list)
    table: Path | None = None

    @property
    def source(self) -> Path:
        """What says which class each file has: the table or the folder."""
        return self.table or self.root


def list_images(root: Path, *, follow_links: bool = False) -> Listing:
    """Return the contents of a folder of class folders.

    Names that begin with a dot and what systems leave behind are ignored. Files in a class folder must have the suffix
    of an image and must be within ``root``, symbolic links included; other files are listed as bad.

    Args:
        root: The folder.
        follow_links: Whether symbolic links may lead out of ``root``.

    Raises:
        DataError: The folder cannot be read, it has fewer than two classes, or a class has no files or no folder in
            ``train``.
    """
    layout = find_layout(Directories(root=root, follow_links=follow_links))
    found = Listing(
        root=layout.directories.root,
        parts=tuple(layout.parts),
        bad=[(name, "it is not in a class folder") for name in layout.loose],
        without_classes=layout.without_classes,
    )
    train = next(iter(layout.classes))
    trained = layout.classes[train]
    _check_classes(found, list(trained.values()))
    found.class_names = tuple(trained.values())
    _warn_of_case(found, train)
    numbers = {name: number for number, name in enumerate(trained)}
    for part, (folder, classes) in enumerate(layout.classes.items()):
        for name, class_folder in classes.items():
            if name not in numbers:
                if alike := [each for each in trained if same_class(each) == same_class(name)]:
                    raise DataError(
                        f"Class {name!r} of {shown(found.root / folder)} has no training images, but its name differs "
                        f"only in case or spaces from class {alike[0]!r} of {shown(found.root / train)}. Rename one of "
                        "these folders.",
                        path=found.root / folder / class_folder,
                    )
                raise DataError(
                    f"The class of {shown(found.root / folder / class_folder)} has no training images. Remove this "
                    f"folder, or add {shown(found.root / train / class_folder)}.",
                    path=found.root / folder / class_folder,
                )
            _add_files(found, layout, os.path.join(folder, class_folder), numbers[name], part)
        _check_not_empty(found, folder, part)
    found.litter = len(layout.directories.litter)
    if broken := sorted(layout.directories.broken):
        warnings.warn(
            "Broken links are left out, though classes may be missing with them: "
            f"{', '.join(map(shown, broken[:_NAMED]))}{' and others' if len(broken) > _NAMED else ''}. Restore what "
            "they lead to, or remove them.",
            ZooWarning,
            stacklevel=4,
        )
    _check_no_parts_unknown(found)
    return found


def _check_not_empty(found: Listing, folder: str, part: int) -> None:
    """Raise `DataError` if the folder of a split has class folders, but no files."""
    if part and part not in found.part_of and not any(name.startswith(folder + os.sep) for name, _ in found.bad):
        raise DataError(
            f"The class folders in {shown(found.root / folder)} are empty. Add the {found.parts[part]} images, or "
            "remove the folder: they are then split off from the training images.",
            path=found.root / folder,
        )


def _check_no_parts_unknown(found: Listing) -> None:
    """Raise `DataError` if the class folders contain only folders: they may be splits with unknown names."""
    if not found.names and not found.parts and any(reason == _IS_FOLDER for _, reason in found.bad):
        names = ", ".join(name for several in SPLIT_NAMES.values() for name in several)
        splits = [name for name in found.class_names if name.casefold() in SPLIT_OF]
        others = [shown(name) for name in found.class_names if name not in splits]
        if any(SPLIT_OF[name.casefold()] == "train" for name in splits):
            raise DataError(
                f"{shown(found.root)} has folders of splits, {', '.join(splits)}, beside other folders. Move the "
                f"others elsewhere. Received: folders={others[:_NAMED]}",
                path=found.root,
            )
        raise DataError(
            f"The class folders in {shown(found.root)} contain folders but no images. If they are splits, rename them: "
            f"the possible names are {names}, and one for training is required. If they are classes, move the images "
            "up into them, or pass the folder that contains the class folders. "
            f"Received: class_names={list(found.class_names)[:_NAMED]}",
            path=found.root,
        )


def _check_classes(found: Listing, names: list[str]) -> None:
    if len(names) < 2:
        raise DataError(
            f"{shown(found.root)} has {'no class folder' if not names else 'one class folder'}, but at least "
            f"two are required. Add a folder of images for each class.{_hint_at_table(found.root)} "
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


def _warn_of_case(found: Listing, folder: str) -> None:
    forms: dict[str, list[str]] = {}
    for name in found.class_names:
        forms.setdefault(same_class(name), []).append(name)
    if several := [" and ".join(map(repr, names)) for names in forms.values() if len(names) > 1]:
        warnings.warn(
            f"Class folders in {shown(found.root / folder)} differ only in case or spaces: "
            f"{'; '.join(several[:_NAMED]):.300}. If they are the same class, merge them.",
            ZooWarning,
            stacklevel=5,
        )


def _hint_at_table(root: Path) -> str:
    """Return what to use if a folder has a table, which may have the labels."""
    with contextlib.suppress(OSError):
        tables = [entry for entry in root.iterdir() if entry.suffix.casefold() in _TABLES]
        if tables:
            return f" If {shown(tables[0].name)} has the labels of the images, use --dataset table."
    return ""


def _add_files(found: Listing, layout: Layout, folder: str, label: int, part: int) -> None:
    entries = layout.directories.entries(folder)
    if not entries and part == 0:
        raise DataError(
            f"Class folder {shown(found.root / folder)} has no images. Add some, or remove the folder.",
            path=found.root / folder,
        )
    for entry in entries:
        name = os.path.join(folder, entry.name)
        if (reason := _fault(layout.directories, entry)) is not None:
            found.bad.append((name, reason))
            continue
        found.names.append(name)
        found.labels.append(label)
        found.part_of.append(part)


def _fault(directories: Directories, entry: os.DirEntry[str]) -> str | None:
    try:
        status = entry.stat()
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if stat.S_ISDIR(status.st_mode):
        return _IS_FOLDER
    if not stat.S_ISREG(status.st_mode):
        return "it is not a regular file"
    if not entry.name.casefold().endswith(SUFFIXES):
        return unsupported(entry.name) or f"its name does not end with one of {' '.join(SUFFIXES)}"
    if directories.is_allowed(entry):
        return None
    return f"{IS_LINK} {shown(directories.root)}"
