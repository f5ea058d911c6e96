"""Callbacks that decide by a validation metric: Keras's own, with typed settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from zoo import SettingError

if TYPE_CHECKING:
    import keras

    from zoo import RunContext


def early_stopping(
    run: RunContext,
    monitor: str | None = None,
    patience: Annotated[int, Meta(ge=0)] = 5,
    min_delta: Annotated[float, Meta(ge=0)] = 0.0,
    start_from_epoch: Annotated[int, Meta(ge=0)] = 0,
) -> keras.callbacks.Callback:
    """End training when a validation metric has stopped improving. The best epoch is kept in any case.

    Args:
        run: The run.
        monitor: The metric; None for the one that selects the best epoch.
        patience: Epochs without improvement after which training ends.
        min_delta: Smallest change that counts as an improvement.
        start_from_epoch: Epochs to wait first.
    """
    import keras

    return keras.callbacks.EarlyStopping(
        monitor=_logged(run, monitor), patience=patience, min_delta=min_delta, start_from_epoch=start_from_epoch
    )


def plateau(
    run: RunContext,
    monitor: str | None = None,
    patience: Annotated[int, Meta(ge=0)] = 3,
    factor: Annotated[float, Meta(gt=0, lt=1)] = 0.1,
    min_delta: Annotated[float, Meta(ge=0)] = 1e-4,
    cooldown: Annotated[int, Meta(ge=0)] = 0,
    min_learning_rate: Annotated[float, Meta(ge=0)] = 0.0,
) -> keras.callbacks.Callback:
    """Lower the learning rate when a validation metric has stopped improving. Needs the schedule ``constant``.

    Args:
        run: The run.
        monitor: The metric; None for the one that selects the best epoch.
        patience: Epochs without improvement after which the rate is lowered.
        factor: What it is multiplied by.
        min_delta: Smallest change that counts as an improvement.
        cooldown: Epochs to wait after a reduction.
        min_learning_rate: Lower limit of the rate.
    """
    import keras

    return keras.callbacks.ReduceLROnPlateau(
        monitor=_logged(run, monitor),
        patience=patience,
        factor=factor,
        min_delta=min_delta,
        cooldown=cooldown,
        min_lr=min_learning_rate,
    )


def _logged(run: RunContext, monitor: str | None) -> str:
    """Return the name under which a validation metric reaches callbacks."""
    if not run.settings["validation"]:
        raise SettingError(
            "This callback needs validation images, and the run has none. Set 'validation' to their number, or remove "
            "the callback. Received: validation=0",
            name="validation",
            value=0,
        )
    return f"val_{run.settings['monitor'] if monitor is None else monitor.removeprefix('val_')}"
