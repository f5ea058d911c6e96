"""Create callbacks, call them, and attribute their errors to them."""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING, Any

from zoo.errors import PluginError, ZooError, ZooWarning
from zoo.recipes.components import instantiate
from zoo.training import keras_callbacks
from zoo.utils.plugin_errors import plugin_errors
from zoo.utils.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import keras

    from zoo.interfaces import RunContext
    from zoo.recipes.components import Component
    from zoo.runs.run_folder import Run


def check_callback(title: str, target: object) -> None:
    """Call the ``check`` of a callback's target, if it has one. It raises an error if the callback cannot be used."""
    check = getattr(target, "check", None)
    if check is not None:
        with plugin_errors(title, "run its check"):
            check()


def make_callback(component: Component, context: RunContext) -> keras.callbacks.Callback:
    """Create a callback for a run.

    Raises:
        PluginError: It cannot be created, or is not a Keras callback.
    """
    import keras

    expected, arguments = keras.callbacks.Callback, [context] if component.takes_context() else []
    with errors_of(component.qualified_name, "initialize"):
        return instantiate(component, expected, "must return a keras.callbacks.Callback", *arguments)


def finish(callbacks: Mapping[str, keras.callbacks.Callback], run: Run) -> None:
    """Notify the callbacks that have a method ``on_run_end`` that a run ended. A failure is a warning."""
    for name, callback in flat(callbacks).items():
        if hasattr(callback, "on_run_end"):
            try:
                callback.on_run_end(run)
            except (Exception, SystemExit) as error:
                warnings.warn(
                    f"The callback {name} failed to run on_run_end: {one_line(error)}. This does not change the run.",
                    ZooWarning,
                    stacklevel=2,
                )


def call(callback: keras.callbacks.Callback, event: str, arguments: tuple[Any, ...], logs: dict[str, Any]) -> None:
    """Call a method of a callback as Keras does: ``logs`` is a keyword argument of the events of batches only."""
    method = getattr(callback, event)
    if "_batch_" in event:
        method(*arguments, logs=logs)
    else:
        method(*arguments, logs)


@contextlib.contextmanager
def errors_of(name: str, verb: str) -> Iterator[None]:
    """Name the callback and its plugin in any error that its code raises."""
    try:
        with plugin_errors(f"callback {name}", verb):
            yield
    except ZooError as raised:
        named = raised
        if name not in str(raised):
            named = raised.with_message(f"The callback {name} failed to {verb}: {raised}")
        if isinstance(named, PluginError):
            named.plugin = named.plugin or name.partition("/")[0]
            named = keras_callbacks.with_cure(named, raised.__cause__)
        raise named from raised.__cause__


def flat(callbacks: Mapping[str, keras.callbacks.Callback]) -> dict[str, keras.callbacks.Callback]:
    """Return callbacks by name, with the members of a `keras.callbacks.CallbackList` as ``name[0]``, ``name[1]``."""
    import keras

    found: dict[str, keras.callbacks.Callback] = {}
    for name, callback in callbacks.items():
        if type(callback) is keras.callbacks.CallbackList:
            found |= flat({f"{name}[{position}]": member for position, member in enumerate(callback.callbacks)})
        else:
            found[name] = callback
    return found
