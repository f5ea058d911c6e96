"""Where installed plugins are: the entry points of a group, each distribution read alone.

Distributions in folders are read here, since to import `importlib.metadata` takes longer than the rest of a listing. It
is asked where distributions may be found in another way: in archives, or by import hooks.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING

from zoo.utils.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Read = Callable[[str], str | None]

GROUP = "zoo"
"""The entry point group in which plugins announce themselves."""

_VALUE = re.compile(r"(?P<module>[\w.]+)\s*(:\s*(?P<attributes>[\w.]+)\s*)?(\[.*\]\s*)?")
_ABSENT = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)


@dataclass(frozen=True, kw_only=True)
class Found:
    """An entry point, or a distribution whose metadata cannot be read.

    Args:
        name: The entry point's name.
        source: Its value, ``"zoo_fashion"``.
        package: Name of the distribution.
        version: Version of the distribution, ``"unknown"`` if it does not say.
        load: Imports what it names.
        error: Why it cannot even be tried.
    """

    name: str
    source: str
    package: str
    version: str
    load: Callable[[], object]
    error: str | None = None


def discover() -> list[Found]:
    """Return the installed plugins, sorted by name, then package; of two copies of a package, the first on the path."""
    found: dict[str, list[Found]] = {}
    for label, read in _in_folders() if _are_all_in_folders() else _anywhere():
        try:
            several = list(_of(read))
        except Exception as error:
            fault = f"its metadata cannot be read: {one_line(error)}"
            several = [Found(name=label, source="", package=label, version="unknown", load=object, error=fault)]
        if several:
            found.setdefault(re.sub(r"[-_.]+", "-", several[0].package).lower(), several)
    return sorted((one for several in found.values() for one in several), key=lambda one: (one.name, one.package))


def _are_all_in_folders() -> bool:
    finders = [finder for finder in sys.meta_path if hasattr(finder, "find_distributions")]
    return finders == [PathFinder] and not any(os.path.isfile(path) for path in sys.path)


def _in_folders() -> Iterator[tuple[str, Read]]:
    """Iterate over the distributions in the folders of the path: a name for each, and what reads a file of it."""
    for folder in dict.fromkeys(path or os.curdir for path in sys.path):
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                if name.lower().endswith((".dist-info", ".egg-info")):
                    yield name, functools.partial(_read, os.path.join(folder, name))


def _read(folder: str, name: str) -> str | None:
    with contextlib.suppress(*_ABSENT), open(os.path.join(folder, name), encoding="utf-8") as file:
        return file.read()
    return None


def _anywhere() -> Iterator[tuple[str, Read]]:
    from importlib import metadata

    for distribution in metadata.distributions():
        yield getattr(getattr(distribution, "_path", None), "name", "a distribution"), distribution.read_text


def _of(read: Read) -> Iterator[Found]:
    """Return the entry points of a distribution that are plugins."""
    points = list(_entry_points(read("entry_points.txt") or ""))
    if points:
        described = _headers(read("METADATA") or read("PKG-INFO") or "")
        for name, value in points:
            yield Found(
                name=name,
                source=value,
                package=described.get("name") or "a distribution without a name",
                version=described.get("version") or "unknown",
                load=functools.partial(_load, value),
            )


def _entry_points(text: str) -> Iterator[tuple[str, str]]:
    section = None
    for line in (line.strip() for line in text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            section = line.strip("[]")
        elif section == GROUP and line and not line.startswith("#"):
            name, equals, value = line.partition("=")
            if not equals:
                raise ValueError(f"entry_points.txt has a line without '=': {line!r:.100}")
            yield name.strip(), value.strip()


def _headers(text: str) -> dict[str, str]:
    """Return the first value of each header, by name in lower case, up to the first empty line."""
    headers: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            break
        name, _, value = line.partition(":")
        headers.setdefault(name.lower(), value.strip())
    return headers


def _load(value: str) -> object:
    """Import what an entry point names: ``"package.module"`` or ``"package.module:attribute"``."""
    matched = _VALUE.fullmatch(value)
    if matched is None:
        raise ValueError(f"an entry point is 'package.module' or 'package.module:name', not {value!r:.100}")
    attributes = filter(None, (matched["attributes"] or "").split("."))
    return functools.reduce(getattr, attributes, import_module(matched["module"]))
