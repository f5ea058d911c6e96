"""The trainers that ship with zoo."""

from __future__ import annotations

from zoo import Entry, hookimpl


@hookimpl
def register_trainers() -> list[Entry]:
    """Return the trainers."""
    return [
        Entry(name="fit", target="zoo_keras.fit:Fit", summary="Keras's own fit with Adam, repeatable bit for bit."),
        Entry(
            name="resident",
            target="zoo_keras.resident:Resident",
            summary="The same, faster: data on the device, many steps in one compiled call.",
        ),
    ]
