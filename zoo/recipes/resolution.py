"""Resolve a recipe's name and the user's overrides, or a run's record, to components with all settings."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from zoo.errors import AmbiguousNameError, PluginError, SettingError, UnknownNameError
from zoo.recipes.choices import check_owners, choose, named, split_choices, trainer_components, with_monitor
from zoo.recipes.components import Component, component_settings, configure, prefix_of
from zoo.recipes.docstrings import parameter_descriptions
from zoo.recipes.settings import REQUIRED, SettingSpec, complete
from zoo.registry.entries import LOCAL, Recipe
from zoo.registry.kinds import COMPONENTS
from zoo.runs.run_folder import RECORD

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from zoo.recipes.choices import Chosen, Overrides
    from zoo.registry.catalog import Registered
    from zoo.registry.entries import Entry
    from zoo.registry.kinds import Kind
    from zoo.registry.registry import Registry
    from zoo.runs.records import ComponentRecord, PluginRecord, RecipeRecord, RunRecord
    from zoo.runs.run_folder import Run

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
    return _resolved(recipe.name, found.plugin, chosen, settings, texts=given)


def from_run(registry: Registry, run: Run) -> ResolvedRecipe:
    """Return the recipe of a run.

    Raises:
        UnknownNameError: The plugin of a component is not installed, or no longer registers the component.
        SettingError: A component no longer has one of the recorded settings, or no longer allows its value.
    """
    with record_context(run):
        return from_record(registry, run.record.recipe, run.record.plugins)


def from_record(registry: Registry, recipe: RecipeRecord, plugins: Mapping[str, PluginRecord]) -> ResolvedRecipe:
    """Return the recipe of a record. Settings that a component has gained since then have their defaults.

    Raises:
        UnknownNameError: As for `from_run`.
        SettingError: As for `from_run`.
    """
    chosen: Chosen = {}
    settings = {name: getattr(recipe, name) for name in (*RECIPE_FIELDS, "fold")}
    for kind in COMPONENTS.values():
        records = _records(recipe, kind)
        chosen[kind.name] = tuple(_registered(registry, kind.name, record, plugins) for record in records)
        for registered, record in zip(chosen[kind.name], records, strict=True):
            settings |= {prefix_of(registered) + name: value for name, value in record.settings.items()}
    used = trainer_components(chosen["trainer"][0])
    for name in ("optimizer", "schedule", "loss"):
        if bool(chosen[name]) != (name in used):
            has, uses = ("names no", "uses one") if name in used else ("names an", "uses none that is registered")
            raise SettingError(
                f"The record {has} {name}, but trainer {chosen['trainer'][0].qualified_name} {uses}. Install the "
                f"version of the plugin that the run was started with. Received: {name}={getattr(recipe, name)!r:.100}",
                name=name,
                value=getattr(recipe, name),
            )
    return _resolved(recipe.name, recipe.plugin, chosen, settings)


def _records(recipe: RecipeRecord, kind: Kind) -> list[ComponentRecord]:
    found: Any = getattr(recipe, kind.choice)
    return list(found) if kind.recipe == "many" else [] if found is None else [found]


def dataset_from_run(registry: Registry, run: Run) -> Component:
    """Return the dataset that a run used, as `recorded_dataset` does. Its other components need not be installed.

    Raises:
        UnknownNameError: As for `from_run`.
        SettingError: As for `from_run`.
    """
    with record_context(run):
        return dataset_from_record(registry, recorded_dataset(run.record), run.record.plugins)


def recorded_dataset(record: RunRecord) -> ComponentRecord:
    """Return the dataset of a run with the values that loading found in place of settings such as ``auto``."""
    from msgspec import UNSET, structs

    dataset, found = record.recipe.dataset, record.data.settings
    return dataset if found is UNSET else structs.replace(dataset, settings=dataset.settings | found)


def dataset_from_record(
    registry: Registry, component: ComponentRecord, plugins: Mapping[str, PluginRecord]
) -> Component:
    """Return the dataset of a record.

    Raises:
        UnknownNameError: As for `from_run`.
        SettingError: As for `from_run`.
    """
    registered = _registered(registry, "dataset", component, plugins)
    settings = {f"dataset.{name}": value for name, value in component.settings.items()}
    return configure(registered, complete(component_settings(registered), settings))


@contextlib.contextmanager
def record_context(run: Run | None) -> Iterator[None]:
    """Prefix errors about names and settings with the path of the run record that contains them."""
    try:
        yield
    except (AmbiguousNameError, PluginError, SettingError, UnknownNameError) as error:
        if run is None:
            raise
        raise error.with_message(f"{run.path / RECORD}: {error}") from error


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


def to_record(recipe: ResolvedRecipe) -> RecipeRecord:
    """Return a resolved recipe as a record for ``run.json``."""
    from zoo.runs.records import ComponentRecord, RecipeRecord

    components: dict[str, Any] = {}
    for kind in COMPONENTS.values():
        records = [
            ComponentRecord(
                name=component.name,
                plugin=component.plugin,
                settings={
                    name: list(value) if isinstance(value, tuple) else value
                    for name, value in component.settings.items()
                },
            )
            for component in recipe.of_kind(kind)
        ]
        components[kind.choice] = records if kind.recipe == "many" else records[0] if records else None
    own = {name: getattr(recipe, name) for name in (*RECIPE_FIELDS, "fold")}
    return RecipeRecord(name=recipe.name, plugin=recipe.plugin, **components, **own)


def _resolved(
    recipe: str, plugin: str, chosen: Chosen, settings: Mapping[str, Any], *, texts: Collection[str] = ()
) -> ResolvedRecipe:
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


def _registered(
    registry: Registry, kind: str, component: ComponentRecord, plugins: Mapping[str, PluginRecord]
) -> Registered[Entry]:
    try:
        return registry.catalogs[kind].get(f"{component.plugin}/{component.name}")
    except UnknownNameError as error:
        if component.plugin in registry.plugins:
            raise
        if component.plugin == LOCAL:
            raise UnknownNameError(
                f"The run used {kind} {component.name!r}, which was added to a registry in code. Add it to a registry "
                f"and pass that as `registry=`. Received: {kind}={LOCAL + '/' + component.name!r}",
                kind=kind,
                name=f"{LOCAL}/{component.name}",
            ) from error
        known = plugins.get(component.plugin)
        cure = (
            f"Install package {known.package!r} (the run used version {known.version})"
            if known is not None and known.package
            else "Install that plugin, or pass its file with --plugin"
        )
        raise UnknownNameError(
            f"The run used {kind} {component.name!r} of plugin {component.plugin!r}, which is not loaded. {cure}. "
            f"Received: {kind}={component.plugin + '/' + component.name!r}",
            kind=kind,
            name=f"{component.plugin}/{component.name}",
        ) from error


def _own_specs() -> dict[str, SettingSpec]:
    import msgspec

    positive, from_zero = Annotated[int, msgspec.Meta(ge=1)], Annotated[int, msgspec.Meta(ge=0)]
    seed = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]  # the range of NumPy's generator
    types = {"epochs": positive, "batch_size": positive, "validation": from_zero, "monitor": str, "seed": seed}
    specs = {name: SettingSpec(name=name, type=types[name], default=REQUIRED) for name in RECIPE_FIELDS}
    return specs | {"fold": SettingSpec(name="fold", type=tuple[int, int] | None, default=None)}
