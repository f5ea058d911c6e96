"""Load one plugin in isolation: within limits of time and memory, entirely or not at all, whatever it does."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import itertools
import os
import signal
import sys
import threading
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from zoo.errors import InvalidEntryError, PluginError, ZooError
from zoo.registry import builtin_commands, hookspecs
from zoo.registry.entries import LOCAL, Entry, Recipe, check_name
from zoo.registry.kinds import TABLE
from zoo.registry.plugin import Plugin
from zoo.registry.registry import Registry
from zoo.utils import files, hardware, threads
from zoo.utils.signals import StopRequested
from zoo.utils.text import one_line, suggest

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Iterator

_NEVER_INTERRUPTED = ("jax", "jaxlib", "keras", "numpy", "tensorflow", "torch")
_BACKEND = "KERAS_BACKEND"
_MOST_ITEMS = 10_000  # that a hook may return: far more than any plugin needs
_MOST_MEMORY = 1 << 30  # bytes that an import may take: TensorFlow's takes a third of that
_TICK = 0.2  # seconds between two checks of time and memory


def load_with_timeout(plugin: Plugin, load: Callable[[], object], limit: float) -> Plugin:
    """Return the plugin with what it registers, or with the error that it raised.

    It is also an error if the import takes longer than ``limit`` seconds, leaves a non-daemon thread running (which
    would keep the process from ending), or sets the Keras backend for the whole process.
    """
    started, before = time.perf_counter(), set(threading.enumerate())
    with _backend_kept(), _interrupts() as interrupts:
        try:
            check_name(plugin.name, "plugin")
            # a plugin's prints must not mix with our output, nor its warning filters apply to other code
            with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings(), _limits(limit):
                collected = collect_registrations(plugin, load())
            seconds = time.perf_counter() - started
            if seconds > limit:
                raise _too_slow(limit)
            _check_left_behind(before, interrupts.backend)
        except BaseException as error:  # including SystemExit: a plugin's import must not stop the others
            if isinstance(error, StopRequested) or interrupts.received:
                raise  # the user, or another process, asked this one to end
            threads.abandon(_new_threads(before))
            return as_failed(plugin, error)
    return replace(collected, seconds=seconds)


def _check_left_behind(before: set[threading.Thread], backend: str | None) -> None:
    """Raise `PluginError` if a plugin's import changed the process for all other plugins."""
    if (now := os.environ.get(_BACKEND)) != backend:
        raise PluginError(
            f"it sets {_BACKEND} on import, which would apply to every plugin; leave the choice to the user. "
            f"Received: {_BACKEND}={now!r}"
        )
    if new := _new_threads(before):
        raise PluginError(
            "it starts a thread on import, which would keep every command from exiting; start it only when it is "
            f"needed, with daemon=True. Received: thread={new[0].name!r}"
        )


def _new_threads(before: set[threading.Thread]) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]


@dataclass
class _Interrupts:
    """Whether Ctrl-C was pressed (as opposed to a plugin raising KeyboardInterrupt), and the initial backend."""

    received: bool = False
    backend: str | None = None


@contextlib.contextmanager
def _backend_kept() -> Iterator[None]:
    """Restore the environment variable that selects the Keras backend."""
    before = os.environ.get(_BACKEND)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_BACKEND, None)
        else:
            os.environ[_BACKEND] = before


@contextlib.contextmanager
def _interrupts() -> Iterator[_Interrupts]:
    """Record whether Ctrl-C is pressed while a plugin is loaded; the signal is still handled as before."""
    noted = _Interrupts(backend=os.environ.get(_BACKEND))
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield noted  # signal handlers do not run in this thread
        return

    def note(number: int, frame: types.FrameType | None) -> None:
        noted.received = True
        handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, handler)


class _TooMuchError(BaseException):
    """Raised inside a plugin that exceeds a limit; not an Exception, so that its own handlers do not catch it."""


def _too_slow(limit: float) -> _TooMuchError:
    return _TooMuchError(
        f"it took longer than {limit:g} s to import; import heavy modules inside functions, or raise the limit with "
        "ZOO_PLUGIN_SECONDS"
    )


@contextlib.contextmanager
def _limits(seconds: float) -> Iterator[None]:
    """Raise `_TooMuchError` in the block, repeatedly, once it exceeds a limit of time or memory, if the system can.

    It is not raised while a backend is being imported, because a half-imported backend would break everything else.
    The caller's timer and signal handler are restored afterwards.
    """

    def stop(_: int, frame: types.FrameType | None) -> None:
        while frame is not None:
            if str(frame.f_globals.get("__name__")).partition(".")[0] in _NEVER_INTERRUPTED:
                return
            frame = frame.f_back
        if time.monotonic() - started >= seconds:
            raise _too_slow(seconds)
        if hardware.memory_used() - used > _MOST_MEMORY:
            raise _TooMuchError(
                f"it took more than {_MOST_MEMORY >> 20:,} MiB of memory to import; load large data inside functions"
            )

    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return
    started, used = time.monotonic(), hardware.memory_used()
    handler = signal.signal(signal.SIGALRM, stop)
    tick = min(seconds, _TICK)
    remaining, interval = signal.setitimer(signal.ITIMER_REAL, tick, tick)
    try:
        yield
    finally:
        while True:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, handler)
                break
            except _TooMuchError:  # the timer fired in between: restore both all the same
                continue
        if remaining:
            signal.setitimer(signal.ITIMER_REAL, max(remaining - (time.monotonic() - started), 1e-3), interval)


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
    reason = one_line(error)
    if isinstance(error, ZooError | _TooMuchError):
        reason = reason.partition(": ")[2]
    return replace(plugin, registers={}, error=reason, cause=error)
