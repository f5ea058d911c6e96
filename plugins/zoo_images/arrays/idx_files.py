"""Finds sets of four IDX files in a folder, by the names that MNIST and the sets made like it have."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zoo import DataError
from zoo.images import natural, shown
from zoo_images.arrays.names import Role

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FILE = re.compile(
    r"(?:(?P<prefix>[\w.-]+)-)?(?P<part>train|t10k|test)-(?P<kind>images|labels)[-.]idx(?P<sizes>\d)-(?:ubyte|int)(?:\.gz)?"
)
ROLES = [Role(part, kind) for part in ("train", "test") for kind in ("images", "labels")]
_DEPTH = 2  # as torchvision saves them: MNIST/raw
_NAMED = 10  # sets named in a message
_FOUR = "Dataset 'idx' needs four files: images and labels, for train and for t10k."


@dataclass(frozen=True, kw_only=True)
class IdxSet:
    """Files that belong together.

    Args:
        folder: Their folder.
        prefix: What their names begin with: ``"emnist-letters"``; ``""`` for nothing.
        name: Name of the set, which `find_set` takes: the folder as given to it, and the prefix.
        files: The files of each array: more than one only if the folder has them.
    """

    folder: Path
    prefix: str
    name: str
    files: dict[Role, list[Path]] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether there is a file of each of the four arrays."""
        return all(self.files.get(role) for role in ROLES)

    def file(self, role: Role) -> Path:
        """Return the file of an array: of a file and the same one compressed, the first.

        Raises:
            DataError: There is none, or there are several others.
        """
        found = self.files.get(role, [])
        names = sorted({path.name.removesuffix(".gz") for path in found})
        if len(names) == 1:
            return min(found, key=lambda path: len(path.name))
        part, prefix = "train" if role.part == "train" else "t10k", f"{self.prefix}-" if self.prefix else ""
        sizes = "3" if role.kind == "images" else "1"
        fault = (
            f"has more than one file for the same array, {names}: keep one"
            if names
            else f"has no file {prefix}{part}-{role.kind}-idx{sizes}-ubyte[.gz]"
        )
        raise DataError(f"{shown(self.folder)} {fault}. {_FOUR}", path=self.folder)


def find_set(folder: Path, subset: str) -> IdxSet:
    """Return the set of files in a folder or, if it has none, in the folders in it.

    Args:
        folder: The folder.
        subset: Name of the set, or its end: ``"letters"`` for ``"emnist-letters"``. Empty for the only one, or for the
            one without a prefix.

    Raises:
        DataError: There is no such set, or more than one.
    """
    sets = next((found for depth in range(_DEPTH + 1) if (found := _sets_at(folder, depth))), [])
    if not sets:
        return IdxSet(folder=folder, prefix="", name="")
    ends = (f"-{subset}", f"/{subset}")
    named = [each for each in sets if each.name == subset]
    named = named or [each for each in sets if not subset or each.name.endswith(ends)]
    chosen = [each for each in named if each.is_complete] or named  # incomplete ones only if there are no others
    if len(chosen) == 1:
        return chosen[0]
    several = ", ".join(shown(each.name) or "(no prefix)" for each in sets[:_NAMED])
    raise DataError(
        f"{shown(folder)} has {'more than one' if chosen else 'no such'} set of IDX files. Choose one with --set "
        f"dataset.subset=NAME: {several}{', ...' if len(sets) > _NAMED else ''}. Received: subset={subset!r}",
        path=folder,
    )


def _sets_at(folder: Path, depth: int) -> list[IdxSet]:
    """Return the sets in the folders so many levels below a folder; links to folders are not followed."""
    sets: dict[tuple[Path, str], IdxSet] = {}
    for path in _files_at(folder, depth):
        if not (found := _FILE.fullmatch(path.name)):
            continue
        prefix = found["prefix"] or ""
        inner = [part for part in path.parent.relative_to(folder).parts if part != "raw"]
        name = "/".join([*inner, prefix] if prefix else inner)
        each = sets.setdefault((path.parent, prefix), IdxSet(folder=path.parent, prefix=prefix, name=name))
        role = Role("train" if found["part"] == "train" else "test", found["kind"])
        each.files.setdefault(role, []).append(path)
    return sorted(sets.values(), key=lambda each: natural(each.name))


def _files_at(folder: Path, depth: int) -> Iterator[Path]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if depth and entry.is_dir(follow_symlinks=False):
                yield from _files_at(folder / entry.name, depth - 1)
            elif not depth:
                yield folder / entry.name
