"""One plugin, loaded alone: within a time limit, taken whole or not at all, whatever it does."""

from __future__ import annotations

import contextlib
import importlib.util
import signal
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pluggy

from zoo import builtin, hookspecs
from zoo.catalog import LOCAL, check_name, suggest
from zoo.errors import InvalidEntryError, PluginError, ZooError
from zoo.interfaces import KINDS
from zoo.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from importlib import metadata
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """A plugin that was found.

    Args:
        name: The name of its entry point.
        source: Where its hooks are: the entry point's value, ``"zoo_fashion"``.
        distribution: The installed distribution it came with, if any.
        file: The file it was loaded from, if it was given by name.
        seconds: How long its import and its hooks took.
        hooks: A pluggy manager that knows this plugin alone.
        registers: What it registers: kind to entries or recipes.
        error: Why it was left out; None if it was not.
    """

    name: str
    source: str
    distribution: metadata.Distribution | None = None
    file: Path | None = None
    seconds: float = 0.0
    hooks: pluggy.PluginManager = field(default_factory=lambda: pluggy.PluginManager("zoo"), repr=False)
    registers: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    error: str | None = None

    @property
    def version(self) -> str:
        """The version of its distribution, ``"unknown"`` if it has none."""
        return self.distribution.version if self.distribution else "unknown"


def load_within(plugin: Plugin, load: Callable[[], object], limit: float) -> Plugin:
    """Return the plugin with what it registers, or with the error that came of it, after so many seconds at most."""
    started = time.perf_counter()
    try:
        check_name(plugin.name, "plugin")
        # what a plugin prints on import is not our output
        with contextlib.redirect_stdout(sys.stderr), _time_limit(limit):
            collected = collect(plugin, load())
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: nothing that a plugin does on import may stop the others
        return failed(plugin, error)
    return replace(collected, seconds=time.perf_counter() - started)


class _TooSlowError(BaseException):
    """Is raised inside a plugin that takes too long, past its own ``except Exception``."""


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise `_TooSlowError` in the block after so many seconds, where the system can do that."""

    def stop(*_: object) -> None:
        raise _TooSlowError(
            f"it took longer than {seconds:g} s to import: import what is heavy inside functions, or allow more with "
            "ZOO_PLUGIN_SECONDS"
        )

    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return
    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def load_file(path: Path, taken: set[str], limit: float) -> Plugin:
    """Return the plugin in a file: named ``my-arch`` for ``my_arch.py``, its module importable as ``my_arch``."""
    name = path.stem.replace("_", "-")
    plugin = Plugin(name=name, source=str(path), file=path.resolve())

    def load() -> object:
        if not path.is_file() or path.suffix != ".py":
            raise PluginError(f"there is no such Python file. Received: plugin={str(path)!r}")
        if name in taken or name in (builtin.PLUGIN, LOCAL):
            raise PluginError(
                f"a plugin of its name is loaded already: rename the file. Received: plugin={str(path)!r}"
            )
        known = importlib.util.find_spec(path.stem)
        if known is not None and known.origin != str(path.resolve()):  # the folder may be on the path
            raise PluginError(f"a module {path.stem!r} is installed: rename the file. Received: plugin={str(path)!r}")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None:
            raise PluginError(f"Python cannot load it. Received: plugin={str(path)!r}")
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module  # so that targets may be given by name
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[path.stem]
            raise
        return module

    return load_within(plugin, load, limit)


def collect(plugin: Plugin, module: object) -> Plugin:
    """Return the plugin with all that its hooks register, each item checked.

    Raises:
        Exception: Whatever the plugin raises, or that shows it to be invalid.
    """
    manager = pluggy.PluginManager("zoo")
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
    return replace(plugin, hooks=manager, registers=registers)


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


def failed(plugin: Plugin, error: BaseException) -> Plugin:
    """Return the plugin without anything of it, left out because of the error."""
    is_told = isinstance(error, ZooError | _TooSlowError)
    reason = str(error) if is_told else f"{type(error).__name__}: {error}"
    return replace(plugin, hooks=pluggy.PluginManager("zoo"), registers={}, error=" ".join(reason.split()))
