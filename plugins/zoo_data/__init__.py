"""A look at a dataset before anything is trained: classes, pixels, copies; and labels that are likely wrong."""

from __future__ import annotations

from zoo import Entry, hookimpl


@hookimpl
def register_commands() -> list[Entry]:
    """Return the commands."""
    return [
        Entry(
            name="data",
            target="zoo_data.command:data",
            summary="Show what a dataset contains: classes, pixels, copies, doubtful labels.",
        )
    ]
