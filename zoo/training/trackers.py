"""Trackers: told what happens in a run, for people who watch it elsewhere; none of them can stop or change it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from zoo.errors import PluginError, ZooWarning
from zoo.registry.catalog import resolve
from zoo.utils.plugin_errors import plugin_errors
from zoo.utils.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import keras

    from zoo.interfaces import RunContext
    from zoo.registry.registry import Registry
    from zoo.runs.run_folder import Run


def check_trackers(registry: Registry, names: Iterable[str]) -> tuple[str, ...]:
    """Return the qualified names of trackers, each once, after asking each whether it can be used here.

    Raises:
        UnknownNameError: There is no such tracker.
        AmbiguousNameError: Several plugins register it.
        PluginError: It cannot be imported, says that it cannot be used (something is not installed), or fails to say.
    """
    found = [registry.trackers.get(name) for name in names]
    for registered in found:
        with plugin_errors(f"tracker {registered.qualified_name}", "say whether it can be used"):
            ask(resolve(registered))
    return tuple(dict.fromkeys(registered.qualified_name for registered in found))


def ask(target: object) -> None:
    """Ask the target of a tracker whether it can be used here: its ``check``, if it has one, raises if not."""
    answer = getattr(target, "check", None)
    if answer is not None:
        answer()


class Trackers:
    """The trackers of a run. One that fails is left out from then on, with a warning.

    Args:
        trackers: Callbacks of Keras by what to call them. Those with a method ``on_run_end(run)`` are told of the end
            of the run, when all its files are there, or of its failure.
    """

    def __init__(self, trackers: Mapping[str, keras.callbacks.Callback]) -> None:
        """Hold the trackers."""
        self._trackers = dict(trackers)

    @classmethod
    def of(cls, registry: Registry, context: RunContext) -> Trackers:
        """Return the trackers that a run asks for; one that cannot be made is left out with a warning."""
        import keras

        made: dict[str, keras.callbacks.Callback] = {}
        for name in context.track:
            try:
                check_trackers(registry, [name])
                tracker = resolve(registry.trackers.get(name))(context)
                if not isinstance(tracker, keras.callbacks.Callback):
                    raise PluginError(f"it must be a keras.callbacks.Callback. Received: {tracker!r:.100}")
            except (Exception, SystemExit) as error:
                _warn(name, error)
            else:
                made[name] = tracker
        return cls(made)

    def set_model(self, model: keras.Model) -> None:
        """Introduce the model."""
        self.dispatch("set_model", model)

    def finish(self, run: Run) -> None:
        """Tell of the end of a run, whatever that was."""
        self.dispatch("on_run_end", run)

    def dispatch(self, event: str, *arguments: Any) -> None:
        """Call a method of all trackers that have it."""
        for name, tracker in list(self._trackers.items()):
            try:
                getattr(tracker, event, _ignore)(*arguments)
            except (Exception, SystemExit) as error:
                del self._trackers[name]
                _warn(name, error)


def _ignore(*_: Any) -> None:
    """Stand in for a method that a tracker does not have."""


def _warn(name: str, error: BaseException) -> None:
    warnings.warn(
        f"Tracker {name!r} failed, and the run goes on without it: {one_line(error)}", ZooWarning, stacklevel=3
    )
