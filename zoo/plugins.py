"""Plugins: found through entry points, loaded each alone, taken whole or not at all."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Any

import pluggy

from zoo import builtin, hookspecs
from zoo.catalog import LOCAL, check_name, suggest
from zoo.errors import AmbiguousNameError, InvalidEntryError, PluginError, PluginWarning, UnknownNameError, ZooError
from zoo.interfaces import KINDS, Recipe
from zoo.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

GROUP = "zoo"
"""The entry point group in which plugins announce themselves."""

DISTRIBUTION = "keras-zoo"
"""The distribution whose plugins are ours: always loaded, their names taken."""


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """A plugin that was found.

    Args:
        name: The name of its entry point.
        source: Where its hooks are: the entry point's value, ``"zoo_fashion"``.
        distribution: The installed distribution it came with, if any.
        hooks: A pluggy manager that knows this plugin alone.
        registers: What it registers: kind to entries or recipes.
        error: Why it was left out; None if it was not.
    """

    name: str
    source: str
    distribution: metadata.Distribution | None = None
    hooks: pluggy.PluginManager = field(default_factory=lambda: pluggy.PluginManager(GROUP), repr=False)
    registers: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    error: str | None = None

    @property
    def version(self) -> str:
        """The version of its distribution, ``"unknown"`` if it has none."""
        return self.distribution.version if self.distribution else "unknown"


def load_registry(environ: Mapping[str, str] | None = None) -> Registry:
    """Return a new registry, filled by the core and by all installed plugins.

    A plugin that fails in any way adds nothing and is reported once, as a `PluginWarning`; all others work.

    Args:
        environ: Variables to obey instead of ``os.environ``. ``ZOO_PLUGINS=a,b`` loads only those plugins besides
            ours (empty: only ours). ``ZOO_STRICT=1`` makes the failure of a plugin an error.

    Raises:
        PluginError: A plugin failed and ``ZOO_STRICT`` is set.
    """
    environ = os.environ if environ is None else environ
    registry = Registry()
    for entry in builtin.COMMANDS:
        registry.commands.add(entry, plugin=builtin.PLUGIN)
    plugins = _without_broken_recipes([_load(*found) for found in _discover(environ)])
    for plugin in plugins:
        registry.plugins[plugin.name] = plugin
        if plugin.error is not None:
            _report(plugin, strict=environ.get("ZOO_STRICT", "") not in ("", "0"))
            continue
        for kind, items in plugin.registers.items():
            for item in items:
                registry.catalogs[kind].add(item, plugin=plugin.name)
    return registry


def _discover(environ: Mapping[str, str]) -> list[tuple[str, metadata.EntryPoint, str | None]]:
    """Return the plugins to load, sorted: name, entry point, and a fault if its name alone rules it out."""
    points = list(metadata.entry_points(group=GROUP))
    ours = {point.name for point in points if _is_ours(point)}
    if "ZOO_PLUGINS" in environ:
        allowed = {name.strip() for name in environ["ZOO_PLUGINS"].split(",") if name.strip()}
        for name in sorted(allowed - {point.name for point in points}):
            warnings.warn(
                f"ZOO_PLUGINS names {name!r}, and no such plugin is installed."
                f"{suggest(name, [point.name for point in points])}",
                PluginWarning,
                stacklevel=3,
            )
        points = [point for point in points if point.name in allowed or _is_ours(point)]
    found = []
    for point in sorted(points, key=lambda point: (point.name, not _is_ours(point), _distribution_name(point))):
        others = sorted(_distribution_name(other) for other in points if other.name == point.name)
        fault = None
        if point.name in (builtin.PLUGIN, LOCAL) or (point.name in ours and not _is_ours(point)):
            fault = f"the name {point.name!r} is taken: its author must choose another"
        elif len(others) > 1 and not _is_ours(point):
            fault = f"{' and '.join(others)} bring plugins of this name: uninstall all but one"
        name = point.name if fault is None else f"{point.name}@{_distribution_name(point)}"
        found.append((name, point, fault))
    return found


def _load(name: str, point: metadata.EntryPoint, fault: str | None) -> Plugin:
    plugin = Plugin(name=name, source=point.value, distribution=point.dist, error=fault)
    if fault is not None:
        return plugin
    try:
        check_name(name, "plugin")
        with contextlib.redirect_stdout(sys.stderr):  # what a plugin prints on import is not our output
            return collect(plugin, point.load())
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: nothing that a plugin does on import may stop the others
        return _failed(plugin, error)


def collect(plugin: Plugin, module: object) -> Plugin:
    """Return the plugin with all that its hooks register, each item checked.

    Raises:
        Exception: Whatever the plugin raises, or that shows it to be invalid.
    """
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    manager.register(module, plugin.name)
    _check_hooks(manager, module)
    scratch = Registry()  # adding to it finds names that the plugin uses twice
    registers = {}
    for kind in KINDS:
        items = tuple(item for several in getattr(manager.hook, f"register_{kind}s")() for item in several)
        for item in items:
            scratch.catalogs[kind].add(item, plugin=plugin.name)
            if kind == "command" and item.name in {command.name for command in builtin.COMMANDS}:
                raise InvalidEntryError(f"The command {item.name!r} is one of zoo's own: choose another name.")
        registers[kind] = items
    return Plugin(
        name=plugin.name,
        source=plugin.source,
        distribution=plugin.distribution,
        hooks=manager,
        registers=registers,
    )


def _check_hooks(manager: pluggy.PluginManager, module: object) -> None:
    for name, hook in vars(manager.hook).items():
        if callable(getattr(module, name, None)) and not hook.get_hookimpls():
            raise InvalidEntryError(f"Its function {name!r} is not marked: put @hookimpl before it.")
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        known = [name for name in vars(hookspecs) if name.startswith("register_")]
        written = next((word.strip("'\"") for word in str(error).split() if word.startswith("'")), "")
        raise InvalidEntryError(f"There is no hook {written!r}.{suggest(written, known)}") from error


def _without_broken_recipes(plugins: list[Plugin]) -> list[Plugin]:
    """Return the plugins, those whose recipes name things that nobody registers as failed."""
    while True:
        names = Registry()
        for plugin in plugins:
            for kind, items in plugin.registers.items():
                for item in items if plugin.error is None else ():
                    names.catalogs[kind].add(item, plugin=plugin.name)
        checked = [_check_recipes(plugin, names) if plugin.error is None else plugin for plugin in plugins]
        if all(after is before for after, before in zip(checked, plugins, strict=True)):
            return plugins
        plugins = checked


def _check_recipes(plugin: Plugin, names: Registry) -> Plugin:
    recipes: Iterable[Recipe] = plugin.registers.get("recipe", ())
    for recipe in recipes:
        for kind in ("dataset", "model", "trainer"):
            try:
                with warnings.catch_warnings():  # that a name was changed is said when the recipe is used
                    warnings.simplefilter("ignore")
                    names.catalogs[kind].get(getattr(recipe, kind), prefer=plugin.name)
            except UnknownNameError as error:
                return _failed(plugin, InvalidEntryError(f"Recipe {recipe.name!r}: {error}"))
            except AmbiguousNameError:
                pass  # said, with the cure, when the recipe is used
    return plugin


def _failed(plugin: Plugin, error: BaseException) -> Plugin:
    reason = str(error) if isinstance(error, ZooError) else f"{type(error).__name__}: {error}"
    return Plugin(
        name=plugin.name,
        source=plugin.source,
        distribution=plugin.distribution,
        error=" ".join(reason.split()),
    )


def _report(plugin: Plugin, *, strict: bool) -> None:
    message = f"Plugin {plugin.name!r} ({_described(plugin)}) is left out: {plugin.error}"
    if strict:
        raise PluginError(message)
    warnings.warn(message, PluginWarning, stacklevel=3)


def _described(plugin: Plugin) -> str:
    return f"{plugin.distribution.name} {plugin.version}" if plugin.distribution else plugin.source


def _is_ours(point: metadata.EntryPoint) -> bool:
    return _distribution_name(point) == DISTRIBUTION


def _distribution_name(point: metadata.EntryPoint) -> str:
    return point.dist.name if point.dist else ""
