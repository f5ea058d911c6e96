"""From a recipe's name and what the user changed to a plan in which nothing is left open, and back from a record."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from zoo.errors import AmbiguousNameError, PluginError, SettingError, UnknownNameError
from zoo.recipes.components import PARTS, Part, configure, specs_of_part
from zoo.recipes.settings import REQUIRED, SettingSpec, complete
from zoo.registry.entries import LOCAL
from zoo.runs.run_folder import RECORD
from zoo.types import BestBy
from zoo.utils.text import suggest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from zoo.registry.catalog import Registered
    from zoo.registry.entries import Entry, Recipe
    from zoo.registry.registry import Registry
    from zoo.runs.records import PartRecord, PluginRecord, RecipeRecord
    from zoo.runs.run_folder import Run

OWN = ("epochs", "batch_size", "validation", "best_by", "seed")
"""The settings that a recipe has itself."""


class Changes(TypedDict, total=False):
    """What a caller may change of a recipe; None stands for the recipe's own choice.

    ``settings`` are those of the parts, with the part's name before a dot: ``{"model.dropout": 0.1}``.
    """

    dataset: str | None
    model: str | None
    trainer: str | None
    epochs: int | None
    batch_size: int | None
    validation: int | None
    best_by: BestBy | None
    seed: int | None
    settings: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A recipe as resolved, ready to run."""

    recipe: str
    plugin: str
    dataset: Part
    model: Part
    trainer: Part
    epochs: int
    batch_size: int
    validation: int
    best_by: BestBy
    seed: int

    def settings(self) -> dict[str, Any]:
        """Return every setting by the name that ``--set`` takes."""
        own = {name: getattr(self, name) for name in OWN}
        return own | {f"{kind}.{name}": value for kind in PARTS for name, value in getattr(self, kind).settings.items()}


def check_arguments(given: Iterable[str], known: type) -> None:
    """Raise `TypeError` unless all arguments given by keyword are among those of a TypedDict."""
    names = list(known.__annotations__)
    if unknown := sorted(set(given) - set(names)):
        hint = suggest(unknown[0], names)
        raise TypeError(f"There is no argument {unknown[0]!r}.{hint} A part's settings go into `settings`.")


def resolve(registry: Registry, recipe_name: str, changes: Changes) -> Plan:
    """Return the plan for a recipe with some things changed.

    Settings that the recipe has for a part do not apply when the caller puts another in its place.

    Raises:
        UnknownNameError: The recipe, or a part, is not registered.
        AmbiguousNameError: Several plugins register it.
        SettingError: A setting does not exist or has an impossible value.
        PluginError: A part's target cannot be imported.
    """
    check_arguments(changes, Changes)
    found = registry.recipes.get(recipe_name)
    recipe = found.item
    named = {kind: str(name) for kind in PARTS if (name := changes.get(kind)) is not None}
    parts = {
        kind: registry.catalogs[kind].get(named[kind])
        if kind in named
        else registry.catalogs[kind].get(getattr(recipe, kind), prefer=found.plugin)
        for kind in PARTS
    }
    replaced = [kind for kind in named if not _is_recipe_s(registry, found, parts[kind])]
    settings = {name: getattr(recipe, name) for name in OWN}
    settings |= {key: value for key, value in recipe.settings.items() if key.partition(".")[0] not in replaced}
    given = changes.get("settings") or {}
    if not isinstance(given, Mapping):
        raise SettingError(f"Settings are a mapping from names to values. Received: settings={given!r:.200}")
    settings |= given
    for name in OWN:
        if (value := changes.get(name)) is not None:
            if name in given:
                raise SettingError(
                    f"Setting {name!r} is given twice: give it once. Received: {name}={value!r} and {given[name]!r}"
                )
            settings[name] = value
    return _plan(recipe.name, found.plugin, parts, settings, texts=given)


def of_run(registry: Registry, run: Run) -> Plan:
    """Return the plan that a run was made by.

    Raises:
        UnknownNameError: The plugin of a part is not installed, or no longer registers it.
        SettingError: A part no longer has one of the recorded settings, or not with that value.
    """
    with asked_by(run):
        return of_record(registry, run.record.recipe, run.record.plugins)


def of_record(registry: Registry, recipe: RecipeRecord, plugins: Mapping[str, PluginRecord]) -> Plan:
    """Return the plan that a record is of; settings that a part has had since then are at their defaults.

    Raises:
        UnknownNameError: As for `of_run`.
        SettingError: As for `of_run`.
    """
    parts, settings = {}, {name: getattr(recipe, name) for name in OWN}
    for kind in PARTS:
        part: PartRecord = getattr(recipe, kind)
        parts[kind] = _registered(registry, kind, part, plugins)
        settings |= {f"{kind}.{name}": value for name, value in part.settings.items()}
    return _plan(recipe.name, recipe.plugin, parts, settings)


