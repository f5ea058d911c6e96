"""Trackers: callbacks that report a run to external tools, and cannot stop or change it."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from zoo.errors import SettingError, ZooWarning
from zoo.recipes.components import default_component
from zoo.registry.catalog import resolve
from zoo.training.callback_calls import call, check_callback, make_callback
from zoo.training.keras_callbacks import set_direction
from zoo.utils.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import keras

    from zoo.interfaces import RunContext
    from zoo.registry.registry import Registry
    from zoo.runs.run_folder import Run


def check_trackers(registry: Registry, names: Iterable[str]) -> tuple[str, ...]:
    """Check that trackers can be used here, and return their qualified names without duplicates.

    Raises:
        SettingError: ``names`` is not a list of names, but a string, for example.
        UnknownNameError: There is no such callback.
        AmbiguousNameError: More than one plugin registers it.
        PluginError: A tracker cannot be imported, its ``check`` fails, or it reports that something is not installed.
    """
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise SettingError(f"'track' must be a list of names. Received: track={names!r}", name="track", value=names)
    found = [registry.callbacks.get(name) for name in names]
    for registered in found:
        check_callback(f"callback {registered.qualified_name}", resolve(registered))
    return tuple(dict.fromkeys(registered.qualified_name for registered in found))


class Trackers:
    """The trackers of a run. A tracker that fails is removed with a warning.

    Args:
        trackers: Keras callbacks, by the names used in messages. If a callback has a method ``on_run_end(run)``, it
            is called when the run ends: after all files of a successful run are written, or after a failure or
            interruption is recorded.
    """

    def __init__(self, trackers: Mapping[str, keras.callbacks.Callback]) -> None:
        """Store the trackers."""
        self._trackers = dict(trackers)

    @classmethod
    def of(cls, registry: Registry, context: RunContext) -> Trackers:
        """Create the trackers that a run requests. One that cannot be created is left out with a warning."""
        made: dict[str, keras.callbacks.Callback] = {}
        for name in context.track:
            try:
                check_trackers(registry, [name])
                made[name] = make_callback(default_component(registry.callbacks.get(name)), context)
            except (Exception, SystemExit) as error:
                _warn(name, error)
        return cls(made)

    def attach(self, model: keras.Model, params: Mapping[str, int | None], modes: Mapping[str, str]) -> None:
        """Pass the model to the trackers, the numbers of epochs and steps, and the directions of the metrics."""
        for name, tracker in list(self._trackers.items()):
            with self._failures(name):
                set_direction(tracker, modes)
                tracker.set_params(dict(params))
                tracker.set_model(model)

    def finish(self, run: Run) -> None:
        """Notify the trackers that the run ended, with or without success."""
        for name, tracker in list(self._trackers.items()):
            with self._failures(name):
                if hasattr(tracker, "on_run_end"):
                    tracker.on_run_end(run)

    def dispatch(self, event: str, *arguments: Any, logs: Mapping[str, float] | None = None) -> None:
        """Call a method of every tracker, each with its own copy of the logs."""
        for name, tracker in list(self._trackers.items()):
            with self._failures(name):
                call(tracker, event, arguments, dict(logs or {}))

    @contextlib.contextmanager
    def _failures(self, name: str) -> Iterator[None]:
        """Remove a tracker that fails."""
        try:
            yield
        except (Exception, SystemExit) as error:
            del self._trackers[name]
            _warn(name, error)


def _warn(name: str, error: BaseException) -> None:
    warnings.warn(
        f"Tracker {name!r} failed and is ignored for the rest of the run: {one_line(error)}",
        ZooWarning,
        stacklevel=3,
    )
