"""The variables of a model that are batch statistics, such as moving averages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def statistics_of(model: keras.Model) -> list[keras.Variable]:
    """Return the variables that layers update themselves in a step: moving averages, except of frozen layers."""
    import keras

    return [
        variable
        for layer in model._flatten_layers()  # the public API omits nested layers
        # it is adapted to the data before training, and keeps its statistics
        if layer.trainable and not isinstance(layer, keras.layers.Normalization)
        for variable in layer._non_trainable_variables  # its own: the public property includes those of nested layers
        if "float" in str(variable.dtype)
    ]
