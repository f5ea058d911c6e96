"""Learning rate schedules. Each returns the rate for a peak, a number of epochs and a number of steps per epoch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras

Share = Annotated[float, Meta(ge=0, lt=1)]
Fraction = Annotated[float, Meta(ge=0, le=1)]


def constant(learning_rate: float, epochs: int, steps_per_epoch: int) -> float:
    """Return the learning rate itself."""
    return learning_rate


def one_cycle(
    learning_rate: float, epochs: int, steps_per_epoch: int, warmup_fraction: Share = 0.25
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return a linear warm-up from 0, then a cosine decay to 0 (Smith, arXiv:1803.09820).

    Args:
        learning_rate: The peak.
        epochs: Number of epochs.
        steps_per_epoch: Number of steps per epoch.
        warmup_fraction: Share of the steps used for the warm-up.
    """
    from keras.optimizers.schedules import CosineDecay

    steps = epochs * steps_per_epoch
    rising = min(round(warmup_fraction * steps), steps - 1)  # at least the last step decays
    if not rising:
        return CosineDecay(learning_rate, steps)
    return CosineDecay(0.0, steps - rising, warmup_target=learning_rate, warmup_steps=rising)


def cosine(
    learning_rate: float,
    epochs: int,
    steps_per_epoch: int,
    warmup_epochs: Annotated[float, Meta(ge=0)] = 0.0,
    restarts: Annotated[int, Meta(ge=0)] = 0,
    final_fraction: Fraction = 0.0,
) -> Any:
    """Return a cosine decay, with a linear warm-up from 0 and warm restarts (Loshchilov and Hutter, arXiv:1608.03983).

    Args:
        learning_rate: The peak.
        epochs: Number of epochs.
        steps_per_epoch: Number of steps per epoch.
        warmup_epochs: Epochs of the warm-up.
        restarts: How often the rate returns to its peak; the cycles have the same length.
        final_fraction: Share of the peak at the end of each cycle.
    """
    from keras import ops

    def falling(done: Any, steps: float) -> Any:
        cycle = steps / (restarts + 1)
        done = ops.minimum(done, steps)
        # the very last step ends its cycle rather than starting another
        position = ops.minimum(done - cycle * ops.minimum(ops.floor(done / cycle), float(restarts)), cycle) / cycle
        return final_fraction + (1.0 - final_fraction) * 0.5 * (1.0 + ops.cos(position * math.pi))

    return _after_warmup(learning_rate, epochs * steps_per_epoch, warmup_epochs * steps_per_epoch, falling)


def step(
    learning_rate: float,
    epochs: int,
    steps_per_epoch: int,
    milestones: tuple[Annotated[float, Meta(gt=0)], ...] = (),
    factor: Annotated[float, Meta(gt=0)] = 0.1,
) -> Any:
    """Return a rate that is multiplied by a factor at each milestone.

    Args:
        learning_rate: The rate at the start.
        epochs: Number of epochs.
        steps_per_epoch: Number of steps per epoch.
        milestones: Completed epochs at which the rate changes.
        factor: What it is multiplied by.
    """
    from keras import ops

    bounds = [milestone * steps_per_epoch for milestone in milestones]

    def rate(step: Any) -> Any:
        passed = sum((ops.cast(step >= bound, "float32") for bound in bounds), 0.0)
        return learning_rate * ops.power(factor, passed)

    return rate if bounds else learning_rate


def linear(
    learning_rate: float,
    epochs: int,
    steps_per_epoch: int,
    warmup_epochs: Annotated[float, Meta(ge=0)] = 0.0,
    final_fraction: Fraction = 0.0,
) -> Any:
    """Return a rate that falls linearly, with a linear warm-up from 0.

    Args:
        learning_rate: The peak.
        epochs: Number of epochs.
        steps_per_epoch: Number of steps per epoch.
        warmup_epochs: Epochs of the warm-up.
        final_fraction: Share of the peak at the end.
    """
    from keras import ops

    def falling(done: Any, steps: float) -> Any:
        return 1.0 - (1.0 - final_fraction) * ops.minimum(done / steps, 1.0)

    return _after_warmup(learning_rate, epochs * steps_per_epoch, warmup_epochs * steps_per_epoch, falling)


def _after_warmup(peak: float, steps: float, warmup: float, falling: Callable[[Any, float], Any]) -> Any:
    """Return a rate that rises linearly from 0 to a peak, and then is a share of it.

    Args:
        peak: The peak.
        steps: Number of steps.
        warmup: Number of steps of the warm-up.
        falling: Returns the share from the steps since the warm-up, and their number.
    """
    from keras import ops

    rising = min(warmup, steps - 1.0)

    def rate(step: Any) -> Any:
        share = falling(ops.maximum(step - rising, 0.0), steps - rising)
        return peak * ops.where(step < rising, step / max(rising, 1.0), share)

    return rate
