"""The callbacks of a run: notify them, attribute their errors to their plugins, save and restore their states."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import msgspec

from zoo.errors import ZooWarning
from zoo.runs.records import CallbackRecord, CallbackState
from zoo.training.trackers import Trackers
from zoo.utils.plugin_errors import plugin_errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import keras

_KERAS_CALLBACK_STATE = {
    "EarlyStopping": ("best", "best_epoch", "stopped_epoch", "wait"),
    "ModelCheckpoint": ("best",),
    "ReduceLROnPlateau": ("best", "cooldown_counter", "wait"),
}
"""The attributes in which Keras's callbacks keep the state that they decide by."""


class CallbackList:
    """The callbacks of a run. One that fails stops the run, with an error that names its plugin.

    A callback whose decisions depend on earlier epochs or steps can be resumed with the run: its ``state()`` returns
    a dictionary of numbers, strings, booleans and None, which a later process passes to its ``restore(state)``.
    Keras's ``EarlyStopping``, ``ModelCheckpoint`` and ``ReduceLROnPlateau`` need neither method.

    Args:
        callbacks: Lists of callbacks, by plugin.
        model: The model being trained.
        trackers: The run's trackers. They receive the same events, but cannot affect the run.
    """

    def __init__(
        self,
        callbacks: Mapping[str, Sequence[keras.callbacks.Callback]],
        model: keras.Model,
        trackers: Trackers | None = None,
    ) -> None:
        """Attach the model to the callbacks."""
        import keras

        self._callbacks = {plugin: list(several) for plugin, several in callbacks.items()}
        self._lists = {
            plugin: keras.callbacks.CallbackList(several, model=model) for plugin, several in self._callbacks.items()
        }
        self._trackers = trackers or Trackers({})
        self._trackers.set_model(model)

    def dispatch(self, event: str, *arguments: Any) -> None:
        """Call a method of all callbacks, then of the trackers: ``dispatch("on_epoch_begin", 0)``."""
        for plugin, callbacks in self._lists.items():
            with plugin_errors(_title(plugin), f"run {event}"):
                getattr(callbacks, event)(*arguments)
        self._trackers.dispatch(event, *arguments)

    def state(self) -> dict[str, list[CallbackRecord]]:
        """Return the state of each callback, by plugin."""
        states: dict[str, list[CallbackRecord]] = {}
        for plugin, callbacks in self._callbacks.items():
            with plugin_errors(_title(plugin), "return their state"):
                states[plugin] = [
                    CallbackRecord(kind=type(callback).__name__, state=_state_of(callback)) for callback in callbacks
                ]
        return states

    def restore(self, states: Mapping[str, Sequence[CallbackRecord]]) -> None:
        """Restore the state of each callback."""
        for plugin in sorted(set(states) | set(self._callbacks)):
            callbacks, kept = self._callbacks.get(plugin, []), states.get(plugin, [])
            if [record.kind for record in kept] != [type(callback).__name__ for callback in callbacks]:
                warnings.warn(
                    f"The {_title(plugin)} have changed since the run was stopped. They start over, so the results may "
                    "differ from those of an uninterrupted run.",
                    ZooWarning,
                    stacklevel=2,
                )
                continue
            with plugin_errors(_title(plugin), "restore their state"):
                for callback, record in zip(callbacks, kept, strict=True):
                    _restore(callback, record.state)


def _title(plugin: str) -> str:
    return f"callbacks of plugin {plugin!r}"


def _state_of(callback: keras.callbacks.Callback) -> CallbackState:
    if _is_stateful(callback):
        state = callback.state()
    else:
        values = {name: _plain(getattr(callback, name, None)) for name in _state_attributes(callback)}
        state = {name: value for name, value in values.items() if value is not None}
    try:
        state = msgspec.convert(state, CallbackState)
        if not all(math.isfinite(value) for value in state.values() if isinstance(value, float)):
            raise ValueError("a number is NaN or infinite")
    except (msgspec.ValidationError, ValueError) as error:
        raise TypeError(
            f"the state of {type(callback).__name__} must be a dictionary of numbers, strings, booleans and None: "
            f"{error}. Received: {state!r:.200}"
        ) from error
    return state


def _restore(callback: keras.callbacks.Callback, state: CallbackState) -> None:
    if _is_stateful(callback):
        callback.restore(state)
    else:
        for name in _state_attributes(callback):
            if name in state:
                setattr(callback, name, state[name])


def _is_stateful(callback: keras.callbacks.Callback) -> bool:
    return all(callable(getattr(callback, name, None)) for name in ("state", "restore"))


def _state_attributes(callback: keras.callbacks.Callback) -> list[str]:
    import keras

    return [
        name
        for kind, names in _KERAS_CALLBACK_STATE.items()
        if isinstance(callback, getattr(keras.callbacks, kind))
        for name in names
    ]


def _plain(value: Any) -> float | int | None:
    """Convert a number to a Python number; return None if it is not a number or not finite."""
    value = value.item() if hasattr(value, "item") else value
    return value if isinstance(value, int | float) and math.isfinite(value) else None
