"""Trainers `fit` and `resident`, and what trainers of other plugins can share with them."""

from __future__ import annotations

from zoo import Entry, hookimpl
from zoo.utils import attach

# public names for trainers of other plugins; kept out of `dir`, because pluggy inspects everything in it
__getattr__, _, __all__ = attach(__name__, __file__)


@hookimpl
def register_trainers() -> list[Entry]:
    """Return the trainers `fit` and `resident`."""
    return [
        Entry(name="fit", target="zoo_keras.fit:Fit", summary="Keras's own `Model.fit`, reproducible bit for bit."),
        Entry(
            name="resident",
            target="zoo_keras.resident:Resident",
            summary="Like fit, but faster: data on the device, many steps per compiled call.",
        ),
    ]
