"""Resolve a recipe's name and the user's overrides, or a run's record, to components with all settings."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from zoo.errors import AmbiguousNameError, PluginError, SettingError, UnknownNameError
from zoo.recipes.components import Component, component_settings, configure, prefix_of
from zoo.recipes.settings import REQUIRED, SettingSpec, complete
from zoo.registry.catalog import resolve as resolve_target
from zoo.registry.entries import LOCAL
from zoo.registry.kinds import COMPONENTS
from zoo.runs.run_folder import RECORD
from zoo.utils.text import close_names, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from zoo.registry.catalog import Registered
    from zoo.registry.entries import Entry, Recipe
    from zoo.registry.kinds import Kind
    from zoo.registry.registry import Registry
    from zoo.runs.records import ComponentRecord, PluginRecord, RecipeRecord
    from zoo.runs.run_folder import Run

METRICS = ("loss", "accuracy")
"""The metrics that every run has."""

RECIPE_FIELDS = ("epochs", "batch_size", "validation", "monitor", "seed")
"""The settings of the recipe itself, as opposed to those of its components."""


class Overrides(TypedDict, total=False):
    """The values of a recipe that a caller may override; None keeps the recipe's value.

    ``settings`` maps setting names, prefixed with the kind of component, to values: ``{"model.dropout": 0.1}``.
    """

    dataset: str | None
    model: str | None
    trainer: str | None
    optimizer: str | None
    schedule: str | None
    loss: str | None
    augmentations: Sequence[str] | None
    metrics: Sequence[str] | None
    callbacks: Sequence[str] | None
    epochs: int | None
    batch_size: int | None
    validation: int | None
    monitor: str | None
    seed: int | None
    settings: Mapping[str, Any] | None


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
        return own | {
            component.prefix + name: value
            for component in self.components
            for name, value in component.settings.items()
        }

    def choices(self) -> dict[str, str]:
        """Return the qualified names of the components by kind: ``{"augmentations": "keras/shift,keras/flip"}``."""
        return {
            kind.choice: ",".join(component.qualified_name for component in self.of_kind(kind))
            for kind in COMPONENTS.values()
            if self.of_kind(kind)
        }


Chosen = dict[str, "tuple[Registered[Entry], ...]"]
"""The registered objects that a recipe is composed of, by kind."""


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
    given = overrides.get("settings") or {}
    if not isinstance(given, Mapping):
        raise SettingError(f"'settings' must be a mapping from names to values. Received: settings={given!r:.200}")
    own = _chosen(registry, recipe, found.plugin, {})
    chosen = _chosen(registry, recipe, found.plugin, overrides)
    settings = {name: getattr(recipe, name) for name in RECIPE_FIELDS}
    dropped = tuple(prefix_of(one) for kind in COMPONENTS for one in own[kind] if one not in chosen[kind])
    settings |= {key: value for key, value in recipe.settings.items() if not key.startswith(dropped)}
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
    chosen |= {"metric": _with_monitor(registry, chosen["metric"], settings["monitor"], found.plugin)}
    return _resolved(recipe.name, found.plugin, chosen, settings, texts=given)


def _chosen(registry: Registry, recipe: Recipe, plugin: str, overrides: Overrides) -> Chosen:
    """Return the objects that a recipe and overrides name; of the kinds that are the trainer's, those that it uses."""
    chosen: Chosen = {}
    for kind in COMPONENTS.values():
        if not kind.is_trainers:
            chosen[kind.name] = _named(registry, kind, recipe, plugin, overrides)
    defaults: Mapping[str, str | None] = getattr(resolve_target(chosen["trainer"][0]), "components", {})
    for kind in COMPONENTS.values():
        if not kind.is_trainers:
            continue
        if kind.name in defaults:
            several = _named(registry, kind, recipe, plugin, overrides)
            default = defaults[kind.name]
            chosen[kind.name] = several or ((registry.catalogs[kind.name].get(default),) if default else ())
        elif value := overrides.get(kind.choice):
            trainer = chosen["trainer"][0].qualified_name
            raise SettingError(
                f"Trainer {trainer} does not use registered {kind.plural}. Choose another trainer, or omit it. "
                f"Received: trainer={trainer!r}, {kind.choice}={value!r:.100}",
                name=kind.choice,
                value=value,
            )
        else:
            chosen[kind.name] = ()
    return chosen


