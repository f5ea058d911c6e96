"""Find installed plugins: the entry points of a group, with each distribution read on its own.

Distributions in folders are read directly, because importing `importlib.metadata` takes longer than the rest of a
listing. It is used only if distributions may be elsewhere: in archives, or found by import hooks.
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
"""The entry point group of plugins."""

_VALUE = re.compile(r"(?P<module>[\w.]+)\s*(:\s*(?P<attributes>[\w.]+)\s*)?(\[.*\]\s*)?")
_ABSENT = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)


@dataclass(frozen=True, kw_only=True)
class Found:
    """An entry point, or a distribution whose metadata cannot be read.

    Args:
        name: Name of the entry point.
        source: Value of the entry point: ``"zoo_fashion"``.
        package: Name of the distribution.
        version: Version of the distribution, ``"unknown"`` if its metadata has none.
        load: Imports the object that the entry point names.
        error: Why the plugin cannot be loaded at all, or None.
    """

    name: str
    source: str
    package: str
    version: str
    load: Callable[[], object]
    error: str | None = None


def discover() -> list[Found]:
    """Return the installed plugins, sorted by name, then package. For a package installed twice, the first one wins."""
    found: dict[str, list[Found]] = {}
    for label, read in _in_folders() if _are_all_in_folders() else _anywhere():
        try:
            several = list(_of(read))
        except Exception as error:
            fault = f"its metadata cannot be read (reinstall the package): {one_line(error)}"
            several = [Found(name=label, source="", package=label, version="unknown", load=object, error=fault)]
        if several:
            found.setdefault(re.sub(r"[-_.]+", "-", several[0].package).lower(), several)
    return sorted((one for several in found.values() for one in several), key=lambda one: (one.name, one.package))


def _are_all_in_folders() -> bool:
    finders = [finder for finder in sys.meta_path if hasattr(finder, "find_distributions")]
    return finders == [PathFinder] and not any(os.path.isfile(path) for path in sys.path)


def _in_folders() -> Iterator[tuple[str, Read]]:
    """Iterate over the distributions in the folders of ``sys.path``: name, and a function that reads a file of it."""
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
    """Iterate over the plugin entry points of a distribution."""
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
    """Return the first value of each header up to the first empty line, keyed by lower-case name."""
    headers: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            break
        name, _, value = line.partition(":")
        headers.setdefault(name.lower(), value.strip())
    return headers


def _load(value: str) -> object:
    """Import the object that an entry point names: ``"package.module"`` or ``"package.module:attribute"``."""
    matched = _VALUE.fullmatch(value)
    if matched is None:
        raise ValueError(f"its entry point must be 'package.module' or 'package.module:name'. Received: {value!r:.100}")
    attributes = filter(None, (matched["attributes"] or "").split("."))
    return functools.reduce(getattr, attributes, import_module(matched["module"]))
