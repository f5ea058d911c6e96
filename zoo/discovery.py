"""Where installed plugins are: the entry points of a group, each distribution read alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

from zoo.blame import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GROUP = "zoo"
"""The entry point group in which plugins announce themselves."""


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
    for distribution in metadata.distributions():
        try:
            several = list(_of(distribution))
        except Exception as error:
            label = getattr(getattr(distribution, "_path", None), "name", "a distribution")
            fault = f"its metadata cannot be read: {one_line(error)}"
            several = [Found(name=label, source="", package=label, version="unknown", load=object, error=fault)]
        if several:
            found.setdefault(re.sub(r"[-_.]+", "-", several[0].package).lower(), several)
    return sorted((one for several in found.values() for one in several), key=lambda one: (one.name, one.package))


def _of(distribution: metadata.Distribution) -> Iterator[Found]:
    points = [point for point in distribution.entry_points if point.group == GROUP]
    if points:
        described = distribution.metadata
        for point in points:
            yield Found(
                name=point.name,
                source=point.value,
                package=described["Name"] or "a distribution without a name",
                version=described["Version"] or "unknown",
                load=point.load,
            )
