"""The components of a recipe: a data set, a model and a trainer, each with its settings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from zoo.errors import PluginError
from zoo.recipes.settings import SettingSpec, complete, specs_of
from zoo.registry.catalog import Registered
from zoo.registry.catalog import resolve as resolve_target
from zoo.utils.plugin_errors import plugin_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zoo.registry.entries import Entry

COMPONENT_KINDS = {"dataset": 0, "model": 2, "trainer": 0}
"""The parts of a recipe, and how many positional arguments a target of each kind takes before its settings."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """A data set, model or trainer to make: its kind, name, plugin, target and all of its settings."""

    kind: str
    name: str
    plugin: str
    target: Callable[..., Any]
    settings: Mapping[str, Any]

    @property
    def title(self) -> str:
        """What to call it in messages: ``"model mine/net"``."""
        return f"{self.kind} {self.plugin}/{self.name}"

    def make(self, *arguments: Any) -> Any:
        """Return what the target makes of the arguments and the settings."""
        return self.to_make(*arguments)()

    def to_make(self, *arguments: Any) -> partial[Any]:
        """Return what makes it when it is called: the target with all that it is given."""
        return partial(self.target, *arguments, **self.settings)


def component_settings(registered: Registered[Entry]) -> dict[str, SettingSpec]:
    """Return the settings of a data set, model or trainer, by the name that ``--set`` takes."""
    kind = registered.kind
    return specs_of(
        resolve_target(registered),
        skip=COMPONENT_KINDS[kind],
        prefix=f"{kind}.",
        owner=f"{kind} {registered.qualified_name}",
    )


def default_component(registered: Registered[Entry]) -> Component:
    """Return a data set, model or trainer with all settings at their defaults."""
    return configure(registered, complete(component_settings(registered), {}))


def configure(registered: Registered[Entry], values: Mapping[str, Any]) -> Component:
    """Return a data set, model or trainer with the settings among all of a recipe's that are its own."""
    prefix = f"{registered.kind}."
    return Component(
        kind=registered.kind,
        name=registered.name,
        plugin=registered.plugin,
        target=resolve_target(registered),
        settings={key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)},
    )


def instantiate(component: Component, protocol: Any, fault: str) -> Any:
    """Return what a component makes, or say what it lacks of its protocol."""
    with plugin_errors(component.title, "start"):
        made = component.make()
    if not isinstance(made, protocol):
        raise PluginError(f"The {component.title} {fault}. Received: {made!r:.200}", plugin=component.plugin)
    return made