def dataset_of_run(registry: Registry, run: Run) -> Part:
    """Return the data set that a run was made with; its other parts need not be installed.

    Raises:
        UnknownNameError: As for `of_run`.
        SettingError: As for `of_run`.
    """
    part = run.record.recipe.dataset
    with asked_by(run):
        registered = _registered(registry, "dataset", part, run.record.plugins)
        settings = {f"dataset.{name}": value for name, value in part.settings.items()}
        return configure(registered, complete(specs_of_part(registered), settings))


@contextlib.contextmanager
def asked_by(run: Run | None) -> Iterator[None]:
    """Let errors about names and settings say which run's record has them."""
    try:
        yield
    except (AmbiguousNameError, PluginError, SettingError, UnknownNameError) as error:
        if run is None:
            raise
        raise type(error)(f"{run.path / RECORD}: {error}") from error


def check_same(registry: Registry, started: Plan, recipe_name: str, changes: Changes) -> None:
    """Raise `SettingError` if what a caller gives for a run that goes on is not what the run was started with.

    What is not given is as it was.
    """
    found = registry.recipes.get(recipe_name)
    given: dict[str, Any] = {"recipe": found.qualified_name}
    was: dict[str, Any] = {"recipe": f"{started.plugin}/{started.recipe}"}
    for kind in PARTS:
        part = getattr(started, kind)
        was[kind] = f"{part.plugin}/{part.name}"
        if (name := changes.get(kind)) is not None:
            given[kind] = registry.catalogs[kind].get(str(name), prefer=found.plugin).qualified_name
    was |= started.settings()
    settings = changes.get("settings") or {}
    specs = _specs([registry.catalogs[kind].get(was[kind]) for kind in PARTS])
    changed = complete(specs, started.settings() | dict(settings), texts=settings)
    given |= {name: changed[name] for name in settings}
    given |= {name: value for name in OWN if (value := changes.get(name)) is not None}
    for name, value in given.items():
        if value != was[name]:
            raise SettingError(
                f"The run was started with {name}={was[name]!r}, and goes on with that: leave it out, or start a new "
                f"run. Received: {name}={value!r}"
            )


def to_record(plan: Plan) -> RecipeRecord:
    """Return a plan as it stands in ``run.json``."""
    from zoo.runs.records import PartRecord, RecipeRecord

    parts: dict[str, Any] = {
        kind: PartRecord(
            name=part.name,
            plugin=part.plugin,
            settings={
                name: list(value) if isinstance(value, tuple) else value for name, value in part.settings.items()
            },
        )
        for kind in PARTS
        for part in (getattr(plan, kind),)
    }
    return RecipeRecord(name=plan.recipe, plugin=plan.plugin, **parts, **{name: getattr(plan, name) for name in OWN})


def _plan(
    recipe: str,
    plugin: str,
    parts: Mapping[str, Registered[Entry]],
    settings: Mapping[str, Any],
    *,
    texts: Collection[str] = (),
) -> Plan:
    values = complete(_specs(parts.values()), settings, texts=texts)
    made: dict[str, Any] = {kind: configure(registered, values) for kind, registered in parts.items()}
    return Plan(recipe=recipe, plugin=plugin, **made, **{name: values[name] for name in OWN})


def _specs(parts: Iterable[Registered[Entry]]) -> dict[str, SettingSpec]:
    specs = _own_specs()
    for registered in parts:
        specs |= specs_of_part(registered)
    return specs


def _is_recipe_s(registry: Registry, recipe: Registered[Recipe], part: Registered[Entry]) -> bool:
    """Return whether a part that was named is the one that the recipe has anyway."""
    try:
        own = registry.catalogs[part.kind].get(getattr(recipe.item, part.kind), prefer=recipe.plugin)
    except LookupError:
        return False
    return own is part


def _registered(
    registry: Registry, kind: str, part: PartRecord, plugins: Mapping[str, PluginRecord]
) -> Registered[Entry]:
    try:
        return registry.catalogs[kind].get(f"{part.plugin}/{part.name}")
    except UnknownNameError as error:
        if part.plugin in registry.plugins:
            raise
        if part.plugin == LOCAL:
            raise UnknownNameError(
                f"The run used {kind} {part.name!r}, which its author added to a registry in code: add it to a "
                f"registry and give that with `registry=`. Received: {kind}={LOCAL + '/' + part.name!r}"
            ) from error
        known = plugins.get(part.plugin)
        cure = (
            f"install the package {known.package!r} (it was version {known.version})"
            if known is not None and known.package
            else "install that plugin, or give its file with --plugin"
        )
        raise UnknownNameError(
            f"The run used {kind} {part.name!r} of plugin {part.plugin!r}, which is not loaded: {cure}. "
            f"Received: {kind}={part.plugin + '/' + part.name!r}"
        ) from error


def _own_specs() -> dict[str, SettingSpec]:
    import msgspec

    positive, from_zero = Annotated[int, msgspec.Meta(ge=1)], Annotated[int, msgspec.Meta(ge=0)]
    seed = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]  # what NumPy's generator takes
    types = {"epochs": positive, "batch_size": positive, "validation": from_zero, "best_by": BestBy, "seed": seed}
    return {name: SettingSpec(name=name, type=types[name], default=REQUIRED) for name in OWN}