def _named(
    registry: Registry, kind: Kind, recipe: Recipe, plugin: str, overrides: Overrides
) -> tuple[Registered[Entry], ...]:
    """Return the objects of a kind that overrides name or, without them, those that the recipe names."""
    catalog, value, prefer = registry.catalogs[kind.name], overrides.get(kind.choice), None
    if value is None:
        value, prefer = getattr(recipe, kind.choice), plugin
    if value is None:
        return ()
    if kind.recipe == "one":
        return (catalog.get(value, prefer=prefer),)  # type: ignore[arg-type]  # it says what is wrong
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise SettingError(
            f"{kind.choice!r} must be a list of names. Received: {kind.choice}={value!r:.200}",
            name=kind.choice,
            value=value,
        )
    found = tuple(catalog.get(name, prefer=prefer) for name in value)
    names = [registered.name for registered in found]
    for name in names:
        if names.count(name) > 1:
            raise SettingError(
                f"{kind.name.capitalize()} {name!r} is given twice. Give each {kind.name} once. "
                f"Received: {kind.choice}={list(value)!r:.200}",
                name=kind.choice,
                value=value,
            )
    return found


def _with_monitor(
    registry: Registry, metrics: tuple[Registered[Entry], ...], monitor: object, plugin: str
) -> tuple[Registered[Entry], ...]:
    """Return metrics, with the one that selects the best epoch among them."""
    if not isinstance(monitor, str) or monitor in METRICS or any(metric.name == monitor for metric in metrics):
        return metrics
    try:
        return (*metrics, registry.metrics.get(monitor, prefer=plugin))
    except UnknownNameError as error:
        known = [*METRICS, *(registry.metrics.shortest_name(metric) for metric in registry.metrics)]
        close = close_names(monitor, known)
        raise SettingError(
            f"Setting 'monitor' must be the name of a metric: {', '.join(known)}.{did_you_mean(close)} "
            f"Received: monitor={monitor!r}",
            name="monitor",
            value=monitor,
            suggestions=close,
        ) from error


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
    settings = {name: getattr(recipe, name) for name in RECIPE_FIELDS}
    for kind in COMPONENTS.values():
        records = _records(recipe, kind)
        chosen[kind.name] = tuple(_registered(registry, kind.name, record, plugins) for record in records)
        for registered, record in zip(chosen[kind.name], records, strict=True):
            settings |= {prefix_of(registered) + name: value for name, value in record.settings.items()}
    return _resolved(recipe.name, recipe.plugin, chosen, settings)


def _records(recipe: RecipeRecord, kind: Kind) -> list[ComponentRecord]:
    found: Any = getattr(recipe, kind.choice)
    return list(found) if kind.recipe == "many" else [] if found is None else [found]


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
    was: dict[str, Any] = {"recipe": f"{started.plugin}/{started.name}"} | started.settings()
    chosen: Chosen = {}
    for kind in COMPONENTS.values():
        names = [component.qualified_name for component in started.of_kind(kind)]
        chosen[kind.name] = tuple(registry.catalogs[kind.name].get(name) for name in names)
        was[kind.choice] = ",".join(names)
        if overrides.get(kind.choice) is not None:
            named = _named(registry, kind, found.item, found.plugin, overrides)
            given[kind.choice] = ",".join(registered.qualified_name for registered in named)
    settings = overrides.get("settings") or {}
    changed = complete(_specs(chosen), started.settings() | dict(settings), texts=settings)
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
    return RecipeRecord(
        name=recipe.name, plugin=recipe.plugin, **components, **{name: getattr(recipe, name) for name in RECIPE_FIELDS}
    )


def _resolved(
    recipe: str, plugin: str, chosen: Chosen, settings: Mapping[str, Any], *, texts: Collection[str] = ()
) -> ResolvedRecipe:
    values = complete(_specs(chosen), settings, texts=texts)
    made: dict[str, Any] = {}
    for kind in COMPONENTS.values():
        several = tuple(configure(registered, values) for registered in chosen[kind.name])
        made[kind.choice] = several if kind.recipe == "many" else several[0] if several else None
    return ResolvedRecipe(name=recipe, plugin=plugin, **made, **{name: values[name] for name in RECIPE_FIELDS})


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
    return {name: SettingSpec(name=name, type=types[name], default=REQUIRED) for name in RECIPE_FIELDS}
