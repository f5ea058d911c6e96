"""How a model learns: what a recipe's optimizer, schedule, loss and augmentations make for a trainer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from zoo.interfaces import Learning
from zoo.recipes.components import instantiate
from zoo.utils.plugin_errors import plugin_errors

if TYPE_CHECKING:
    import keras

    from zoo.recipes.components import Component
    from zoo.recipes.resolution import ResolvedRecipe


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
    """Return the learning rate of a schedule: a number or a Keras schedule."""
    import keras

    with plugin_errors(component.title, "initialize"):
        made = component.make(learning_rate, epochs, steps_per_epoch)
    if callable(made) and not isinstance(made, keras.optimizers.schedules.LearningRateSchedule):
        return _of_function(made)
    return made


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
    """Return the layer of an augmentation for images of a shape."""
    import keras

    return instantiate(component, keras.layers.Layer, "must return a keras.layers.Layer", shape)
