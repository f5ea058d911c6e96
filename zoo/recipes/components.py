"""The components of a recipe: a dataset, a model, an optimizer, ..., each with its settings."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from zoo.errors import PluginError
from zoo.recipes.docstrings import parameter_descriptions
from zoo.recipes.settings import SettingSpec, complete, specs_of
from zoo.registry.catalog import Registered
from zoo.registry.catalog import resolve as resolve_target
from zoo.registry.kinds import KINDS
from zoo.utils.plugin_errors import plugin_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zoo.registry.entries import Entry


@dataclass(frozen=True, kw_only=True)
class Component:
    """A registered object to instantiate: its kind, name, plugin, target and all of its settings.

    ``mode`` is that of a metric: whether its largest (``"max"``) or smallest value is best.
    """

    kind: str
    name: str
    plugin: str
    target: Callable[..., Any]
    settings: Mapping[str, Any]
    mode: str = "max"

    @property
    def qualified_name(self) -> str:
        """``plugin/name``."""
        return f"{self.plugin}/{self.name}"

    @property
    def title(self) -> str:
        """How messages refer to it: ``"model mine/net"``."""
        return f"{self.kind} {self.qualified_name}"

    @property
    def prefix(self) -> str:
        """The prefix of its settings' names: ``"model."``, ``"augmentation.shift."``."""
        return _prefix(self.kind, self.name)

    def make(self, *arguments: Any, **overrides: Any) -> Any:
        """Call the target with the arguments and the settings, and return the result."""
        return self.to_make(*arguments)(**overrides)

    def to_make(self, *arguments: Any) -> partial[Any]:
        """Return a function without parameters that does what `make` does."""
        return partial(self.target, *arguments, **self.settings)

    def takes_context(self) -> bool:
        """Return whether the target's first parameter is the run's context."""
        return _takes_context(self.kind, self.target)


def component_settings(registered: Registered[Entry]) -> dict[str, SettingSpec]:
    """Return the settings of a registered object, keyed by the name that ``--set`` takes."""
    kind, target = registered.kind, resolve_target(registered)
    return specs_of(
        target,
        skip=1 if _takes_context(kind, target) else KINDS[kind].arguments,
        prefix=_prefix(kind, registered.name),
        owner=f"{kind} {registered.qualified_name}",
    )


def setting_descriptions(registered: Registered[Entry]) -> dict[str, str]:
    """Return the descriptions of a registered object's settings, of those that its docstring describes."""
    found = parameter_descriptions(resolve_target(registered))
    prefix = prefix_of(registered)
    names = component_settings(registered)
    return {name: found[own] for name in names if (own := name.removeprefix(prefix)) in found}


def default_component(registered: Registered[Entry]) -> Component:
    """Return a component with default settings."""
    return configure(registered, complete(component_settings(registered), {}))


def configure(registered: Registered[Entry], values: Mapping[str, Any]) -> Component:
    """Return a component with its own settings, selected from all settings of a recipe."""
    prefix = _prefix(registered.kind, registered.name)
    names = component_settings(registered)
    if registered.kind == "optimizer" and f"{prefix}learning_rate" not in names:
        raise PluginError(
            f"The optimizer {registered.qualified_name} needs a parameter learning_rate with a default above 0: the "
            f"recipe's schedule sets it. Received: {', '.join(names) or 'no parameter'}",
            plugin=registered.plugin,
        )
    return Component(
        kind=registered.kind,
        name=registered.name,
        plugin=registered.plugin,
        target=resolve_target(registered),
        settings={name.removeprefix(prefix): values[name] for name in names if name in values},
        mode=registered.item.mode or "max",
    )


def instantiate(component: Component, expected: Any, fault: str, *arguments: Any, **overrides: Any) -> Any:
    """Return the object that a component makes; raise `PluginError` with ``fault`` if it has another type."""
    with plugin_errors(component.title, "initialize"):
        made = component.make(*arguments, **overrides)
    if not isinstance(made, expected):
        raise PluginError(f"The {component.title} {fault}. Received: {made!r:.200}", plugin=component.plugin)
    return made


def prefix_of(registered: Registered[Any]) -> str:
    """Return the prefix of a registered object's settings: ``"model."``, ``"augmentation.shift."``."""
    return _prefix(registered.kind, registered.name)


def _prefix(kind: str, name: str) -> str:
    return f"{kind}.{name}." if KINDS[kind].recipe == "many" else f"{kind}."


def _takes_context(kind: str, target: Callable[..., Any]) -> bool:
    context = KINDS[kind].context
    if context is None:
        return False
    try:
        return next(iter(inspect.signature(target).parameters), None) == context
    except (TypeError, ValueError):  # `specs_of` reports it
        return False
