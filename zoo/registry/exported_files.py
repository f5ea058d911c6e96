"""Tell exported files from run folders and recipes, by their suffixes. Opens nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from zoo.errors import AmbiguousNameError

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.registry.catalog import Registered
    from zoo.registry.entries import Entry
    from zoo.registry.registry import Registry

_RECORD = "run.json"


def is_exported(path: str | Path, registry: Registry) -> bool:
    """Return whether a path has the suffix of a registered exporter's files and is not a run folder."""
    return exporter_of(path, registry) is not None and not os.path.isfile(os.path.join(path, _RECORD))


def exporter_of(path: str | Path, registry: Registry) -> Registered[Entry] | None:
    """Return the exporter that writes files with a path's suffix, or None. Of several suffixes, the longest counts.

    Raises:
        AmbiguousNameError: Two plugins have exporters with this suffix.
    """
    name = os.path.basename(os.path.normpath(path))
    fitting = {found: found.item.suffix or "" for found in registry.exporters}
    longest = max((suffix for suffix in fitting.values() if suffix and name.endswith(suffix)), key=len, default=None)
    several = [found for found, suffix in fitting.items() if suffix == longest]
    if longest is not None and len(several) > 1:
        names = ", ".join(found.qualified_name for found in several)
        raise AmbiguousNameError(
            f"Files with the suffix {longest} may be of the exporters {names}. Leave out one of their plugins with "
            f"ZOO_PLUGINS. Received: {os.fspath(path)!r}",
            kind="exporter",
            name=longest,
            choices=tuple(found.qualified_name for found in several),
        )
    return several[0] if longest is not None else None
