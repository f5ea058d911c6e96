"""What zoo tells Keras's own callbacks, and where they cannot be used."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from zoo.errors import PluginError, SettingError, ZooWarning
from zoo.training.learning import make_schedule
from zoo.utils.text import close_names, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import keras

    from zoo.recipes.resolution import ResolvedRecipe

_UNSUPPORTED = {
    "BackupAndRestore": "zoo itself saves checkpoints and resumes runs, and continues at the right epoch. Remove the "
    "callback, and stop and resume the run with `zoo resume`",
}
"""Keras's callbacks that cannot work here, with the cure."""

_OF_OPTIMIZER = ("LearningRateScheduler", "ReduceLROnPlateau", "SwapEMAWeights")
_OF_RATE = ("LearningRateScheduler", "ReduceLROnPlateau")
_MONITORING = ("EarlyStopping", "ModelCheckpoint", "OrbaxCheckpoint", "ReduceLROnPlateau")
_NOT_CALLED = ("on_test_batch_begin", "on_test_batch_end")


def set_direction(callback: keras.callbacks.Callback, modes: Mapping[str, str]) -> None:
    """Set the ``mode`` of a callback that monitors a metric, if it is ``"auto"``.

    Keras looks for the direction in the metrics of a compiled model, which has none, or not all of the run's.

    Args:
        callback: Any callback.
        modes: Whether each metric's largest (``"max"``) or smallest value is best, by its name in the logs.
    """
    if not _is_one_of(callback, *_MONITORING) or callback.mode != "auto":
        return
    if mode := modes.get(callback.monitor):
        callback.mode = mode
    elif monitored(callback) is None:  # it compares no values, but Keras wants to know how all the same
        callback.mode = "min"


def monitored(callback: keras.callbacks.Callback) -> str | None:
    """Return the name of the metric by which one of Keras's callbacks decides; None if it decides by none."""
    if not _is_one_of(callback, *_MONITORING) or not getattr(callback, "save_best_only", True):
        return None
    return str(callback.monitor)


def check_usable(name: str, callback: keras.callbacks.Callback, model: keras.Model) -> None:
    """Check that one of Keras's callbacks can be used in a training that has started.

    Raises:
        PluginError: It cannot be used with zoo, or with the trainer.
    """
    title, plugin, received = f"callback {name}", _plugin(name), f"Received: callback={type(callback).__name__}"
    for unsupported, cure in _UNSUPPORTED.items():
        if _is_one_of(callback, unsupported):
            raise PluginError(f"The {title} cannot be used: {cure}. {received}", plugin=plugin)
    if not _is_one_of(callback, *_OF_OPTIMIZER):
        return
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        raise PluginError(
            f"The {title} needs the model's optimizer, which this trainer keeps to itself. Choose another trainer, "
            f"such as `--trainer fit`, or remove the callback. {received}",
            plugin=plugin,
        )
    if _is_one_of(callback, "SwapEMAWeights") and not _averages(optimizer):
        raise PluginError(
            f"The {title} needs an optimizer that averages the weights. Set `trainer.average_momentum`, for example "
            f"to 0.999, which validates and saves the averages without this callback. {received}, "
            "trainer.average_momentum=0.0",
            plugin=plugin,
        )


def check_schedule(callbacks: Mapping[str, keras.callbacks.Callback], recipe: ResolvedRecipe, steps: int) -> None:
    """Check that no callback of Keras's sets a learning rate that the schedule of a recipe sets in each step.

    Args:
        callbacks: The callbacks, by name.
        recipe: The recipe.
        steps: Number of steps per epoch.

    Raises:
        SettingError: One does.
    """
    setting = [name for name, callback in callbacks.items() if _is_one_of(callback, *_OF_RATE)]
    if not setting or recipe.schedule is None or recipe.optimizer is None:
        return
    rate = make_schedule(recipe.schedule, recipe.optimizer.settings["learning_rate"], recipe.epochs, steps)
    if callable(rate):
        raise SettingError(
            f"The callback {setting[0]} sets the learning rate, but so does the schedule, in each step. Use the "
            "constant schedule (`--schedule constant`), or remove the callback. "
            f"Received: schedule={recipe.schedule.qualified_name}",
            name="schedule",
            value=recipe.schedule.qualified_name,
        )


def with_cure(error: PluginError, cause: BaseException | None) -> PluginError:
    """Return the error of a callback that could not set the learning rate, with zoo's own cure; others unchanged."""
    if not isinstance(cause, TypeError) or "LearningRateSchedule" not in str(cause):
        return error
    return error.with_message(
        f"{error} The schedule sets the rate in each step. Use the constant schedule (`--schedule constant`)."
    )


def warn_of_unknown(name: str, callback: keras.callbacks.Callback, known: Collection[str]) -> None:
    """Warn if a callback monitors a metric that zoo does not compute, or defines an event that zoo does not report."""
    if (monitor := monitored(callback)) is not None and monitor not in known:
        warnings.warn(
            f"The callback {name} monitors {monitor!r}, which zoo does not compute in this run. Unless a callback adds "
            f"it to the logs before, the run ends after the first epoch. {_names(monitor, known)} "
            f"Received: monitor={monitor!r}",
            ZooWarning,
            stacklevel=4,
        )
    events = [event for event in _NOT_CALLED if not _is_keras_own(getattr(callback, event))]
    if events:
        warnings.warn(
            f"The callback {name} has a method {events[0]}, which zoo does not call. Use on_test_begin or on_test_end, "
            f"before and after all validation images. Received: {', '.join(events)}",
            ZooWarning,
            stacklevel=4,
        )


def check_monitored(name: str, callback: keras.callbacks.Callback, logs: Mapping[str, Any]) -> None:
    """Check that the metric that a callback monitors is in the logs of an epoch.

    Raises:
        PluginError: It is not.
    """
    monitor = monitored(callback)
    if monitor is None or monitor in logs:
        return
    cure = "Choose another metric, compute it with `--metric`, or put a callback that adds it first."
    if monitor.startswith("val_") and not any(key.startswith("val_") for key in logs):
        cure = "The run has no validation images. Set 'validation' to their number, or choose another metric."
    raise PluginError(
        f"The callback {name} monitors {monitor!r}, which is not in the logs. {cure} {_names(monitor, logs)} "
        f"Received: monitor={monitor!r}",
        plugin=_plugin(name),
    )


def _names(monitor: str, known: Collection[str]) -> str:
    return f"Available: {', '.join(known)}.{did_you_mean(close_names(monitor, list(known)))}"


def _is_keras_own(method: Any) -> bool:
    return str(getattr(method, "__module__", "")).partition(".")[0] == "keras"


def _plugin(name: str) -> str:
    return name.partition("/")[0]


def _averages(optimizer: Any) -> bool:
    inner = getattr(optimizer, "inner_optimizer", optimizer)  # of a LossScaleOptimizer
    return any(getattr(each, "use_ema", False) for each in getattr(inner, "optimizers", [inner]))


def _is_one_of(callback: keras.callbacks.Callback, *names: str) -> bool:
    """Return whether a callback has one of Keras's classes, or one derived from it."""
    import keras

    return isinstance(
        callback, tuple(getattr(keras.callbacks, name) for name in names if hasattr(keras.callbacks, name))
    )
