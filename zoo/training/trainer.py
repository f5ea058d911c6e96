"""Create trainers, and close trainings."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from zoo.errors import PluginError
from zoo.interfaces import Trainer, Training
from zoo.recipes.components import instantiate
from zoo.utils.plugin_errors import plugin_errors, plugin_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoo.recipes.components import Component


def make_trainer(component: Component) -> Trainer:
    """Create a trainer.

    Raises:
        PluginError: It cannot be created, or is not a trainer.
    """
    trainer: Trainer = instantiate(component, Trainer, "must return a zoo.Trainer")
    return trainer


@contextlib.contextmanager
def close_on_exit(training: Training, title: str = "trainer") -> Iterator[Training]:
    """Check that a trainer returned a training, and call its ``close`` method at the end."""
    if not isinstance(training, Training):
        raise PluginError(
            f"The method start of {title} must return a zoo.Training. Received: {training!r:.200}",
            plugin=plugin_of(title),
        )
    try:
        yield training
    finally:
        with plugin_errors(title, "close"):
            training.close()
