"""The trainers that ship with zoo."""

from __future__ import annotations

from zoo import Entry, hookimpl
from zoo.utils import attach

# what trainers of other plugins may share; not in `dir`, of which pluggy looks at everything
__getattr__, _, __all__ = attach(__name__, __file__)


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
