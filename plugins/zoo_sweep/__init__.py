"""Sweeps over settings: grids and searches, on this machine or through an engine that another plugin provides."""

from __future__ import annotations

from zoo import Entry, hookimpl
from zoo.utils import attach

# public names for engines of other plugins; kept out of `dir`, because pluggy inspects everything in it
__getattr__, _, __all__ = attach(__name__, __file__)


@hookimpl
def register_commands() -> list[Entry]:
    """Return the command `sweep`."""
    return [
        Entry(
            name="sweep", target="zoo_sweep.command:sweep", summary="Train many variants of a recipe and test the best."
        )
    ]
