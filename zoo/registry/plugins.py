"""Plugins: discovered through entry points, loaded in isolation, and added to one registry."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import AmbiguousNameError, InvalidEntryError, PluginError, PluginWarning, UnknownNameError
from zoo.registry import builtin_commands
from zoo.registry.discovery import discover
from zoo.registry.entries import LOCAL, choices
from zoo.registry.plugin import Plugin
from zoo.registry.plugin_loader import as_failed, load_file, load_with_timeout
from zoo.registry.registry import Registry
from zoo.utils.text import suggest
from zoo.utils.variables import seconds_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from zoo.registry.entries import Recipe

DISTRIBUTION = "keras-zoo"
"""The distribution of the included plugins: they are always loaded, and their names are reserved."""


def load_registry(
    environ: Mapping[str, str] | None = None, *, files: Sequence[str | Path] = (), lenient: bool = False
) -> Registry:
    """Return a new registry with the built-in commands and everything that the installed plugins register.

    A plugin that fails in any way registers nothing and is reported once, with a `PluginWarning`. The other plugins
    work.

    Args:
        environ: Environment variables, by default ``os.environ``. ``ZOO_PLUGINS=a,b`` loads only those plugins in
            addition to the included ones (if empty, only the included ones). ``ZOO_STRICT=1`` turns the failure of a
            plugin into an error. An import that takes longer than ``ZOO_PLUGIN_SECONDS`` (10 by default) fails.
        files: Python files to load as plugins in addition to the installed ones. Each plugin is named after its file.
        lenient: Whether to never raise an error for a plugin that fails, even if ``ZOO_STRICT`` is set.

    Raises:
        PluginError: A plugin from ``files`` failed, a plugin failed and ``ZOO_STRICT`` is set, or
            ``ZOO_PLUGIN_SECONDS`` is not a valid number of seconds.
    """
    environ = os.environ if environ is None else environ
    files = [files] if isinstance(files, str | os.PathLike) else files
    registry = Registry()
    for entry in builtin_commands.COMMANDS:
        registry.commands.add(entry, plugin=builtin_commands.PLUGIN)
    limit = _seconds(environ)
    strict = not lenient and is_strict(environ)
    paths = [Path(file).resolve() for file in files]  # before a plugin changes the working directory
    found = _installed(environ, limit, strict=strict)
    for path in paths:
        found.append(load_file(path, {plugin.name for plugin in found}, limit))
    for plugin in _without_broken_recipes(found):
        registry.plugins[plugin.name] = plugin
        if plugin.error is not None:
            _report(plugin, strict=strict or (plugin.file is not None and not lenient))
            continue
        for kind, items in plugin.registers.items():
            for item in items:
                registry.catalogs[kind].add(item, plugin=plugin.name)
    return registry


def is_strict(environ: Mapping[str, str]) -> bool:
    """Return whether ``ZOO_STRICT`` is set to anything but 0."""
    return environ.get("ZOO_STRICT", "") not in ("", "0")


def _installed(environ: Mapping[str, str], limit: float, *, strict: bool) -> list[Plugin]:
    """Return the installed plugins that ``ZOO_PLUGINS`` allows: loaded, or with the error that rules one out."""
    found = discover()
    ours = {one.name for one in found if one.package == DISTRIBUTION}
    if "ZOO_PLUGINS" in environ:
        allowed = {name.strip() for name in environ["ZOO_PLUGINS"].split(",") if name.strip()}
        for name in sorted(allowed - {one.name for one in found}):
            hint = suggest(name, [one.name for one in found])
            message = f"ZOO_PLUGINS names {name!r}, but no plugin with that name is installed.{hint}"
            _complain(message, plugin=name, is_error=strict)
        found = [one for one in found if one.name in allowed or one.package == DISTRIBUTION]
    packages: dict[str, list[str]] = {}
    for one in found:
        packages.setdefault(one.name, []).append(one.package)
    plugins = []
    for one in found:
        fault = one.error
        if one.name in (builtin_commands.PLUGIN, LOCAL) or (one.name in ours and one.package != DISTRIBUTION):
            fault = f"the name {one.name!r} is reserved; its author must choose another name"
        elif len(packages[one.name]) > 1 and one.name not in ours:
            several = sorted(set(packages[one.name]))
            fault = (
                f"{' and '.join(several)} provide plugins with this name; uninstall all but one"
                if len(several) > 1
                else f"{several[0]} registers it twice; its author must remove one entry point"
            )
        is_alone = fault is None or one.error is not None
        plugin = Plugin(
            name=one.name if is_alone else f"{one.name}@{one.package}",
            source=one.source,
            package=one.package,
            version=one.version,
            error=fault,
        )
        plugins.append(plugin if fault else load_with_timeout(plugin, one.load, limit))
    return plugins


def _seconds(environ: Mapping[str, str]) -> float:
    try:
        return seconds_of(environ, "ZOO_PLUGIN_SECONDS", 10.0)
    except ValueError as error:
        raise PluginError(str(error)) from None


def _without_broken_recipes(plugins: list[Plugin]) -> list[Plugin]:
    """Return the plugins; those whose recipes refer to unregistered names are marked as failed."""
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
        for kind, name in choices(recipe):
            try:
                with warnings.catch_warnings():  # a renamed component is reported when the recipe is used
                    warnings.simplefilter("ignore")
                    names.catalogs[kind.name].get(name, prefer=plugin.name)
            except UnknownNameError as error:
                return as_failed(plugin, InvalidEntryError(f"Recipe {recipe.name!r}: {error}"))
            except AmbiguousNameError:
                pass  # reported, with the cure, when the recipe is used
    return plugin


def _report(plugin: Plugin, *, strict: bool) -> None:
    origin = f"{plugin.package} {plugin.version}" if plugin.package else plugin.source
    message = f"Plugin {plugin.name!r} ({origin}) was not loaded: {plugin.error}"
    _complain(message, plugin=plugin.name, is_error=strict, cause=plugin.cause)


def _complain(message: str, *, plugin: str, is_error: bool, cause: BaseException | None = None) -> None:
    if is_error:
        raise PluginError(message, plugin=plugin) from cause
    warnings.warn(message, PluginWarning, stacklevel=4)
