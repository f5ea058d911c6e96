"""A plugin that was found, and what it registers or why it is left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """A plugin that was found.

    Args:
        name: The name of its entry point.
        source: Where its hooks are: the entry point's value, ``"zoo_fashion"``.
        package: Name of the installed distribution it came with, if any.
        version: Version of that distribution, ``"unknown"`` if there is none or it does not say; of a file that was
            given by name, the beginning of its digest.
        file: The file it was loaded from, if it was given by name.
        seconds: How long its import and its hooks took.
        hooks: A pluggy manager that knows this plugin alone.
        registers: What it registers: kind to entries or recipes.
        error: Why it was left out; None if it was not.
        cause: What was raised.
    """

    name: str
    source: str
    package: str | None = None
    version: str = "unknown"
    file: Path | None = None
    seconds: float = 0.0
    hooks: pluggy.PluginManager = field(default_factory=lambda: pluggy.PluginManager("zoo"), repr=False)
    registers: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    error: str | None = None
    cause: BaseException | None = field(default=None, repr=False)
