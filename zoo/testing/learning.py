"""Checks of optimizers, schedules, losses, augmentations, metrics and callbacks."""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import CheckFailedError, PluginError, ZooError
from zoo.interfaces import RunContext, Split, TrainingConfig
from zoo.models import weights
from zoo.recipes import resolution
from zoo.recipes.components import component_settings, default_component
from zoo.registry.kinds import KINDS
from zoo.testing.common import RECIPE, SHAPE, SHAPES, Checks, Subject, noise, require, settings, small_model, trainer
from zoo.training.callback_calls import check_callback, make_callback
from zoo.training.callbacks import CallbackList
from zoo.training.learning import learning_of, make_augmentation, make_loss, make_optimizer, make_schedule
from zoo.training.loop import train
from zoo.training.metrics import compute_metrics
from zoo.utils.plugin_errors import plugin_errors
from zoo.utils.text import close_names, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras

_EPOCHS = 3

_STEPS = 7  # per epoch

_BEYOND = 0.5  # how far an augmentation's values may be outside [0, 1], for example through noise

_MIXES = "mix_labels"  # the method of an augmentation's layer that also changes labels


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
    first, again = _trained(subject), _trained(subject)
    require(
        weights.encode(first) == weights.encode(again),
        f"{subject.title}: two trainings with the same seed differ: depend on nothing but the gradients and the step.",
    )
    require(
        any(map(_differs, first.trainable_variables, small_model().trainable_variables)),
        f"{subject.title}: no weight changes in {_EPOCHS} epochs: apply the gradients.",
    )


def gives_rates(subject: Subject) -> None:
    """Require a finite rate of at least 0 in each step, and one above 0 in some step."""
    component = default_component(subject.registered)
    made = make_schedule(component, 0.5, _EPOCHS, _STEPS)
    largest = 0.0
    for step in range(_EPOCHS * _STEPS):
        rate = _rate_at(subject, made, step) if callable(made) else made
        require(
            math.isfinite(rate) and rate >= 0,
            f"{subject.title}: its rate must be finite and at least 0 in each step. Received: rate={rate:g} in step "
            f"{step}, counted from 0",
        )
        largest = max(largest, rate)
    require(
        largest > 0,
        f"{subject.title}: its rate is 0 in all of {_EPOCHS * _STEPS} steps, so nothing is learned: return a rate "
        "above 0 for some of them. Received: rate=0 in each step, for learning_rate=0.5",
    )


def trains_with_rates(subject: Subject) -> None:
    """Require rates that can be computed in a compiled training step."""
    gives_rates(subject)  # so that what fails below fails only when compiled
    try:
        _trained(subject)
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


def keeps_shapes(subject: Subject) -> None:
    """Require finite images of the same shape, type and range, unchanged outside of training."""
    import keras
    import numpy as np

    component = default_component(subject.registered)
    for shape in SHAPES:
        images = (noise(shape, 2, 8).images / 255).astype(np.float32)
        layer = make_augmentation(component, shape)
        with plugin_errors(component.title, "change images"):
            net = keras.Sequential([keras.Input(shape), layer])
            changed, same = (np.asarray(net(images, training=training)) for training in (True, False))
        require(
            changed.shape == images.shape and changed.dtype == images.dtype,
            f"{subject.title}: for images {images.shape} float32, it must return the same shape and type. "
            f"Received: {changed.shape} {changed.dtype}",
        )
        faulty = int((~np.isfinite(changed)).sum())
        require(
            not faulty,
            f"{subject.title}: it makes pixels NaN or infinite: check what it divides by, and its logarithms and "
            f"powers. Received: {faulty} of {changed.size} values are NaN or infinite",
        )
        low, high = float(changed.min()), float(changed.max())
        require(
            low >= -_BEYOND and high <= 1 + _BEYOND,
            f"{subject.title}: it must return images in [0, 1], or at most {_BEYOND} beyond: images are scaled to "
            f"[0, 1] before, so use no values up to 255. Received: values from {low:.3g} to {high:.3g}",
        )
        require(
            np.array_equal(same, images),
            f"{subject.title}: it changes images outside of training: return them unchanged unless training is True.",
        )


