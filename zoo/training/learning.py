"""How a model learns: what a recipe's optimizer, schedule, loss and augmentations make for a trainer."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from zoo.errors import PluginError
from zoo.interfaces import Learning
from zoo.recipes.components import instantiate
from zoo.utils.plugin_errors import plugin_errors

if TYPE_CHECKING:
    import keras

    from zoo.recipes.components import Component
    from zoo.recipes.resolution import ResolvedRecipe


_TRIED = 8  # parts of a training, at whose ends the rate is computed before it starts


def learning_of(recipe: ResolvedRecipe) -> Learning | None:
    """Return how the model of a recipe learns, or None if its trainer uses no registered optimizer.

    The result can be sent to other processes.
    """
    if recipe.optimizer is None or recipe.schedule is None or recipe.loss is None:
        return None
    return Learning(
        optimizer=partial(make_optimizer, recipe.optimizer),
        learning_rate=recipe.optimizer.settings["learning_rate"],
        schedule=partial(make_schedule, recipe.schedule),
        loss=partial(make_loss, recipe.loss),
        augmentations=tuple(partial(make_augmentation, component) for component in recipe.augmentations),
    )


def make_optimizer(component: Component, learning_rate: Any) -> keras.optimizers.Optimizer:
    """Return an optimizer with a learning rate: a number or a Keras schedule."""
    import keras

    expected = keras.optimizers.Optimizer
    return instantiate(component, expected, "must return a keras.optimizers.Optimizer", learning_rate=learning_rate)


def make_schedule(component: Component, learning_rate: float, epochs: int, steps_per_epoch: int) -> Any:
    """Return the learning rate of a schedule: a number or a Keras schedule.

    Raises:
        PluginError: It is neither, or not a finite number of at least 0 in one of the steps that are tried.
    """
    import keras

    with plugin_errors(component.title, "initialize"):
        made = component.make(learning_rate, epochs, steps_per_epoch)
    if not callable(made):
        if not hasattr(made, "__float__"):
            raise PluginError(
                f"The {component.title} must return a number, or a function of the step. Received: {made!r:.200}",
                plugin=component.plugin,
            )
        with plugin_errors(component.title, "initialize"):
            made = float(made)  # Keras's optimizers take no other number
    elif not isinstance(made, keras.optimizers.schedules.LearningRateSchedule):
        made = _of_function(made)
    steps = epochs * steps_per_epoch
    for step in sorted({round(i * max(steps - 1, 0) / _TRIED) for i in range(_TRIED + 1)}):
        rate_at(component, made, step, steps)
    return made


def rate_at(component: Component, made: Any, step: int, steps: int) -> float:
    """Return the rate in a step, of all steps, of what `make_schedule` returned.

    Raises:
        PluginError: It fails, or is not a finite number of at least 0.
    """
    with plugin_errors(component.title, f"compute the rate of step {step}"):
        rate = float(made(step)) if callable(made) else float(made)
    if not 0 <= rate < math.inf:
        raise PluginError(
            f"The {component.title} must give a finite learning rate of at least 0 in each step. "
            f"Received: {rate:g} in step {step} of {steps}",
            plugin=component.plugin,
        )
    return rate


def _of_function(function: Any) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return a Keras schedule that calls a function with the step, a float32 scalar tensor."""
    import keras

    class Schedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]  # Keras ships no types
        def __call__(self, step: Any) -> Any:
            return function(keras.ops.cast(step, "float32"))

        def get_config(self) -> dict[str, Any]:
            return {}

    return Schedule()


def make_loss(component: Component) -> keras.losses.Loss:
    """Return a loss for one-hot labels and probabilities."""
    import keras

    return instantiate(component, keras.losses.Loss, "must return a keras.losses.Loss")


def make_augmentation(component: Component, shape: tuple[int, int, int]) -> keras.layers.Layer:
    """Return the layer of an augmentation for images of a shape.

    Raises:
        PluginError: It cannot be made, fails, or returns something else than images of that shape.
    """
    import keras

    layer = instantiate(component, keras.layers.Layer, "must return a keras.layers.Layer", shape)
    try:
        changed = layer(keras.KerasTensor((None, *shape), "float32"), training=True)
    except Exception:  # Keras puts its own message before the layer's
        with plugin_errors(component.title, "change images"):
            changed = layer(keras.ops.zeros((1, *shape)), training=True)
    found = getattr(changed, "shape", None)
    if found is None or tuple(found)[1:] != shape:
        raise PluginError(
            f"The {component.title} must return images of the shape that it is given, {shape}. "
            f"Received: {changed if found is None else tuple(found)[1:]!r:.200}",
            plugin=component.plugin,
        )
    return layer
