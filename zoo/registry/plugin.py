"""A discovered plugin: what it registers, or why it is left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """A discovered plugin, loaded or left out.

    Args:
        name: Name of its entry point; for a plugin loaded from a file, derived from the file's name.
        source: Location of its hooks: the value of the entry point, ``"zoo_fashion"``, or the path of the file.
        package: Name of the installed distribution that contains it, if any.
        version: Version of that distribution, ``"unknown"`` if there is none or its metadata has none. For a plugin
            loaded from a file, the beginning of the file's digest.
        file: The file it was loaded from (``--plugin FILE``), if any.
        seconds: Duration of its import and its hooks.
        registers: The entries or recipes that it registers, by kind.
        error: Why it was left out, or None if it was loaded.
        cause: The exception that was raised.
    """

    name: str
    source: str
    package: str | None = None
    version: str = "unknown"
    file: Path | None = None
    seconds: float = 0.0
    registers: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    error: str | None = None
    cause: BaseException | None = field(default=None, repr=False)
