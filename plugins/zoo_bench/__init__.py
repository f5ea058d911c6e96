"""Benchmarks of trained models and their exported files: latency, memory, size and accuracy side by side."""

from __future__ import annotations

from zoo import Entry, hookimpl
from zoo.utils import attach

# the Python API; not in `dir`, because pluggy inspects everything there
__getattr__, _, __all__ = attach(__name__, __file__)


@hookimpl
def register_commands() -> list[Entry]:
    """Return the commands."""
    return [
        Entry(
            name="bench",
            target="zoo_bench.command:bench",
            summary="Measure the latency, memory and size of trained models.",
        )
    ]
