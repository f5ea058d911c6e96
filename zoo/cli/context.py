"""State that the commands of one call share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from zoo.utils.keras_import import silence_native_stderr

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.registry.registry import Registry


@dataclass
class Session:
    """State that the commands of one call share: the registry, loaded on first use, and the options of ``zoo``."""

    traceback: bool = False
    plugin_files: tuple[Path, ...] = ()
    is_completing: bool = False

    @cached_property
    def registry(self) -> Registry:
        """The registry of this call."""
        from zoo.registry.plugins import load_registry

        with silence_native_stderr():  # a plugin may import Keras at module level
            if self.is_completing:  # faults are reported when a command is called
                return load_registry(files=self.plugin_files, lenient=True)
            return load_registry(files=self.plugin_files)
