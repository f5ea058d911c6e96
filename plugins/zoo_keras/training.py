"""Base of the trainings: a Keras model, its optimizer, and the averages that it keeps."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from typing import TYPE_CHECKING

from zoo import SteppedTraining

if TYPE_CHECKING:
    from collections.abc import Iterator

    import keras


class KerasTraining(SteppedTraining):
    """A training of a Keras model with a Keras optimizer."""

    @property
    @abstractmethod
    def optimizer(self) -> keras.optimizers.Optimizer:
        """The optimizer, built."""


@contextlib.contextmanager
def averaged_weights(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """Give a model the averages that its optimizer keeps, if it keeps any, for the length of a block."""
    if not optimizer.use_ema:
        yield
        return
    import keras

    variables = model.trainable_variables
    own = [keras.ops.copy(variable.value) for variable in variables]
    optimizer.finalize_variable_values(variables)
    try:
        yield
    finally:
        for variable, value in zip(variables, own, strict=True):
            variable.assign(value)
