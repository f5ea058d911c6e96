"""The kinds of registered objects: one row each with everything that is particular to a kind.

To add a kind, add a row here, a hook in `hookspecs` and a catalog annotation in `Registry`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of registered object.

    Args:
        name: Its name: ``"loss"``.
        plural: Its name in hooks, lists and `Registry`: ``"losses"``.
        recipe: How many a recipe has: ``"one"``, ``"many"`` (in order) or ``"none"``.
        arguments: Number of positional arguments that a target takes before its settings.
        context: Name of a first parameter that a target may have: it is passed the `RunContext`.
        is_trainers: Whether a recipe has it only if the recipe's trainer uses it.
        checks: What ``zoo check`` checks: the import path of a dictionary from requirements to functions.
    """

    name: str
    plural: str
    recipe: Literal["one", "many", "none"] = "none"
    arguments: int = 0
    context: str | None = None
    is_trainers: bool = False
    checks: str

    @property
    def choice(self) -> str:
        """The field of a recipe, and the parameter of `zoo.run`, that names it: ``"optimizer"``, ``"metrics"``."""
        return self.plural if self.recipe == "many" else self.name


TABLE = (
    Kind(name="recipe", plural="recipes", checks="zoo.testing.plugins:RECIPE"),
    Kind(name="model", plural="models", recipe="one", arguments=2, checks="zoo.testing.models:MODEL"),
    Kind(name="dataset", plural="datasets", recipe="one", checks="zoo.testing.datasets:DATASET"),
    Kind(name="trainer", plural="trainers", recipe="one", checks="zoo.testing.trainers:TRAINER"),
    Kind(
        name="optimizer",
        plural="optimizers",
        recipe="one",
        is_trainers=True,
        checks="zoo.testing.learning:OPTIMIZER",
    ),
    Kind(
        name="schedule",
        plural="schedules",
        recipe="one",
        arguments=3,
        is_trainers=True,
        checks="zoo.testing.learning:SCHEDULE",
    ),
    Kind(name="loss", plural="losses", recipe="one", is_trainers=True, checks="zoo.testing.learning:LOSS"),
    Kind(
        name="augmentation",
        plural="augmentations",
        recipe="many",
        arguments=1,
        is_trainers=True,
        checks="zoo.testing.augmentations:AUGMENTATION",
    ),
    Kind(name="metric", plural="metrics", recipe="many", arguments=2, checks="zoo.testing.observing:METRIC"),
    Kind(name="callback", plural="callbacks", recipe="many", context="run", checks="zoo.testing.observing:CALLBACK"),
    Kind(name="exporter", plural="exporters", checks="zoo.testing.exporters:EXPORTER"),
    Kind(name="command", plural="commands", checks="zoo.testing.plugins:COMMAND"),
)
"""All kinds, in the order in which they are listed."""

KINDS = {kind.name: kind for kind in TABLE}
"""All kinds by name."""

COMPONENTS = {kind.name: kind for kind in TABLE if kind.recipe != "none"}
"""The kinds of which a recipe has one or more, by name."""


def kind_named(text: str) -> Kind | None:
    """Return the kind with a name or plural, or None."""
    return next((kind for kind in TABLE if text in (kind.name, kind.plural)), None)
