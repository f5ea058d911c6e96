"""What a plugin registers: entries and recipes, and what makes one valid."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from zoo.errors import InvalidEntryError
from zoo.types import Monitor

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = ("dataset", "model", "trainer", "recipe", "command", "tracker")
"""The six kinds of named things."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A data set, model, trainer, command or tracker that a plugin registers.

    Args:
        name: Lower-case letters, digits, ``-`` and ``.``; starts with a letter or digit.
        target: What the name stands for: a callable, or ``"package.module:name"``, imported on first use.
            Its keyword parameters, annotated and with defaults, are the entry's settings.
        summary: One line for the lists.
        aliases: Other names for the same thing.
        former_names: Names it had before; they resolve with a warning and are not listed.
        parameters: Of a model, the number of its weights for images of 28x28x1 and ten classes, with default settings.
            ``zoo show`` prints it without importing Keras; ``zoo check`` compares it with the model.
    """

    name: str
    target: str | Callable[..., Any]
    summary: str
    aliases: tuple[str, ...] = ()
    former_names: tuple[str, ...] = ()
    parameters: int | None = None


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A runnable combination: what ``zoo run NAME`` runs.

    Args:
        name: As for `Entry`.
        summary: One line for the lists.
        dataset: Name of a registered data set. A name is looked for in the recipe's own plugin first.
        model: Name of a registered model.
        trainer: Name of a registered trainer.
        epochs: Passes over the training images.
        batch_size: Images per weight update.
        validation: Images to cut from the training images for validation, where the data set brings no
            validation split of its own; 0 for none, and then the last epoch is kept.
        monitor: Validation metric that the best epoch is chosen by: the lowest ``"loss"``, or the highest
            ``"accuracy"`` and among equal ones the lowest loss. Loss misleads where labels are smoothed.
        seed: Seed of the weights' initial values, the order of the images and dropout.
        settings: Settings of the parts, ``{"model.dropout": 0.1, "trainer.learning_rate": 3e-3}``.
        trained: A run folder of this recipe that ships with the plugin, ``"my_plugin:trained/my-recipe"``: its
            ``run.json`` and ``model.safetensors``. ``zoo test`` and `zoo.load` take the recipe's name for it.
        results: What this recipe came to with several seeds, ``"my_plugin:results/my-recipe.json"``: a file that
            ``zoo record`` wrote. ``zoo reproduce`` compares with it.
        aliases: As for `Entry`.
        former_names: As for `Entry`.
    """

    name: str
    summary: str
    dataset: str
    model: str
    trainer: str
    epochs: int
    batch_size: int
    validation: int = 0
    monitor: Monitor = "loss"
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    trained: str | None = None
    results: str | None = None
    aliases: tuple[str, ...] = ()
    former_names: tuple[str, ...] = ()


_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
LOCAL = "local"
"""The plugin name of what a caller adds to a registry of its own."""


def check_name(name: object, what: str) -> None:
    """Raise `InvalidEntryError` unless it is a valid name."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidEntryError(
            f"The name of a {what} is made of lower-case letters, digits, '-' and '.', "
            f"and starts with a letter or digit. Received: name={name!r}"
        )


def check_recipe(recipe: Recipe) -> None:
    """Raise `InvalidEntryError` unless a recipe's fields are of their types and in their bounds."""
    parts = {kind: getattr(recipe, kind) for kind in ("dataset", "model", "trainer")}
    least = {"epochs": 1, "batch_size": 1, "validation": 0, "seed": 0}
    counts = {name: getattr(recipe, name) for name in least}
    faults = [
        *((f"{kind} is a name", kind) for kind, value in parts.items() if not isinstance(value, str)),
        *(
            (f"{name} is an integer from {least[name]}", name)
            for name, value in counts.items()
            if type(value) is not int or value < least[name]
        ),
    ]
    if recipe.monitor not in get_args(Monitor):
        faults.append(("monitor is 'loss' or 'accuracy'", "monitor"))
    if not isinstance(recipe.settings, Mapping) or not all(isinstance(key, str) for key in recipe.settings):
        faults.append(("settings is a mapping from names to values", "settings"))
    for fault, name in faults:
        raise InvalidEntryError(f"In recipe {recipe.name!r}, {fault}. Received: {name}={getattr(recipe, name)!r:.200}")


def check_names(owner: str, names: object) -> tuple[object, ...]:
    """Return the other names of a thing; raise `InvalidEntryError` unless they are a tuple."""
    if not isinstance(names, tuple):
        raise InvalidEntryError(f"The other names of {owner!r} are a tuple of names. Received: {names!r}")
    return names
