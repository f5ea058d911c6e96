"""The components of a recipe: a dataset, a model and a trainer, each with its settings."""

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
"""Kinds of components, with the number of positional arguments that each target takes before its settings."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """A dataset, model or trainer to instantiate: its kind, name, plugin, target and all of its settings."""

    kind: str
    name: str
    plugin: str
    target: Callable[..., Any]
    settings: Mapping[str, Any]

    @property
    def title(self) -> str:
        """How messages refer to it: ``"model mine/net"``."""
        return f"{self.kind} {self.plugin}/{self.name}"

    def make(self, *arguments: Any) -> Any:
        """Call the target with the arguments and the settings, and return the result."""
        return self.to_make(*arguments)()

    def to_make(self, *arguments: Any) -> partial[Any]:
        """Return a function without parameters that does what `make` does."""
        return partial(self.target, *arguments, **self.settings)


def component_settings(registered: Registered[Entry]) -> dict[str, SettingSpec]:
    """Return the settings of a dataset, model or trainer, keyed by the name that ``--set`` takes."""
    kind = registered.kind
    return specs_of(
        resolve_target(registered),
        skip=COMPONENT_KINDS[kind],
        prefix=f"{kind}.",
        owner=f"{kind} {registered.qualified_name}",
    )


def default_component(registered: Registered[Entry]) -> Component:
    """Return a dataset, model or trainer with default settings."""
    return configure(registered, complete(component_settings(registered), {}))


def configure(registered: Registered[Entry], values: Mapping[str, Any]) -> Component:
    """Return a dataset, model or trainer with its own settings, selected from all settings of a recipe."""
    prefix = f"{registered.kind}."
    return Component(
        kind=registered.kind,
        name=registered.name,
        plugin=registered.plugin,
        target=resolve_target(registered),
        settings={key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)},
    )


def instantiate(component: Component, protocol: Any, fault: str) -> Any:
    """Return the object that a component makes; raise `PluginError` with ``fault`` if it does not fit the protocol."""
    with plugin_errors(component.title, "initialize"):
        made = component.make()
    if not isinstance(made, protocol):
        raise PluginError(f"The {component.title} {fault}. Received: {made!r:.200}", plugin=component.plugin)
    return made
