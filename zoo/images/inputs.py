"""Expands the images named on the command line (files, folders, patterns, standard input) into a list of files."""

from __future__ import annotations

import glob
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zoo.images.formats import SUFFIXES, unsupported
from zoo.images.litter import is_litter
from zoo.images.natural_sort import natural, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

STANDARD_INPUT = "-"
WINDOWS_LINES = (
    "the list of names has Windows line ends, so that names end with \\r. Convert it, for example with "
    "`tr -d '\\r' < LIST > NEW`."
)
"""What is wrong with a list of file names from Windows, and what to do."""


@dataclass(kw_only=True)
class Sources:
    """Files to read.

    Args:
        files: The files.
        bad: An error line for each argument that is not a file, and for images in formats that are not supported.
        passed_over: Other files in folders, which are no images by their suffixes.
        litter: Number of files and folders that systems left in folders, see `is_litter`.
    """

    files: list[str] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    litter: int = 0


def expand(names: Sequence[str]) -> Sources:
    """Return the named files in order; files of a folder or pattern are in natural order.

    A folder stands for all images in it and its subfolders, by their suffixes. An image in a format that is not
    supported is an error: otherwise it would be missing from the result. Names that begin with a dot and what systems
    leave behind are ignored, and links to folders are not followed. An image suffix in a pattern matches lowercase and
    uppercase.
    """
    sources = Sources()
    for name in names:
        if not name:
            sources.bad.append("An empty argument is not a file name: remove it or pass a path.")
        elif os.path.isdir(name):
            _add_folder(sources, name)
        elif name != STANDARD_INPUT and glob.has_magic(name) and not os.path.lexists(name):
            _add_pattern(sources, name)
        elif name == STANDARD_INPUT and name in sources.files:
            sources.bad.append("- is standard input, which can be read only once: pass it once.")
        elif name.endswith("\r") and not os.path.lexists(name):
            sources.bad.append(f"{shown(name)} cannot be read: {WINDOWS_LINES}")
        elif name != STANDARD_INPUT and not os.path.lexists(name):
            sources.bad.append(f"{shown(name)} cannot be read: No such file or directory.")
        elif name != STANDARD_INPUT and _is_pipe(name):
            sources.bad.append(f"{shown(name)} is a pipe: pass the image on standard input, as -, or pass a file.")
        else:
            sources.files.append(name)  # if it cannot be read, reading it reports why
    return sources


def _is_pipe(name: str) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(name).st_mode)
    except OSError:  # reading it reports why
        return False


def _of_any_case(pattern: str) -> str:
    """Return a pattern whose suffix, if it is that of an image, matches any case: cameras write ``.JPG``."""
    start, suffix = os.path.splitext(pattern)
    if suffix.casefold() not in SUFFIXES:
        return pattern
    return start + "." + "".join(f"[{letter.lower()}{letter.upper()}]" for letter in suffix[1:])


def _add_folder(sources: Sources, folder: str) -> None:
    def tell(error: OSError) -> None:
        sources.bad.append(f"{shown(error.filename)} cannot be read: {error.strerror}.")

    found: list[str] = []
    others: list[tuple[str, str]] = []
    passed_over: list[str] = []
    before = len(sources.bad)
    for inner, folders, files in os.walk(folder, onerror=tell):
        sources.litter += sum(map(is_litter, [*folders, *files]))
        folders[:] = [name for name in folders if not (name.startswith(".") or is_litter(name))]
        for name in files:
            path, text = os.path.join(inner, name), name.casefold()
            if text.startswith(".") or is_litter(name):
                continue
            if text.endswith(SUFFIXES):
                found.append(path)
            elif cure := unsupported(name):
                others.append((path, cure))
            else:
                passed_over.append(path)
    for path, cure in sorted(others, key=lambda each: natural(each[0])):
        sources.bad.append(f"{shown(path)} cannot be read: {cure}.")
    sources.passed_over += sorted(passed_over, key=natural)
    if not found and len(sources.bad) == before:
        sources.bad.append(f"{shown(folder)} has no image files: names must end with one of {' '.join(SUFFIXES)}.")
    sources.files += sorted(found, key=natural)


def _add_pattern(sources: Sources, pattern: str) -> None:
    written = pattern.split(os.sep)
    found = [
        name
        for name in glob.glob(_of_any_case(pattern), recursive=True)
        if not os.path.isdir(name) and not any(is_litter(part) and part not in written for part in name.split(os.sep))
    ]
    if not found:
        sources.bad.append(f"{shown(pattern)} matches no file: check the pattern.")
    sources.files += sorted(found, key=natural)
