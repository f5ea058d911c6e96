"""Resolve a recipe's name and the user's overrides, or a run's record, to components with all settings."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from zoo.errors import AmbiguousNameError, PluginError, SettingError, UnknownNameError
from zoo.recipes.components import COMPONENT_KINDS, Component, component_settings, configure
from zoo.recipes.settings import REQUIRED, SettingSpec, complete
from zoo.registry.entries import LOCAL
from zoo.runs.run_folder import RECORD
from zoo.types import Monitor

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from zoo.registry.catalog import Registered
    from zoo.registry.entries import Entry, Recipe
    from zoo.registry.registry import Registry
    from zoo.runs.records import ComponentRecord, PluginRecord, RecipeRecord
    from zoo.runs.run_folder import Run

RECIPE_FIELDS = ("epochs", "batch_size", "validation", "monitor", "seed")
"""The settings of the recipe itself, as opposed to those of its components."""


class Overrides(TypedDict, total=False):
    """The values of a recipe that a caller may override; None keeps the recipe's value.

    ``settings`` maps setting names, prefixed with the kind of component, to values: ``{"model.dropout": 0.1}``.
    """

    dataset: str | None
    model: str | None
    trainer: str | None
    epochs: int | None
    batch_size: int | None
    validation: int | None
    monitor: Monitor | None
    seed: int | None
    settings: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class ResolvedRecipe:
    """A resolved recipe: its components and every setting."""

    name: str
    plugin: str
    dataset: Component
    model: Component
    trainer: Component
    epochs: int
    batch_size: int
    validation: int
    monitor: Monitor
    seed: int

    def settings(self) -> dict[str, Any]:
        """Return every setting, keyed by the name that ``--set`` takes."""
        own = {name: getattr(self, name) for name in RECIPE_FIELDS}
        return own | {
            f"{kind}.{name}": value for kind in COMPONENT_KINDS for name, value in getattr(self, kind).settings.items()
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
    named = {kind: str(name) for kind in COMPONENT_KINDS if (name := overrides.get(kind)) is not None}
    components = {
        kind: registry.catalogs[kind].get(named[kind])
        if kind in named
        else registry.catalogs[kind].get(getattr(recipe, kind), prefer=found.plugin)
        for kind in COMPONENT_KINDS
    }
    replaced = [kind for kind in named if not _is_default_component(registry, found, components[kind])]
    settings = {name: getattr(recipe, name) for name in RECIPE_FIELDS}
    settings |= {key: value for key, value in recipe.settings.items() if key.partition(".")[0] not in replaced}
    given = overrides.get("settings") or {}
    if not isinstance(given, Mapping):
        raise SettingError(f"'settings' must be a mapping from names to values. Received: settings={given!r:.200}")
    settings |= given
    for name in RECIPE_FIELDS:
        if (value := overrides.get(name)) is not None:
            if name in given:
                raise SettingError(
                    f"Setting {name!r} is given twice. Give it once. Received: {name}={value!r} and {given[name]!r}",
                    name=name,
                    value=value,
                )
            settings[name] = value
    return _resolved(recipe.name, found.plugin, components, settings, texts=given)


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
    components, settings = {}, {name: getattr(recipe, name) for name in RECIPE_FIELDS}
    for kind in COMPONENT_KINDS:
        component: ComponentRecord = getattr(recipe, kind)
        components[kind] = _registered(registry, kind, component, plugins)
        settings |= {f"{kind}.{name}": value for name, value in component.settings.items()}
    return _resolved(recipe.name, recipe.plugin, components, settings)


def dataset_from_run(registry: Registry, run: Run) -> Component:
    """Return the dataset that a run used. The run's other components need not be installed.

    Raises:
        UnknownNameError: As for `from_run`.
        SettingError: As for `from_run`.
    """
    component = run.record.recipe.dataset
    with record_context(run):
        registered = _registered(registry, "dataset", component, run.record.plugins)
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
    given: dict[str, Any] = {"recipe": found.qualified_name}
    was: dict[str, Any] = {"recipe": f"{started.plugin}/{started.name}"}
    for kind in COMPONENT_KINDS:
        component = getattr(started, kind)
        was[kind] = f"{component.plugin}/{component.name}"
        if (name := overrides.get(kind)) is not None:
            given[kind] = registry.catalogs[kind].get(str(name), prefer=found.plugin).qualified_name
    was |= started.settings()
    settings = overrides.get("settings") or {}
    specs = _specs([registry.catalogs[kind].get(was[kind]) for kind in COMPONENT_KINDS])
    changed = complete(specs, started.settings() | dict(settings), texts=settings)
    given |= {name: changed[name] for name in settings}
    given |= {name: value for name in RECIPE_FIELDS if (value := overrides.get(name)) is not None}
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

    components: dict[str, Any] = {
        kind: ComponentRecord(
            name=component.name,
            plugin=component.plugin,
            settings={
                name: list(value) if isinstance(value, tuple) else value for name, value in component.settings.items()
            },
        )
        for kind in COMPONENT_KINDS
        for component in (getattr(recipe, kind),)
    }
    return RecipeRecord(
        name=recipe.name, plugin=recipe.plugin, **components, **{name: getattr(recipe, name) for name in RECIPE_FIELDS}
    )


def _resolved(
    recipe: str,
    plugin: str,
    components: Mapping[str, Registered[Entry]],
    settings: Mapping[str, Any],
    *,
    texts: Collection[str] = (),
) -> ResolvedRecipe:
    values = complete(_specs(components.values()), settings, texts=texts)
    made: dict[str, Any] = {kind: configure(registered, values) for kind, registered in components.items()}
    return ResolvedRecipe(name=recipe, plugin=plugin, **made, **{name: values[name] for name in RECIPE_FIELDS})


def _specs(components: Iterable[Registered[Entry]]) -> dict[str, SettingSpec]:
    specs = _own_specs()
    for registered in components:
        specs |= component_settings(registered)
    return specs


def _is_default_component(registry: Registry, recipe: Registered[Recipe], component: Registered[Entry]) -> bool:
    """Return whether an explicitly named component is the recipe's own."""
    try:
        own = registry.catalogs[component.kind].get(getattr(recipe.item, component.kind), prefer=recipe.plugin)
    except LookupError:
        return False
    return own is component


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
    types = {"epochs": positive, "batch_size": positive, "validation": from_zero, "monitor": Monitor, "seed": seed}
    return {name: SettingSpec(name=name, type=types[name], default=REQUIRED) for name in RECIPE_FIELDS}
