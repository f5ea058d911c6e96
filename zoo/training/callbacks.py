"""The callbacks of a run: notify them, save and restore their states."""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooWarning
from zoo.runs.records import CallbackRecord
from zoo.training import keras_callbacks
from zoo.training.callback_calls import call, errors_of, flat
from zoo.training.callback_state import restore_state, state_of
from zoo.training.epoch_logs import added_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import keras

    from zoo.training.trackers import Trackers


class CallbackList:
    """The callbacks of a run. One that fails stops the run, with an error that names it.

    A callback whose decisions depend on earlier epochs or steps can be resumed with the run: its ``state()`` returns
    a dictionary of numbers, strings, booleans and None, which a later process passes to its ``restore(state)``.
    Keras's own callbacks need neither method.

    Args:
        callbacks: The callbacks, by the qualified names of their entries. The members of a
            `keras.callbacks.CallbackList` are called one after another.
        model: The model being trained.
        trackers: The run's trackers. They receive the same events, but cannot affect the run.
        params: What Keras calls a callback's ``params``: the number of epochs and of steps per epoch.
        modes: Whether the largest (``"max"``) or smallest value is best, for each metric in the logs of an epoch.

    Raises:
        PluginError: A callback fails, or cannot be used with this model.
    """

    def __init__(
        self,
        callbacks: Mapping[str, keras.callbacks.Callback],
        model: keras.Model,
        trackers: Trackers | None = None,
        *,
        params: Mapping[str, int | None] | None = None,
        modes: Mapping[str, str] | None = None,
    ) -> None:
        """Attach the model to the callbacks."""
        self._callbacks = flat(callbacks)
        self._model = model
        self._trackers = trackers
        self._to_check = set(self._callbacks)  # those whose monitored metric has not been seen
        params, modes = {"verbose": 0, "epochs": 1, "steps": None, **(params or {})}, modes or {}
        for name, callback in self._callbacks.items():
            keras_callbacks.check_usable(name, callback, model)
            keras_callbacks.set_direction(callback, modes)
            if modes:
                keras_callbacks.warn_of_unknown(name, callback, modes)
            for event, argument in (("set_params", params), ("set_model", model)):
                with errors_of(name, f"run {event}"):
                    getattr(callback, event)(argument)
        if trackers is not None:
            trackers.attach(model, params, modes)

    def dispatch(self, event: str, *arguments: Any, logs: Mapping[str, float] | None = None) -> dict[str, float]:
        """Call a method of all callbacks, then of the trackers: ``dispatch("on_epoch_end", 0, logs=logs)``.

        Returns:
            What the callbacks added to the logs at the end of an epoch.

        Raises:
            PluginError: A callback failed, added something other than a finite number, or monitors a metric that is
                not in the logs.
        """
        known: dict[str, Any] = dict(logs or {})
        added: dict[str, float] = {}
        for name, callback in self._callbacks.items():
            with errors_of(name, f"run {event}"), self._checks_monitor(name, event, known):
                call(callback, event, arguments, known)
            if event == "on_epoch_end":
                new = {key: added_value(name, key, known[key]) for key in known if key not in (logs or {})}
                added |= new
                known |= new
        if self._trackers is not None:
            wants_to_stop = getattr(self._model, "stop_training", False)
            self._trackers.dispatch(event, *arguments, logs=known)
            self._model.stop_training = wants_to_stop
        return added

    def state(self) -> dict[str, CallbackRecord]:
        """Return the state of each callback, by qualified name."""
        states: dict[str, CallbackRecord] = {}
        for name, callback in self._callbacks.items():
            with errors_of(name, "return its state"):
                states[name] = CallbackRecord(kind=type(callback).__name__, state=state_of(callback))
        return states

    def restore(self, states: Mapping[str, CallbackRecord]) -> None:
        """Restore the state of each callback. Warn about those that have changed since."""
        for name in states.keys() - self._callbacks.keys():
            _warn_of_change(name, "It is gone")
        for name, callback in self._callbacks.items():
            record = states.get(name)
            if record is None or record.kind != type(callback).__name__:
                _warn_of_change(name, "It starts over")
                continue
            with errors_of(name, "restore its state"):
                restore_state(callback, record.state)

    @contextlib.contextmanager
    def _checks_monitor(self, name: str, event: str, logs: Mapping[str, Any]) -> Iterator[None]:
        """Check that the metric that a callback monitors is in the logs of the first epoch."""
        if event != "on_epoch_end" or name not in self._to_check:
            yield
            return
        self._to_check.discard(name)
        try:
            yield
        except Exception:  # Keras does not know the direction of a metric that does not exist
            keras_callbacks.check_monitored(name, self._callbacks[name], logs)
            raise
        keras_callbacks.check_monitored(name, self._callbacks[name], logs)


def _warn_of_change(name: str, effect: str) -> None:
    warnings.warn(
        f"The callback {name} has changed since the run was stopped. {effect}, so the results may differ from those of "
        "an uninterrupted run.",
        ZooWarning,
        stacklevel=3,
    )
