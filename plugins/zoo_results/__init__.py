"""What runs came to: a table of them, several side by side, and a report of one."""

from __future__ import annotations

from zoo import Entry, hookimpl
from zoo.utils import attach

# what programs call; not in `dir`, of which pluggy looks at everything
__getattr__, _, __all__ = attach(__name__, __file__)


@hookimpl
def register_commands() -> list[Entry]:
    """Return the commands."""
    return [
        Entry(name="runs", target="zoo_results.listing:runs", summary="List runs and what they came to."),
        Entry(name="compare", target="zoo_results.comparing:compare", summary="Compare runs, settings to mistakes."),
        Entry(name="report", target="zoo_results.reporting:report", summary="Write a report of a run: one HTML file."),
    ]
