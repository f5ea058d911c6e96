"""Plugins: found through entry points, each loaded alone, added to a registry together."""

from __future__ import annotations

import os
import warnings
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from zoo import builtin
from zoo.catalog import LOCAL, suggest
from zoo.errors import AmbiguousNameError, InvalidEntryError, PluginError, PluginWarning, UnknownNameError
from zoo.quarantine import Plugin, failed, load_file, load_within
from zoo.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from zoo.interfaces import Recipe

GROUP = "zoo"
"""The entry point group in which plugins announce themselves."""

DISTRIBUTION = "keras-zoo"
"""The distribution whose plugins are ours: always loaded, their names taken."""


def load_registry(environ: Mapping[str, str] | None = None, *, files: Sequence[str | Path] = ()) -> Registry:
    """Return a new registry, filled by the core and by all installed plugins.

    A plugin that fails in any way adds nothing and is reported once, as a `PluginWarning`; all others work.

    Args:
        environ: Variables to obey instead of ``os.environ``. ``ZOO_PLUGINS=a,b`` loads only those plugins besides
            ours (empty: only ours). ``ZOO_STRICT=1`` makes the failure of a plugin an error. An import that takes
            longer than ``ZOO_PLUGIN_SECONDS``, 10 by default, fails.
        files: Python files to load as plugins besides the installed ones, each named after its file.

    Raises:
        PluginError: A file failed, or a plugin failed and ``ZOO_STRICT`` is set.
    """
    environ = os.environ if environ is None else environ
    registry = Registry()
    for entry in builtin.COMMANDS:
        registry.commands.add(entry, plugin=builtin.PLUGIN)
    limit = _seconds(environ)
    found = [_load(*one, limit) for one in _discover(environ)]
    found += [load_file(Path(file), {plugin.name for plugin in found}, limit) for file in files]
    is_strict = environ.get("ZOO_STRICT", "") not in ("", "0")
    for plugin in _without_broken_recipes(found):
        registry.plugins[plugin.name] = plugin
        if plugin.error is not None:
            _report(plugin, strict=is_strict or plugin.file is not None)
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


def _load(name: str, point: metadata.EntryPoint, fault: str | None, limit: float) -> Plugin:
    plugin = Plugin(name=name, source=point.value, distribution=point.dist, error=fault)
    return plugin if fault is not None else load_within(plugin, point.load, limit)


def _seconds(environ: Mapping[str, str]) -> float:
    given = environ.get("ZOO_PLUGIN_SECONDS") or "10"
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise PluginError(f"ZOO_PLUGIN_SECONDS is a number of seconds. Received: ZOO_PLUGIN_SECONDS={given!r}")
    return seconds


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
                return failed(plugin, InvalidEntryError(f"Recipe {recipe.name!r}: {error}"))
            except AmbiguousNameError:
                pass  # said, with the cure, when the recipe is used
    return plugin


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
