"""Resolve a recipe's name and the user's overrides to components with all settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from zoo.errors import SettingError
from zoo.recipes.choices import check_owners, choose, named, split_choices, with_monitor
from zoo.recipes.components import Component, component_settings, configure, prefix_of
from zoo.recipes.docstrings import parameter_descriptions
from zoo.recipes.settings import REQUIRED, SettingSpec, complete
from zoo.registry.entries import Recipe
from zoo.registry.kinds import COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from zoo.recipes.choices import Chosen, Overrides
    from zoo.registry.kinds import Kind
    from zoo.registry.registry import Registry

RECIPE_FIELDS = ("epochs", "batch_size", "validation", "monitor", "seed")
"""The settings of the recipe itself, as opposed to those of its components."""

_MOST_FOLDS = 1_000


@dataclass(frozen=True, kw_only=True)
class ResolvedRecipe:
    """A resolved recipe: its components and every setting.

    It has no optimizer, schedule and loss if its trainer does not use those that are registered.
    """

    name: str
    plugin: str
    dataset: Component
    model: Component
    trainer: Component
    optimizer: Component | None = None
    schedule: Component | None = None
    loss: Component | None = None
    augmentations: tuple[Component, ...] = ()
    metrics: tuple[Component, ...] = ()
    callbacks: tuple[Component, ...] = ()
    epochs: int
    batch_size: int
    validation: int
    monitor: str
    seed: int
    fold: tuple[int, int] | None = None

    @property
    def components(self) -> tuple[Component, ...]:
        """All components, ordered by kind."""
        return tuple(component for kind in COMPONENTS.values() for component in self.of_kind(kind))

    def of_kind(self, kind: Kind) -> tuple[Component, ...]:
        """Return the components of a kind."""
        found = getattr(self, kind.choice)
        return found if kind.recipe == "many" else () if found is None else (found,)

    @property
    def monitor_mode(self) -> str:
        """Whether the largest (``"max"``) or the smallest value of the metric ``monitor`` is best."""
        own = {"loss": "min", "accuracy": "max"}
        return own.get(self.monitor) or next(metric.mode for metric in self.metrics if metric.name == self.monitor)

    def settings(self) -> dict[str, Any]:
        """Return every setting, keyed by the name that ``--set`` takes."""
        own = {name: getattr(self, name) for name in RECIPE_FIELDS}
        own |= {"fold": self.fold} if self.fold is not None else {}
        return own | {
            component.prefix + name: value
            for component in self.components
            for name, value in component.settings.items()
        }

    def descriptions(self) -> dict[str, str]:
        """Return the descriptions of the settings, of those that docstrings describe."""
        found = {
            component.prefix + name: words
            for component in self.components
            for name, words in parameter_descriptions(component.target).items()
        }
        found |= parameter_descriptions(Recipe)
        return {name: found[name] for name in self.settings() if name in found}

    def choices(self) -> dict[str, str]:
        """Return the qualified names of the components by kind: ``{"augmentations": "keras/shift,keras/flip"}``."""
        return {
            kind.choice: ",".join(component.qualified_name for component in self.of_kind(kind))
            for kind in COMPONENTS.values()
            if self.of_kind(kind)
        }


def resolve(registry: Registry, recipe_name: str, overrides: Overrides) -> ResolvedRecipe:
    """Return a recipe with overrides applied, its components looked up and all settings complete.

    The recipe's settings for a component do not apply if the caller replaces that component.

    Raises:
        UnknownNameError: The recipe, or a component, is not registered.
        AmbiguousNameError: More than one plugin registers it.
        SettingError: A setting does not exist or its value is not allowed.
        PluginError: A component's target cannot be imported.
    """
    found = registry.recipes.get(recipe_name)
    recipe = found.item
    overrides, given = split_choices(overrides)
    own = choose(registry, recipe, found.plugin, {})
    own["metric"], _ = with_monitor(registry, own["metric"], recipe.monitor, found.plugin)
    chosen = choose(registry, recipe, found.plugin, overrides)
    settings = {name: getattr(recipe, name) for name in RECIPE_FIELDS} | dict(recipe.settings) | given
    for name in RECIPE_FIELDS:
        if (value := overrides.get(name)) is not None:
            if name in given:
                raise SettingError(
                    f"Setting {name!r} is given twice. Give it once. Received: {name}={value!r} and {given[name]!r}",
                    name=name,
                    value=value,
                )
            settings[name] = value
    chosen["metric"], settings["monitor"] = with_monitor(registry, chosen["metric"], settings["monitor"], found.plugin)
    check_owners(registry, chosen, given)
    dropped = tuple(prefix_of(one) for kind in COMPONENTS for one in own[kind] if one not in chosen[kind])
    settings = {name: value for name, value in settings.items() if name in given or not name.startswith(dropped)}
    return complete_recipe(recipe.name, found.plugin, chosen, settings, texts=given)


def check_unchanged(registry: Registry, started: ResolvedRecipe, recipe_name: str, overrides: Overrides) -> None:
    """Raise `SettingError` if an override for a resumed run differs from what the run was started with.

    Values that are not overridden keep what the run was started with.
    """
    found = registry.recipes.get(recipe_name)
    overrides, settings = split_choices(overrides)
    given: dict[str, Any] = {"recipe": found.qualified_name}
    was: dict[str, Any] = {"recipe": f"{started.plugin}/{started.name}", "fold": None} | started.settings()
    chosen: Chosen = {}
    for kind in COMPONENTS.values():
        names = [component.qualified_name for component in started.of_kind(kind)]
        chosen[kind.name] = tuple(registry.catalogs[kind.name].get(name) for name in names)
        was[kind.choice] = ",".join(names) or "none"
        if overrides.get(kind.choice) is not None:
            several = named(registry, kind, found.item, found.plugin, overrides)
            given[kind.choice] = ",".join(registered.qualified_name for registered in several) or "none"
    changed = complete(_specs(chosen), started.settings() | dict(settings), texts=settings)
    given |= {name: changed[name] for name in settings}
    given |= {name: value for name in RECIPE_FIELDS if (value := overrides.get(name)) is not None}
    if "monitor" in given:
        _, given["monitor"] = with_monitor(registry, chosen["metric"], given["monitor"], found.plugin)
    for name, value in given.items():
        if value != was[name]:
            raise SettingError(
                f"The run was started with {name}={was[name]!r}, which cannot change when it is resumed. Leave it "
                f"out, or start a new run. Received: {name}={value!r}",
                name=name,
                value=value,
            )


def complete_recipe(
    recipe: str, plugin: str, chosen: Chosen, settings: Mapping[str, Any], *, texts: Collection[str] = ()
) -> ResolvedRecipe:
    """Return a recipe with all settings.

    Args:
        recipe: Its name.
        plugin: Its plugin.
        chosen: The registered objects for each kind of component.
        settings: Values by the names that ``--set`` takes.
        texts: Names of those whose values are texts of the command line.

    Raises:
        SettingError: A setting does not exist or its value is not allowed.
        PluginError: A component's target cannot be imported.
    """
    values = complete(_specs(chosen), settings, texts=texts)
    made: dict[str, Any] = {}
    for kind in COMPONENTS.values():
        several = tuple(configure(registered, values) for registered in chosen[kind.name])
        made[kind.choice] = several if kind.recipe == "many" else several[0] if several else None
    _check_fold(values["fold"])
    own = {name: values[name] for name in (*RECIPE_FIELDS, "fold")}
    return ResolvedRecipe(name=recipe, plugin=plugin, **made, **own)


def _check_fold(fold: tuple[int, int] | None) -> None:
    if fold is not None and not (1 <= fold[0] <= fold[1] and 2 <= fold[1] <= _MOST_FOLDS):
        raise SettingError(
            f"Setting 'fold' must be the number of a fold, from 1, and the number of folds, from 2 to {_MOST_FOLDS}: "
            f"2,5 for the second of five. Received: fold={fold}",
            name="fold",
            value=fold,
        )


def _specs(chosen: Chosen) -> dict[str, SettingSpec]:
    specs = _own_specs()
    for kind in COMPONENTS:
        for registered in chosen[kind]:
            specs |= component_settings(registered)
    return specs


def _own_specs() -> dict[str, SettingSpec]:
    import msgspec

    positive, from_zero = Annotated[int, msgspec.Meta(ge=1)], Annotated[int, msgspec.Meta(ge=0)]
    seed = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]  # the range of NumPy's generator
    types = {"epochs": positive, "batch_size": positive, "validation": from_zero, "monitor": str, "seed": seed}
    specs = {name: SettingSpec(name=name, type=types[name], default=REQUIRED) for name in RECIPE_FIELDS}
    return specs | {"fold": SettingSpec(name="fold", type=tuple[int, int] | None, default=None)}
