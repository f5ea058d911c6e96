"""The state that a callback's decisions depend on: read it for a checkpoint, and restore it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from zoo.runs.records import CallbackState

if TYPE_CHECKING:
    import keras

_KERAS_CALLBACK_STATE = {
    "EarlyStopping": ("best", "best_epoch", "stopped_epoch", "wait"),
    "ModelCheckpoint": ("best", "_batches_seen_since_last_saving", "_last_batch_seen"),
    "OrbaxCheckpoint": ("best", "_batches_seen_since_last_saving", "_last_batch_seen", "_total_batches_seen"),
    "ReduceLROnPlateau": ("best", "cooldown_counter", "wait"),
    "SwapEMAWeights": ("_ema_weights_in_model",),
    "TensorBoard": ("_global_train_batch", "_global_test_batch"),
}
"""The attributes in which Keras's callbacks keep the state that they decide by."""


def state_of(callback: keras.callbacks.Callback) -> CallbackState:
    """Return the state of a callback: of its method ``state``, or of Keras's own attributes.

    Raises:
        TypeError: It is not a dictionary of finite numbers, strings, booleans and None.
    """
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


def restore_state(callback: keras.callbacks.Callback, state: CallbackState) -> None:
    """Restore a state that `state_of` returned."""
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
        if isinstance(callback, getattr(keras.callbacks, kind, ()))
        for name in names
    ]


def _plain(value: Any) -> float | int | None:
    """Convert a number to a Python number; return None if it is not a number or not finite."""
    value = value.item() if hasattr(value, "item") else value
    return value if isinstance(value, int | float) and math.isfinite(value) else None
