"""Trainings with one component and the defaults for the others, as the checks of components need them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from zoo.interfaces import Split, TrainingConfig
from zoo.recipes import resolution
from zoo.recipes.components import default_component
from zoo.registry.kinds import KINDS
from zoo.testing.common import RECIPE, SHAPE, Subject, noise, small_model, trainer
from zoo.training.learning import learning_of
from zoo.training.loop import train

if TYPE_CHECKING:
    import keras

EPOCHS = 3
"""Epochs of a training."""


def trained(subject: Subject, *, other_draws: bool = False) -> keras.Model:
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
    config = TrainingConfig(epochs=EPOCHS, batch_size=16, seed=0, learning=learning_of(recipe))
    train(trainer(subject.registry), model, split, config)
    return model


def _chosen(subject: Subject) -> dict[str, Any]:
    """Return the component that is checked, as the fields of a recipe."""
    component = default_component(subject.registered)
    kind = KINDS[component.kind]
    return {kind.choice: (component,) if kind.recipe == "many" else component}
