"""Checks of optimizers, schedules and losses."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import CheckFailedError, PluginError
from zoo.models import weights
from zoo.recipes.components import component_settings, default_component
from zoo.testing.common import Checks, Subject, require, settings, small_model
from zoo.testing.training import EPOCHS, trained
from zoo.training.learning import make_loss, make_optimizer, make_schedule
from zoo.utils.plugin_errors import plugin_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras

_STEPS = 7  # per epoch


def has_learning_rate(subject: Subject) -> None:
    """Require a setting ``learning_rate`` that is a number above 0, and that the optimizer uses what it is given."""
    import keras
    import numpy as np

    specs = component_settings(subject.registered)
    spec = specs.get("optimizer.learning_rate")
    if spec is None or not isinstance(spec.default, float) or spec.default <= 0:
        raise CheckFailedError(
            f"{subject.title}: its target needs a parameter learning_rate with a default above 0: the recipe's "
            "schedule sets it."
        )
    rate = spec.default / 2
    given = {f"{rate:g}": rate, f"a Keras schedule from {rate:g}": keras.optimizers.schedules.CosineDecay(rate, 100)}
    for what, learning_rate in given.items():
        made = make_optimizer(default_component(subject.registered), learning_rate)
        used = float(np.asarray(made.learning_rate))
        require(
            math.isclose(used, rate, rel_tol=1e-4),
            f"{subject.title}: the optimizer must use the learning rate that its target is called with: pass "
            f"learning_rate to it unchanged. Received: learning_rate={used:g} instead of {what}",
        )


def trains(subject: Subject) -> None:
    """Require finite weights that change, and the same for the same seed."""
    first, again = trained(subject), trained(subject)
    require(
        weights.encode(first) == weights.encode(again),
        f"{subject.title}: two trainings with the same seed differ: depend on nothing but the gradients and the step.",
    )
    require(
        any(map(_differs, first.trainable_variables, small_model().trainable_variables)),
        f"{subject.title}: no weight changes in {EPOCHS} epochs: apply the gradients.",
    )


def gives_rates(subject: Subject) -> None:
    """Require a finite rate of at least 0 in each step, and one above 0 in some step."""
    component = default_component(subject.registered)
    made = make_schedule(component, 0.5, EPOCHS, _STEPS)
    largest = 0.0
    for step in range(EPOCHS * _STEPS):
        rate = _rate_at(subject, made, step) if callable(made) else made
        require(
            math.isfinite(rate) and rate >= 0,
            f"{subject.title}: its rate must be finite and at least 0 in each step. Received: rate={rate:g} in step "
            f"{step}, counted from 0",
        )
        largest = max(largest, rate)
    require(
        largest > 0,
        f"{subject.title}: its rate is 0 in all of {EPOCHS * _STEPS} steps, so nothing is learned: return a rate "
        "above 0 for some of them. Received: rate=0 in each step, for learning_rate=0.5",
    )


def trains_with_rates(subject: Subject) -> None:
    """Require rates that can be computed in a compiled training step."""
    gives_rates(subject)  # so that what fails below fails only when compiled
    try:
        trained(subject)
    except PluginError as error:
        if error.__cause__ is None:  # no code failed
            raise
        where = "" if error.file is None else f" ({Path(error.file).name}, line {error.line})"
        raise CheckFailedError(
            f"{subject.title}: its rate cannot be computed in a training step, which is compiled, so the step is a "
            "tensor without a value: use keras.ops.where and other functions of keras.ops on it, not Python's `if` or "
            f"`math`. Received: {type(error.__cause__).__name__}{where}"
        ) from error


def prefers_the_truth(subject: Subject) -> None:
    """Require a finite loss that is lower for better predictions."""
    import numpy as np

    component = default_component(subject.registered)
    loss = make_loss(component)
    truth = np.eye(3, dtype=np.float32)
    good, bad = ((share * truth + (1 - share) / 3).astype(np.float32) for share in (0.9, 0.1))
    with plugin_errors(component.title, "compute a loss"):
        each = np.asarray(loss.call(truth, truth))
        values = [float(np.asarray(loss(truth, predicted))) for predicted in (good, bad)]
    require(
        each.shape == (len(truth),),
        f"{subject.title}: its method `call` must return one value for each image, so that images can be weighted: "
        f"average over the last axis alone. Received: shape={each.shape} for {len(truth)} images",
    )
    require(
        all(map(math.isfinite, values)) and values[0] < values[1],
        f"{subject.title}: for one-hot labels and probabilities, its value must be lower for better predictions. "
        f"Received: {values[0]:.3g} for good and {values[1]:.3g} for bad ones",
    )


def _rate_at(subject: Subject, function: Callable[[int], Any], step: int) -> float:
    """Return the rate that a schedule's function returns for a step; require a single number."""
    import numpy as np

    with plugin_errors(default_component(subject.registered).title, f"return the rate of step {step}"):
        given = function(step)
        rate = np.asarray(given)
    require(
        rate.shape == () and rate.dtype.kind not in "OSU",
        f"{subject.title}: its function must return one number for each step. Received: {given!r:.100} in step {step}, "
        "counted from 0",
    )
    return float(rate)


def _differs(one: keras.Variable, other: keras.Variable) -> bool:
    import numpy as np

    return not np.array_equal(np.asarray(one), np.asarray(other))


_SETTINGS = {"settings have types and valid defaults": settings}

OPTIMIZER: Checks = {
    **_SETTINGS,
    "has a learning rate": has_learning_rate,
    "trains, and the same again": trains,
}
"""The checks of an optimizer, by requirement."""

SCHEDULE: Checks = {**_SETTINGS, "gives a rate for each step": gives_rates, "trains": trains_with_rates}
"""The checks of a schedule, by requirement."""

LOSS: Checks = {**_SETTINGS, "is lower for better predictions": prefers_the_truth}
"""The checks of a loss, by requirement."""
