"""Create trainers, and close trainings."""

from __future__ import annotations

import contextlib
import inspect
from typing import TYPE_CHECKING

from zoo.interfaces import Trainer
from zoo.recipes.components import instantiate
from zoo.utils.plugin_errors import plugin_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeGuard

    from zoo.interfaces import SteppedTraining, Training
    from zoo.recipes.components import Component


def make_trainer(component: Component) -> Trainer:
    """Create a trainer.

    Raises:
        PluginError: It cannot be created, or is not a trainer.
    """
    trainer: Trainer = instantiate(component, Trainer, "must have the methods start and predict")
    return trainer


@contextlib.contextmanager
def close_on_exit(training: Training, title: str = "trainer") -> Iterator[Training]:
    """Call the ``close`` method of a training at the end, if it has one."""
    try:
        yield training
    finally:
        if close := getattr(training, "close", None):
            with plugin_errors(title, "close"):
                close()


def is_stepped(training: Training) -> TypeGuard[SteppedTraining]:
    """Return whether a training can resume within an epoch."""
    return "first_step" in inspect.signature(training.run_epoch).parameters
