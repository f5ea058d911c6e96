"""Recipes of runs: components and settings from a run's record, and the record of a resolved recipe."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from zoo.errors import AmbiguousNameError, PluginError, SettingError, UnknownNameError
from zoo.recipes.choices import trainer_components
from zoo.recipes.components import Component, component_settings, configure, prefix_of
from zoo.recipes.resolution import RECIPE_FIELDS, ResolvedRecipe, complete_recipe
from zoo.recipes.settings import complete
from zoo.registry.entries import LOCAL
from zoo.registry.kinds import COMPONENTS
from zoo.runs.run_folder import RECORD

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from zoo.recipes.choices import Chosen
    from zoo.registry.catalog import Registered
    from zoo.registry.entries import Entry
    from zoo.registry.kinds import Kind
    from zoo.registry.registry import Registry
    from zoo.runs.records import ComponentRecord, PluginRecord, RecipeRecord, RunRecord
    from zoo.runs.run_folder import Run


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
    return complete_recipe(recipe.name, recipe.plugin, chosen, settings)


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


def _records(recipe: RecipeRecord, kind: Kind) -> list[ComponentRecord]:
    found: Any = getattr(recipe, kind.choice)
    return list(found) if kind.recipe == "many" else [] if found is None else [found]


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
