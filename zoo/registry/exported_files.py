"""Tell exported files from run folders and recipes, by their suffixes. Opens nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.registry.catalog import Registered
    from zoo.registry.entries import Entry
    from zoo.registry.registry import Registry


def is_exported(path: str | Path, registry: Registry) -> bool:
    """Return whether a path has the suffix of a registered exporter's files."""
    return exporter_of(path, registry) is not None


def exporter_of(path: str | Path, registry: Registry) -> Registered[Entry] | None:
    """Return the exporter that writes files with a path's suffix, or None."""
    name = os.path.basename(os.path.normpath(path)).lower()
    return next(
        (found for found in registry.exporters if found.item.suffix and name.endswith(found.item.suffix)),
        None,
    )
