"""Load one plugin in isolation: within limits of time and memory, entirely or not at all, whatever it does."""

from __future__ import annotations

import importlib.util
import inspect
import itertools
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from zoo.errors import InvalidEntryError, PluginError, ZooError
from zoo.registry import builtin_commands, hookspecs
from zoo.registry.entries import LOCAL, Entry, Recipe, check_name
from zoo.registry.kinds import TABLE
from zoo.registry.plugin import Plugin
from zoo.registry.plugin_effects import (
    check_left_behind,
    contained,
    new_threads,
    noted_interrupts,
    release,
    user_variables,
    variables_kept,
)
from zoo.registry.plugin_limits import TooMuchError, call_limited, too_large, too_slow
from zoo.registry.registry import Registry
from zoo.utils import files, threads
from zoo.utils.signals import StopRequested
from zoo.utils.text import one_line, suggest

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo.registry.plugin_effects import Interrupts

_MOST_ITEMS = 10_000  # that a hook may return: far more than any plugin needs


def load_with_timeout(plugin: Plugin, load: Callable[[], object], limit: float) -> Plugin:
    """Return the plugin with what it registers, or with the error that it raised.

    It is also an error if the import takes longer than ``limit`` seconds, leaves a non-daemon thread running (which
    would keep the process from ending), or changes an environment variable that is the user's choice, such as the Keras
    backend.
    """
    started, threads_before, variables = time.perf_counter(), set(threading.enumerate()), user_variables()
    with variables_kept(), noted_interrupts() as interrupts:
        try:
            check_name(plugin.name, "plugin")
            with contained():
                loaded = call_limited(partial(_load, plugin, load, interrupts), limit)
            seconds = time.perf_counter() - started
            if loaded.error is None and seconds > limit:
                raise too_slow(limit)
            if loaded.error is None:
                check_left_behind(threads_before, variables)
        except BaseException as error:  # including SystemExit: a plugin's import must not stop the others
            if _is_of_the_user(error, interrupts):
                raise
            loaded = as_failed(plugin, error)
        if loaded.error is not None:
            threads.abandon(new_threads(threads_before))
            return loaded
    return replace(loaded, seconds=seconds)


def _load(plugin: Plugin, load: Callable[[], object], interrupts: Interrupts) -> Plugin:
    """Return the plugin with what it registers, or with its error; all of its code runs within the limits."""
    try:
        return collect_registrations(plugin, load())
    except BaseException as error:
        if _is_of_the_user(error, interrupts):
            raise
        # which calls the error's own code
        failed = as_failed(plugin, too_large() if isinstance(error, MemoryError) else error)
        release(error)
        return failed


def _is_of_the_user(error: BaseException, interrupts: Interrupts) -> bool:
    """Return whether the user, or another process, asked this one to end."""
    return isinstance(error, StopRequested) or interrupts.received


def _version_of(path: Path) -> str:
    """Return a version that identifies the content of a file."""
    try:
        return f"sha256:{files.sha256(path.read_bytes())[:12]}"
    except OSError:  # reported when it is loaded
        return "unknown"


def load_file(path: Path, taken: set[str], limit: float) -> Plugin:
    """Return the plugin in a file with a resolved path.

    ``my_arch.py`` and ``my_arch/__init__.py`` are plugin ``my-arch``, module ``my_arch``.
    """
    named, stem = ("folder", path.parent.name) if path.name == "__init__.py" else ("file", path.stem)
    name = stem.replace("_", "-")
    plugin = Plugin(name=name, source=str(path), file=path, version=_version_of(path))

    received = f"Received: plugin={str(path)!r}"

    def load() -> object:
        if not path.is_file() or path.suffix != ".py":
            raise PluginError(f"it is not an existing .py file; check the path. {received}")
        if not stem.isidentifier():
            raise PluginError(f"its name is not a valid Python module name; rename the {named}. {received}")
        if name in taken or name in (builtin_commands.PLUGIN, LOCAL):
            raise PluginError(f"its name is taken by another plugin or reserved by zoo; rename the {named}. {received}")
        known = sys.modules.get(stem) or importlib.util.find_spec(stem)
        origin = getattr(known, "__file__", None) or getattr(known, "origin", None)
        if known is not None and (origin is None or Path(origin).resolve() != path):
            raise PluginError(f"another module named {stem!r} is installed; rename the {named}. {received}")
        spec = importlib.util.spec_from_file_location(stem, path)
        if spec is None or spec.loader is None:
            raise PluginError(f"Python cannot load it. {received}")
        module = importlib.util.module_from_spec(spec)
        sys.modules[stem] = module  # so that targets may be given by name
        if str(path.parent) not in sys.path:
            sys.path.append(str(path.parent))  # last: for imports of modules next to it
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[stem]
            raise
        return module

    return load_with_timeout(plugin, load, limit)


