"""Engines of other plugins, for sweeps on a cluster, found through the entry point group ``zoo_sweep.engines``."""

from __future__ import annotations

import warnings
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from zoo import PluginError
from zoo.errors import PluginWarning
from zoo.utils import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoo_sweep.engine import Engine, EngineOptions

GROUP = "zoo_sweep.engines"
"""The entry point group. Each entry names a module with `is_address`, `check_installed` and `connect`, as used here."""


def is_address(text: str) -> bool:
    """Return whether any engine accepts a text as the address of a cluster."""
    return any(engine.is_address(text) for engine in _engines())


def check_installed(address: str) -> None:
    """Raise `PluginError` if the requirements of the engine for an address are not installed."""
    _engine(address).check_installed()


def connect(options: EngineOptions) -> Engine:
    """Connect to a cluster and return its engine.

    Raises:
        ZooError: The cluster cannot be reached, or has no room for a single trial.
    """
    engine: Engine = _engine(options.address).connect(options)
    return engine


def _engine(address: str) -> Any:
    for engine in _engines():
        if engine.is_address(address):
            return engine
    raise PluginError(
        "No plugin provides an engine for this address. Correct it, or install a plugin that supports it. "
        f"Received: address={address!r}"
    )


def _engines() -> Iterator[Any]:
    """Iterate over the engines; warn about and skip those that cannot be imported."""
    for found in sorted(entry_points(group=GROUP), key=lambda each: each.name):
        try:
            engine = found.load()
        except Exception as error:
            warnings.warn(
                f"Sweep engine {found.name!r} was not loaded, because it cannot be imported: {one_line(error)}",
                PluginWarning,
                stacklevel=2,
            )
        else:
            yield engine
