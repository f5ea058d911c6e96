"""A recipe's name and what the user overrides, resolved to components with all settings; and back from a record."""

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
"""The settings that a recipe has itself."""


class Overrides(TypedDict, total=False):
    """What a caller may change of a recipe; None stands for the recipe's own choice.

    ``settings`` are those of the components, with the kind before a dot: ``{"model.dropout": 0.1}``.
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
    """A recipe as resolved: its components and every setting."""

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
        """Return every setting by the name that ``--set`` takes."""
        own = {name: getattr(self, name) for name in RECIPE_FIELDS}
        return own | {
            f"{kind}.{name}": value for kind in COMPONENT_KINDS for name, value in getattr(self, kind).settings.items()
        }


def resolve(registry: Registry, recipe_name: str, overrides: Overrides) -> ResolvedRecipe:
    """Return a recipe with some things overridden, its components found and all settings complete.

    Settings that the recipe has for a component do not apply when the caller puts another in its place.

    Raises:
        UnknownNameError: The recipe, or a component, is not registered.
        AmbiguousNameError: Several plugins register it.
        SettingError: A setting does not exist or has an impossible value.
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
        raise SettingError(f"Settings are a mapping from names to values. Received: settings={given!r:.200}")
    settings |= given
    for name in RECIPE_FIELDS:
        if (value := overrides.get(name)) is not None:
            if name in given:
                raise SettingError(
                    f"Setting {name!r} is given twice: give it once. Received: {name}={value!r} and {given[name]!r}",
                    name=name,
                    value=value,
                )
            settings[name] = value
    return _resolved(recipe.name, found.plugin, components, settings, texts=given)


def from_run(registry: Registry, run: Run) -> ResolvedRecipe:
    """Return the recipe of a run.

    Raises:
        UnknownNameError: The plugin of a component is not installed, or no longer registers it.
        SettingError: A component no longer has one of the recorded settings, or not with that value.
    """
    with record_context(run):
        return from_record(registry, run.record.recipe, run.record.plugins)


def from_record(registry: Registry, recipe: RecipeRecord, plugins: Mapping[str, PluginRecord]) -> ResolvedRecipe:
    """Return the recipe of a record; settings that a component has gained since then are at their defaults.

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
    """Return the data set that a run was made with; its other components need not be installed.

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
    """Let errors about names and settings say which run's record has them."""
    try:
        yield
    except (AmbiguousNameError, PluginError, SettingError, UnknownNameError) as error:
        if run is None:
            raise
        raise error.with_message(f"{run.path / RECORD}: {error}") from error


def check_unchanged(registry: Registry, started: ResolvedRecipe, recipe_name: str, overrides: Overrides) -> None:
    """Raise `SettingError` if what a caller gives for a run that goes on is not what the run was started with.

    What is not given is as it was.
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
                f"The run was started with {name}={was[name]!r} and is resumed as it was started: leave it out, or "
                f"start a new run. Received: {name}={value!r}",
                name=name,
                value=value,
            )


def to_record(recipe: ResolvedRecipe) -> RecipeRecord:
    """Return a resolved recipe as ``run.json`` has it."""
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
    """Return whether a component that was named is the one that the recipe has anyway."""
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
                f"The run used {kind} {component.name!r}, which its author added to a registry in code: add it to a "
                f"registry and give that with `registry=`. Received: {kind}={LOCAL + '/' + component.name!r}",
                kind=kind,
                name=f"{LOCAL}/{component.name}",
            ) from error
        known = plugins.get(component.plugin)
        cure = (
            f"install the package {known.package!r} (it was version {known.version})"
            if known is not None and known.package
            else "install that plugin, or give its file with --plugin"
        )
        raise UnknownNameError(
            f"The run used {kind} {component.name!r} of plugin {component.plugin!r}, which is not loaded: {cure}. "
            f"Received: {kind}={component.plugin + '/' + component.name!r}",
            kind=kind,
            name=f"{component.plugin}/{component.name}",
        ) from error


def _own_specs() -> dict[str, SettingSpec]:
    import msgspec

    positive, from_zero = Annotated[int, msgspec.Meta(ge=1)], Annotated[int, msgspec.Meta(ge=0)]
    seed = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]  # what NumPy's generator takes
    types = {"epochs": positive, "batch_size": positive, "validation": from_zero, "monitor": Monitor, "seed": seed}
    return {name: SettingSpec(name=name, type=types[name], default=REQUIRED) for name in RECIPE_FIELDS}
