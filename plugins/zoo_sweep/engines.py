"""Engines that other plugins bring, for sweeps on a cluster: found through the entry points ``zoo_sweep.engines``."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from zoo import PluginError

if TYPE_CHECKING:
    from zoo_sweep.engine import Engine, EngineOptions

GROUP = "zoo_sweep.engines"
"""The group of entry points. Each is a module with `is_address`, `check_installed` and `connect`, as called here."""


def is_address(text: str) -> bool:
    """Return whether a text is the address of a cluster."""
    return bool(_engine().is_address(text))


def check_installed() -> None:
    """Raise `zoo.PluginError` if what the engine needs is not installed."""
    _engine().check_installed()


def connect(options: EngineOptions) -> Engine:
    """Return the engine of a cluster, once it answers.

    Raises:
        ZooError: The cluster cannot be reached, or has no room for a single trial.
    """
    engine: Engine = _engine().connect(options)
    return engine


def _engine() -> Any:
    for found in sorted(entry_points(group=GROUP), key=lambda each: each.name):
        return found.load()
    raise PluginError(
        f"No plugin brings an engine for sweeps on a cluster: install one that has an entry point {GROUP!r}."
    )
