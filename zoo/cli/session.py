"""What the commands of one call share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.registry import Registry


@dataclass
class Session:
    """What the commands of one call share: the registry, made when it is first used, and ``--traceback``."""

    traceback: bool = False

    @cached_property
    def registry(self) -> Registry:
        """A registry of this call's own."""
        from zoo.plugins import load_registry

        return load_registry()
