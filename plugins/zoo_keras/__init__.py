"""The trainers that ship with zoo."""

from __future__ import annotations

from zoo import Entry, hookimpl


@hookimpl
def register_trainers() -> list[Entry]:
    """Return the trainers."""
    return [Entry(name="fit", target="zoo_keras.fit:Fit", summary="Keras's own fit with Adam, repeatable bit for bit.")]
