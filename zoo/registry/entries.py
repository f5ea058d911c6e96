"""Entries and recipes, which plugins register, and their validation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from zoo.errors import InvalidEntryError
from zoo.registry.kinds import COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo.registry.kinds import Kind


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A registered object of any kind but a recipe: a dataset, a model, an optimizer, a metric, a command, ...

    Args:
        name: Lower-case letters, digits, ``-`` and ``.``, starting with a letter or digit.
        target: The registered object: a callable, or ``"package.module:name"``, which is imported on first use.
            Its keyword parameters, with defaults, are the entry's settings. A setting's type is its annotation or,
            without one, the type of its default.
        summary: One line, shown in lists.
        aliases: Other names for the same object.
        former_names: Earlier names. They resolve with a warning and are not listed.
        parameters: For a model: the number of its weights for 28x28x1 images and ten classes, with default settings.
            ``zoo show`` prints it without importing Keras; ``zoo check`` compares it with the model.
        weight_names: For a model: a function, or where it is defined (``"package.module:name"``), that returns the name
            of this model's layer for the name of a layer (module) in files of other libraries' weights:
            ``"block0_conv"`` for ``"blocks.0.conv"``; None if it knows no such layer.
        suffix: For an exporter: how the names of its files end, ``".onnx"``. A file of that name can be predicted with
            and tested.
        mode: For a metric: whether the ``"max"`` or the ``"min"`` is best. ``"max"`` by default.
    """

    name: str
    target: str | Callable[..., Any]
    summary: str
    aliases: tuple[str, ...] = ()
    former_names: tuple[str, ...] = ()
    parameters: int | None = None
    mode: Literal["min", "max"] | None = None
    weight_names: str | Callable[[str], str | None] | None = None
    suffix: str | None = None


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A runnable combination of registered objects and settings, for ``zoo run NAME``.

    Args:
        name: As for `Entry`.
        summary: One line, shown in lists.
        dataset: Name of a registered dataset. Names are looked up in the recipe's own plugin first.
        model: Name of a registered model.
        trainer: Name of a registered trainer.
        epochs: Passes over the training images.
        batch_size: Images per weight update.
        validation: Number of training images to hold out for validation, if the dataset has no validation split of
            its own. 0 for none; then the last epoch is kept.
        optimizer: Name of a registered optimizer; None for the trainer's default.
        schedule: Name of a registered learning rate schedule; None for the trainer's default.
        loss: Name of a registered loss; None for the trainer's default.
        augmentations: Names of registered augmentations, in the order in which they are applied.
        metrics: Names of registered metrics to compute besides loss and accuracy.
        callbacks: Names of registered callbacks.
        monitor: Validation metric that determines the best epoch: the lowest ``"loss"``, the highest ``"accuracy"``, or
            the best value of a registered metric; on a tie, the lowest loss. Loss is misleading with label smoothing.
        seed: Random seed for initial weights, image order and dropout.
        settings: Settings of the components, ``{"model.dropout": 0.1, "optimizer.learning_rate": 3e-3}``; those of
            augmentations, metrics and callbacks include their name, ``{"augmentation.shift.pixels": 2}``.
        trained: A run folder of this recipe that ships with the plugin, ``"my_plugin:trained/my-recipe"``. It contains
            the run's ``run.json`` and ``model.safetensors``. ``zoo test`` and `zoo.load` then accept the recipe's name.
        results: This recipe's results across multiple seeds, ``"my_plugin:results/my-recipe.json"``: a file written by
            ``zoo record``. ``zoo reproduce`` compares with it.
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
    optimizer: str | None = None
    schedule: str | None = None
    loss: str | None = None
    augmentations: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    callbacks: tuple[str, ...] = ()
    monitor: str = "loss"
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    trained: str | None = None
    results: str | None = None
    aliases: tuple[str, ...] = ()
    former_names: tuple[str, ...] = ()


_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
LOCAL = "local"
"""The plugin name of objects that a caller adds to a registry in code."""


def check_name(name: object, what: str) -> None:
    """Raise `InvalidEntryError` unless a name is valid."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidEntryError(
            f"The name of a {what} must consist of lower-case letters, digits, '-' and '.', "
            f"and start with a letter or digit. Received: name={name!r}"
        )


def check_recipe(recipe: Recipe) -> None:
    """Raise `InvalidEntryError` unless all fields of a recipe have valid types and values."""
    least = {"epochs": 1, "batch_size": 1, "validation": 0, "seed": 0}
    counts = {name: getattr(recipe, name) for name in least}
    faults = [
        *(
            (f"{kind.choice} must be {'a tuple of names' if kind.recipe == 'many' else 'a name'}", kind.choice)
            for kind in COMPONENTS.values()
            if not _is_choice(getattr(recipe, kind.choice), kind)
        ),
        *(
            (f"{name} must be an integer of at least {least[name]}", name)
            for name, value in counts.items()
            if type(value) is not int or value < least[name]
        ),
    ]
    if not isinstance(recipe.monitor, str):
        faults.append(("monitor must be the name of a metric", "monitor"))
    if not isinstance(recipe.settings, Mapping) or not all(isinstance(key, str) for key in recipe.settings):
        faults.append(("settings must be a mapping from names to values", "settings"))
    for fault, name in faults:
        raise InvalidEntryError(f"In recipe {recipe.name!r}, {fault}. Received: {name}={getattr(recipe, name)!r:.200}")


def choices(recipe: Recipe) -> list[tuple[Kind, str]]:
    """Return the names of all objects that a recipe names, each with its kind."""
    found: list[tuple[Kind, str]] = []
    for kind in COMPONENTS.values():
        value = getattr(recipe, kind.choice)
        found += [(kind, name) for name in ((value,) if isinstance(value, str) else value or ())]
    return found


def _is_choice(value: object, kind: Kind) -> bool:
    """Return whether a recipe's field names objects of a kind: one, any number, or by None the trainer's default."""
    if kind.recipe == "many":
        return isinstance(value, tuple) and all(isinstance(name, str) for name in value)
    return isinstance(value, str) or (kind.is_trainers and value is None)


def check_names(owner: str, names: object) -> tuple[object, ...]:
    """Return the aliases or former names of an entry; raise `InvalidEntryError` unless they are a tuple."""
    if not isinstance(names, tuple):
        raise InvalidEntryError(f"Aliases and former names of {owner!r} must be tuples of names. Received: {names!r}")
    return names