def has_methods_that_are_called(subject: Subject) -> None:
    """Require that no method of the layer has a name close to, but not, ``mix_labels``."""
    import keras

    layer = make_augmentation(default_component(subject.registered), SHAPES[0])
    if hasattr(layer, _MIXES):
        return
    own = sorted({*dir(type(layer))} - {*dir(keras.layers.Layer)})
    for name in own:
        close = close_names(name, [_MIXES], cutoff=0.85)
        require(
            not close,
            f"{subject.title}: its layer has a method {name!r}, which zoo does not call.{did_you_mean(close)} Rename "
            f"it. Received: method={name!r}",
        )


def trains_the_same_again(subject: Subject) -> None:
    """Require the same weights from two trainings with the same seed."""
    first, again = _trained(subject), _trained(subject, other_draws=True)
    require(
        weights.encode(first) == weights.encode(again),
        f"{subject.title}: two trainings with the same seed differ: draw random numbers with a "
        "keras.random.SeedGenerator of the layer, and with nothing else.",
    )


def measures(subject: Subject) -> None:
    """Require a finite number that is better for perfect predictions than for wrong ones."""
    import numpy as np

    metric = default_component(subject.registered)
    labels = np.arange(30) % 10
    perfect = 0.91 * np.eye(10)[labels] + 0.01
    perfect /= perfect.sum(axis=1, keepdims=True)
    good, bad = (
        compute_metrics(predicted, labels, [metric]).others[metric.name]
        for predicted in (perfect, np.roll(perfect, 5, axis=1))
    )
    require(
        good > bad if metric.mode == "max" else good < bad,
        f"{subject.title}: perfect predictions have {good:.4g} and wrong ones {bad:.4g}, but its entry says "
        f"mode={metric.mode!r}: set mode='{'min' if metric.mode == 'max' else 'max'}' or correct the metric.",
    )


def attaches(subject: Subject) -> None:
    """Require a Keras callback that runs for an epoch and can be resumed, unless its ``check`` says what to install."""
    component = default_component(subject.registered)
    try:
        check_callback(component.title, component.target)
    except ZooError as error:
        if error.__cause__ is not None:  # its code failed
            raise
        return  # the message says what to install
    examples = noise(SHAPE, 3)
    split = Split(train=examples, validation=examples, test=examples, class_names=("a", "b", "c"))
    with tempfile.TemporaryDirectory() as folder:
        context = RunContext(
            path=Path(folder),
            recipe="check",
            settings=resolution.resolve(subject.registry, RECIPE, {}).settings(),
            class_names=split.class_names,
            id="check",
        )
        callback = make_callback(component, context)
        config = TrainingConfig(epochs=1, batch_size=16, seed=0)
        model, callbacks = small_model(), {component.qualified_name: callback}
        train(trainer(subject.registry), model, split, config, callbacks=callbacks)
        several = CallbackList(callbacks, model)
        several.restore(several.state())


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


def _trained(subject: Subject, *, other_draws: bool = False) -> keras.Model:
    """Return a model trained with a component and the defaults for the others.

    Args:
        subject: The component.
        other_draws: Whether random numbers are drawn first, which must not matter.
    """
    import keras

    model, examples = small_model(), noise(SHAPE, 3)
    if other_draws:
        keras.random.normal((7,))
    split = Split(train=examples, test=examples, class_names=("a", "b", "c"))
    recipe = replace(resolution.resolve(subject.registry, RECIPE, {}), **_chosen(subject))
    config = TrainingConfig(epochs=_EPOCHS, batch_size=16, seed=0, learning=learning_of(recipe))
    train(trainer(subject.registry), model, split, config)
    return model


def _chosen(subject: Subject) -> dict[str, Any]:
    """Return the component that is checked, as the fields of a recipe."""
    component = default_component(subject.registered)
    kind = KINDS[component.kind]
    return {kind.choice: (component,) if kind.recipe == "many" else component}


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

AUGMENTATION: Checks = {
    **_SETTINGS,
    "changes images only in training, and keeps their shape": keeps_shapes,
    "methods have the names that zoo calls": has_methods_that_are_called,
    "seed determines the result": trains_the_same_again,
}
"""The checks of an augmentation, by requirement."""

METRIC: Checks = {**_SETTINGS, "is better for better predictions": measures}
"""The checks of a metric, by requirement."""

CALLBACK: Checks = {**_SETTINGS, "returns a Keras callback that runs and resumes, or says what to install": attaches}
"""The checks of a callback, by requirement."""
