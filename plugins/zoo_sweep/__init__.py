"""Sweeps over settings: grids and searches, in processes on this machine or through an engine of another plugin."""

from __future__ import annotations

from zoo import Entry, hookimpl
from zoo.utils import attach

# what engines of other plugins need; not in `dir`, of which pluggy looks at everything
__getattr__, _, __all__ = attach(__name__, __file__)


@hookimpl
def register_commands() -> list[Entry]:
    """Return the commands."""
    return [Entry(name="sweep", target="zoo_sweep.command:sweep", summary="Train many variants, and test the best.")]