def collect_registrations(plugin: Plugin, module: object) -> Plugin:
    """Return the plugin with everything that its hooks register, after validating each item.

    Raises:
        Exception: Any exception that the plugin raises, or the one that says why it is invalid.
    """
    if inspect.isclass(module):
        raise InvalidEntryError(
            f"A plugin must be a module or an object, not a class. Pass an instance. Received: {module!r}"
        )
    manager = pluggy.PluginManager("zoo")
    manager.add_hookspecs(hookspecs)
    manager.register(module, plugin.name)
    _check_hooks(manager, module)
    scratch = Registry()  # adding to it detects names that the plugin uses twice
    registers = {}
    own = {command.name for command in builtin_commands.COMMANDS}
    for kind in TABLE:
        hook = getattr(manager.hook, f"register_{kind.plural}")
        items = _items(hook)
        for item in items:
            scratch.catalogs[kind.name].add(item, plugin=plugin.name)
            if kind.name == "command" and (taken := own & {item.name, *item.aliases, *item.former_names}):
                raise InvalidEntryError(f"The command name {min(taken)!r} is reserved by zoo. Choose another name.")
        registers[kind.name] = items
    return replace(plugin, registers=registers)


def _items(hook: pluggy.HookCaller) -> tuple[Any, ...]:
    """Return the items that all implementations of a hook return; each must return a list."""
    results = hook()
    try:
        return _checked_items(hook, results)
    finally:
        for several in results:
            if inspect.isgenerator(several):
                several.close()  # now, within the limits
        results.clear()


def _checked_items(hook: pluggy.HookCaller, results: list[Any]) -> tuple[Any, ...]:
    expected = sum(not (found.hookwrapper or found.wrapper) for found in hook.get_hookimpls())
    if len(results) < expected:  # pluggy leaves None out
        raise InvalidEntryError(f"Its hook {hook.name!r} returned None. Return a list.")
    for several in results:
        if isinstance(several, Entry | Recipe | str):
            raise InvalidEntryError(f"Its hook {hook.name!r} must return a list. Received: {several!r:.200}")
    items = tuple(itertools.islice((item for several in results for item in several), _MOST_ITEMS + 1))
    if len(items) > _MOST_ITEMS:
        raise InvalidEntryError(
            f"Its hook {hook.name!r} returns more than {_MOST_ITEMS:,} items, perhaps endlessly. Return a finite list."
        )
    return items


def _check_hooks(manager: pluggy.PluginManager, module: object) -> None:
    known = [name for name in vars(hookspecs) if name.startswith("register_")]
    for name in known:
        if callable(getattr(module, name, None)) and not getattr(manager.hook, name).get_hookimpls():
            raise InvalidEntryError(f"Its function {name!r} is not marked as a hook. Decorate it with @hookimpl.")
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        written = next((word.strip("'\"") for word in str(error).split() if word.startswith("'")), "")
        raise InvalidEntryError(f"There is no hook {written!r}.{suggest(written, known)}") from error
    if not any(getattr(manager.hook, name).get_hookimpls() for name in known):
        raise InvalidEntryError(f"It implements no hook. Implement one of: {', '.join(known)}.")


def as_failed(plugin: Plugin, error: BaseException) -> Plugin:
    """Return the plugin as left out because of an error, with nothing registered."""
    try:
        reason = one_line(error)
    except (StopRequested, TooMuchError):
        raise
    except BaseException:  # even str() can fail, in any way
        reason = type(error).__name__
    if isinstance(error, ZooError | TooMuchError):
        reason = reason.partition(": ")[2]
    return replace(plugin, registers={}, error=reason, cause=error)
