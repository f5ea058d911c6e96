"""The callbacks of a run: notify them, attribute their errors to them, save and restore their states."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import msgspec

from zoo.errors import ZooWarning
from zoo.recipes.components import instantiate
from zoo.runs.records import CallbackRecord, CallbackState
from zoo.utils.plugin_errors import plugin_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    import keras

    from zoo.interfaces import RunContext
    from zoo.recipes.components import Component
    from zoo.training.trackers import Trackers

_KERAS_CALLBACK_STATE = {
    "EarlyStopping": ("best", "best_epoch", "stopped_epoch", "wait"),
    "ModelCheckpoint": ("best",),
    "ReduceLROnPlateau": ("best", "cooldown_counter", "wait"),
}
"""The attributes in which Keras's callbacks keep the state that they decide by."""


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

    return instantiate(
        component,
        keras.callbacks.Callback,
        "must return a keras.callbacks.Callback",
        *([context] if component.takes_context() else []),
    )


class CallbackList:
    """The callbacks of a run. One that fails stops the run, with an error that names it.

    A callback whose decisions depend on earlier epochs or steps can be resumed with the run: its ``state()`` returns
    a dictionary of numbers, strings, booleans and None, which a later process passes to its ``restore(state)``.
    Keras's ``EarlyStopping``, ``ModelCheckpoint`` and ``ReduceLROnPlateau`` need neither method.

    Args:
        callbacks: The callbacks, by the qualified names of their entries.
        model: The model being trained.
        trackers: The run's trackers. They receive the same events, but cannot affect the run.
    """

    def __init__(
        self,
        callbacks: Mapping[str, keras.callbacks.Callback],
        model: keras.Model,
        trackers: Trackers | None = None,
    ) -> None:
        """Attach the model to the callbacks."""
        import keras

        self._callbacks = dict(callbacks)
        self._lists = {
            name: keras.callbacks.CallbackList([callback], model=model) for name, callback in callbacks.items()
        }
        self._trackers = trackers
        if trackers is not None:
            trackers.set_model(model)

    def dispatch(self, event: str, *arguments: Any) -> None:
        """Call a method of all callbacks, then of the trackers: ``dispatch("on_epoch_begin", 0)``."""
        for name, several in self._lists.items():
            with plugin_errors(_title(name), f"run {event}"):
                getattr(several, event)(*arguments)
        if self._trackers is not None:
            self._trackers.dispatch(event, *arguments)

    def state(self) -> dict[str, CallbackRecord]:
        """Return the state of each callback, by qualified name."""
        states: dict[str, CallbackRecord] = {}
        for name, callback in self._callbacks.items():
            with plugin_errors(_title(name), "return its state"):
                states[name] = CallbackRecord(kind=type(callback).__name__, state=_state_of(callback))
        return states

    def restore(self, states: Mapping[str, CallbackRecord]) -> None:
        """Restore the state of each callback."""
        for name, callback in self._callbacks.items():
            record = states.get(name)
            if record is None or record.kind != type(callback).__name__:
                warnings.warn(
                    f"The {_title(name)} has changed since the run was stopped. It starts over, so the results may "
                    "differ from those of an uninterrupted run.",
                    ZooWarning,
                    stacklevel=2,
                )
                continue
            with plugin_errors(_title(name), "restore its state"):
                _restore(callback, record.state)


def _title(name: str) -> str:
    return f"callback {name}"


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
