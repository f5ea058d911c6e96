"""Trainers made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.interfaces import Trainer
from zoo.recipes.components import instantiate

if TYPE_CHECKING:
    from zoo.recipes.components import Component


def make_trainer(part: Component) -> Trainer:
    """Return a trainer.

    Raises:
        PluginError: It cannot be made, or is none.
    """
    trainer: Trainer = instantiate(part, Trainer, "lacks start or predict")
    return trainer
