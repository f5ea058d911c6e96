"""Results of runs: list them, compare them side by side, and write a report of one."""

from __future__ import annotations

from zoo import Entry, hookimpl
from zoo.utils import attach

# the Python API; not in `dir`, because pluggy inspects everything there
__getattr__, _, __all__ = attach(__name__, __file__)


@hookimpl
def register_commands() -> list[Entry]:
    """Return the commands."""
    return [
        Entry(name="runs", target="zoo_results.listing:runs", summary="List runs and their results."),
        Entry(
            name="compare", target="zoo_results.comparing:compare", summary="Compare the settings and results of runs."
        ),
        Entry(name="report", target="zoo_results.reporting:report", summary="Write an HTML report of a run."),
    ]
