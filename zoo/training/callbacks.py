"""The callbacks of all plugins during a run: told of what happens, blamed for their own faults, resumed with it."""

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
"""Where Keras's own callbacks keep what they decide by."""


class CallbackList:
    """The callbacks of a run, by plugin; one that fails stops the run with the name of its plugin.

    A callback that decides by what it has seen can be resumed with the run: its ``state()`` returns a dictionary of
    numbers, texts, truth values and None, which a later process gives to its ``restore(state)``. Keras's
    ``EarlyStopping``, ``ModelCheckpoint`` and ``ReduceLROnPlateau`` need neither.

    Args:
        callbacks: By plugin.
        model: What they are about.
        trackers: Are told too; what they do has no part in the run.
    """

    def __init__(
        self,
        callbacks: Mapping[str, Sequence[keras.callbacks.Callback]],
        model: keras.Model,
        trackers: Trackers | None = None,
    ) -> None:
        """Introduce the model to the callbacks."""
        import keras

        self._callbacks = {plugin: list(several) for plugin, several in callbacks.items()}
        self._lists = {
            plugin: keras.callbacks.CallbackList(several, model=model) for plugin, several in self._callbacks.items()
        }
        self._trackers = trackers or Trackers({})
        self._trackers.set_model(model)

    def dispatch(self, event: str, *arguments: Any) -> None:
        """Call a method of all callbacks and then of the trackers: ``tell("on_epoch_begin", 0)``."""
        for plugin, callbacks in self._lists.items():
            with plugin_errors(_title(plugin), f"do {event}"):
                getattr(callbacks, event)(*arguments)
        self._trackers.dispatch(event, *arguments)

    def state(self) -> dict[str, list[CallbackRecord]]:
        """Return what each callback would have restored."""
        states: dict[str, list[CallbackRecord]] = {}
        for plugin, callbacks in self._callbacks.items():
            with plugin_errors(_title(plugin), "give their state"):
                states[plugin] = [
                    CallbackRecord(kind=type(callback).__name__, state=_state_of(callback)) for callback in callbacks
                ]
        return states

    def restore(self, states: Mapping[str, Sequence[CallbackRecord]]) -> None:
        """Give each callback what it asked to keep."""
        for plugin in sorted(set(states) | set(self._callbacks)):
            callbacks, kept = self._callbacks.get(plugin, []), states.get(plugin, [])
            if [record.kind for record in kept] != [type(callback).__name__ for callback in callbacks]:
                warnings.warn(
                    f"The {_title(plugin)} are others than before, so the run may end otherwise than it would have.",
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
            f"the state of {type(callback).__name__} must be a dictionary of numbers, texts, truth values and None: "
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
    """Return a number as Python's, None if it is none or not finite yet."""
    value = value.item() if hasattr(value, "item") else value
    return value if isinstance(value, int | float) and math.isfinite(value) else None
