"""Helpers of the checks: small inputs and models, and how failures are reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.data.examples import ArrayExamples
from zoo.errors import CheckFailedError
from zoo.models.build import build_model
from zoo.recipes import resolution
from zoo.recipes.components import component_settings, default_component
from zoo.recipes.settings import REQUIRED
from zoo.registry.catalog import resolve
from zoo.training.learning import learning_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import keras

    from zoo.interfaces import Learning, Trainer
    from zoo.registry.catalog import Registered
    from zoo.registry.entries import Entry
    from zoo.registry.registry import Registry
    from zoo.runs.records import Metrics

SHAPES = ((28, 28, 1), (32, 32, 3), (20, 36, 3))
"""The image shapes (height, width, channels) that every model must accept, unless it refuses small images."""

LARGE_SHAPES = ((56, 56, 1), (64, 64, 3), (40, 72, 3))
"""The image shapes that a model must accept if it refuses those with a `SettingError` of ``dataset.size``."""

CLASSES = (2, 10)
"""The numbers of classes that every model must support."""

SHAPE = (6, 6, 1)
"""The image shape of `small_model`."""

LIMIT = 2000
"""Batch size for reading a dataset, and the number of examples that two loads are compared on."""

RECIPE = "fashion/fashion-cnn"
"""The recipe whose other components are used to check one."""

_TRAINER = "keras/fit"

Checks = dict[str, "Callable[[Subject], None]"]
"""Checks of a kind of registered objects: functions, by requirement."""


def require(condition: object, message: str) -> None:
    """Raise `CheckFailedError` if a condition is false."""
    if not condition:
        raise CheckFailedError(message)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The subject of a check.

    Args:
        registry: Registry in which the plugin is loaded.
        plugin: The plugin's name.
        data_dir: Folder or file for datasets that need one.
        entry: The registered object to check; None for the plugin as a whole.
    """

    registry: Registry
    plugin: str
    data_dir: Path | None
    entry: Registered[Any] | None = None

    @property
    def registered(self) -> Registered[Any]:
        """The registered object to check."""
        if self.entry is None:
            raise LookupError("This check has no registered object: its subject is the plugin.")
        return self.entry

    @property
    def title(self) -> str:
        """The subject's name in messages: ``"model tiny-net"``."""
        return f"plugin {self.plugin}" if self.entry is None else f"{self.entry.kind} {self.entry.name}"


def settings(subject: Subject) -> None:
    """Require a type for every setting, and a default of that type."""
    for spec in component_settings(subject.registered).values():
        require(
            spec.default is not REQUIRED,
            f"{subject.title}: setting {spec.name!r} has no default: add one, so that it can be omitted.",
        )
    default_component(subject.registered)


def noise(shape: tuple[int, int, int], classes: int, count: int = 64) -> ArrayExamples:
    """Return images of random noise whose labels cycle through the classes."""
    import numpy as np

    generator = np.random.default_rng(0)
    return ArrayExamples(generator.integers(0, 256, size=(count, *shape), dtype=np.uint8), np.arange(count) % classes)


def model(registered: Registered[Entry], shape: tuple[int, int, int], classes: int, seed: int = 0) -> keras.Model:
    """Return a model built with default settings."""
    import keras

    keras.utils.set_random_seed(seed)
    return build_model(default_component(registered), shape, classes)


def trainer(registry: Registry) -> Trainer:
    """Return the trainer used to check models and callbacks."""
    made: Trainer = resolve(registry.trainers.get(_TRAINER))()
    return made


def learning(registry: Registry, learning_rate: float) -> Learning | None:
    """Return how models learn when they are checked, with a learning rate."""
    settings = {"optimizer.learning_rate": learning_rate}
    return learning_of(resolution.resolve(registry, RECIPE, {"settings": settings}))


def small_model(seed: int = 0) -> keras.Model:
    """Return a model with dropout and batch normalization, for images of `SHAPE` and three classes."""
    import keras

    keras.utils.set_random_seed(seed)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Dense(3, activation="softmax"),
        ]
    )


def ignore_step(step: int, metrics: Metrics) -> None:
    """Ignore the progress that a trainer reports."""
