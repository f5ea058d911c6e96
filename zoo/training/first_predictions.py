"""A look at what an untrained model predicts, before an epoch is spent on one that does not predict probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.data.examples import scale_pixels
from zoo.errors import PluginError
from zoo.training.metrics import check_probabilities, names_model
from zoo.utils.plugin_errors import plugin_errors

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

    from zoo.interfaces import Examples, Trainer
    from zoo.recipes.components import Component

_IMAGES = 4


def check_first_predictions(
    trainer: Trainer, model: keras.Model, train: Examples, num_classes: int, component: Component
) -> None:
    """Raise `PluginError` if a model does not predict probabilities for the first training images.

    The model is called without being compiled, and without changing any of its variables or a random state, so that the
    training is the same to the last bit. Only if what it returns are no probabilities is the trainer asked, whose
    `predict` may turn them into some.

    Args:
        trainer: The trainer.
        model: The model, built and not yet trained.
        train: The training examples.
        num_classes: Number of classes.
        component: The model's component, to name it.
    """
    import random

    import numpy as np

    images, _ = train[np.arange(min(_IMAGES, len(train)))]
    states = random.getstate(), np.random.get_state()
    try:
        if not _are_probabilities(_called(model, images), num_classes):
            before = [(variable, np.array(variable)) for variable in model.non_trainable_variables]
            with names_model(component), plugin_errors(component.title, "predict the first training images"):
                predicted = np.asarray(trainer.predict(model, images)).astype(np.float64)
                check_probabilities(predicted, (len(images), num_classes), is_finite=True)
            for variable, value in before:
                variable.assign(value)
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def _called(model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float64] | None:
    """Return what a model returns for images, or None if it cannot be called in this way."""
    import keras
    import numpy as np

    try:
        predicted, _ = model.stateless_call(
            [variable.value for variable in model.trainable_variables],
            [variable.value for variable in model.non_trainable_variables],
            scale_pixels(images),
            training=False,
        )
        return np.asarray(keras.ops.convert_to_numpy(predicted)).astype(np.float64)
    except Exception:  # a layer that creates variables when it is called, or one that needs a compiled call
        return None


def _are_probabilities(predicted: NDArray[np.float64] | None, num_classes: int) -> bool:
    if predicted is None:
        return True  # unknown: training tells
    try:
        check_probabilities(predicted, (len(predicted), num_classes), is_finite=True)
    except PluginError:
        return False
    return True
