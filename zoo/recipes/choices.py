"""The registered objects that a recipe is composed of: those that it names, those that a caller names instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from zoo.errors import SettingError, UnknownNameError
from zoo.registry.catalog import resolve as resolve_target
from zoo.registry.kinds import COMPONENTS
from zoo.utils.text import close_names, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo.registry.catalog import Registered
    from zoo.registry.entries import Entry, Recipe
    from zoo.registry.kinds import Kind
    from zoo.registry.registry import Registry

METRICS = ("loss", "accuracy")
"""The metrics that every run has."""


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


Chosen = dict[str, "tuple[Registered[Entry], ...]"]
"""The registered objects that a recipe is composed of, by kind."""


def split_choices(overrides: Overrides) -> tuple[Overrides, dict[str, Any]]:
    """Return overrides in which ``settings`` names no component, and the other settings.

    A component can also be chosen by a setting, ``{"optimizer": "sgd"}``, so that a sweep can vary it.
    """
    settings = overrides.get("settings") or {}
    if not isinstance(settings, Mapping):
        raise SettingError(f"'settings' must be a mapping from names to values. Received: settings={settings!r:.200}")
    chosen: dict[str, Any] = {}
    for kind in COMPONENTS.values():
        if kind.choice not in settings:
            continue
        value = settings[kind.choice]
        if (other := overrides.get(kind.choice)) is not None:
            raise SettingError(
                f"Setting {kind.choice!r} is given twice. Give it once. "
                f"Received: {kind.choice}={other!r} and {value!r}",
                name=kind.choice,
                value=value,
            )
        if kind.recipe == "many" and isinstance(value, str):
            value = [] if value == "none" else [name.strip() for name in value.split(",") if name.strip()]
        chosen[kind.choice] = value
    given = {name: value for name, value in settings.items() if name not in chosen}
    return {**overrides, **chosen, "settings": given}, given  # type: ignore[typeddict-item]  # keys are its own


def trainer_components(trainer: Registered[Entry]) -> Mapping[str, str | None]:
    """Return the kinds of registered objects that a trainer uses, with the defaults: its class's ``components``."""
    found: Mapping[str, str | None] = getattr(resolve_target(trainer), "components", {})
    return found


def choose(registry: Registry, recipe: Recipe, plugin: str, overrides: Overrides) -> Chosen:
    """Return the objects that a recipe and overrides name; of the kinds that are the trainer's, those that it uses."""
    chosen: Chosen = {}
    for kind in COMPONENTS.values():
        if not kind.is_trainers:
            chosen[kind.name] = named(registry, kind, recipe, plugin, overrides)
    defaults = trainer_components(chosen["trainer"][0])
    for kind in COMPONENTS.values():
        if not kind.is_trainers:
            continue
        if kind.name in defaults:
            several = named(registry, kind, recipe, plugin, overrides)
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


def named(
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


def check_owners(registry: Registry, chosen: Chosen, settings: Mapping[str, Any]) -> None:
    """Raise `SettingError` for a setting of a registered augmentation, metric or callback that is not chosen."""
    for name, value in settings.items():
        kind, _, rest = name.partition(".")
        owner = rest.rpartition(".")[0]
        if kind not in COMPONENTS or COMPONENTS[kind].recipe != "many":
            continue
        if any(registered.name == owner for registered in chosen[kind]) or not registry.catalogs[kind].find(owner):
            continue
        raise SettingError(
            f"{kind.capitalize()} {owner!r} is not part of the run, so it has no settings. Add it to "
            f"{COMPONENTS[kind].choice!r}, or omit the setting. Received: {name}={value!r}",
            name=name,
            value=value,
        )


def with_monitor(
    registry: Registry, metrics: tuple[Registered[Entry], ...], monitor: object, plugin: str
) -> tuple[tuple[Registered[Entry], ...], object]:
    """Return metrics, with the one that selects the best epoch among them, and the name of that one."""
    if not isinstance(monitor, str) or monitor in METRICS or any(metric.name == monitor for metric in metrics):
        return metrics, monitor
    try:
        found = registry.metrics.get(monitor, prefer=plugin)  # by an alias or its full name, too
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
    return metrics if found in metrics else (*metrics, found), found.name
