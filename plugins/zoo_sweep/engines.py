"""Engines that other plugins bring, for sweeps on a cluster: found through the entry points ``zoo_sweep.engines``."""

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
"""The group of entry points. Each is a module with `is_address`, `check_installed` and `connect`, as called here."""


def is_address(text: str) -> bool:
    """Return whether a text is the address of a cluster that an engine reaches."""
    return any(engine.is_address(text) for engine in _engines())


def check_installed(address: str) -> None:
    """Raise `zoo.PluginError` if what the engine of an address needs is not installed."""
    _engine(address).check_installed()


def connect(options: EngineOptions) -> Engine:
    """Return the engine of a cluster, once it answers.

    Raises:
        ZooError: The cluster cannot be reached, or has no room for a single trial.
    """
    engine: Engine = _engine(options.address).connect(options)
    return engine


def _engine(address: str) -> Any:
    for engine in _engines():
        if engine.is_address(address):
            return engine
    raise PluginError(f"No plugin brings an engine for this cluster. Received: address={address!r}")


def _engines() -> Iterator[Any]:
    """Iterate over the engines; one that cannot be imported is left out with a warning."""
    for found in sorted(entry_points(group=GROUP), key=lambda each: each.name):
        try:
            engine = found.load()
        except Exception as error:
            warnings.warn(f"The engine {found.name!r} is left out: {one_line(error)}", PluginWarning, stacklevel=2)
        else:
            yield engine
