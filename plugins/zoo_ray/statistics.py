"""Which of a model's variables are statistics of the batches that it was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def statistics_of(model: keras.Model) -> list[keras.Variable]:
    """Return what layers may change themselves in a step: moving averages, and nothing that is frozen."""
    import keras

    return [
        variable
        for layer in model._flatten_layers()  # the public names leave out layers within layers
        # one that is adapted to data before the training keeps what it found
        if layer.trainable and not isinstance(layer, keras.layers.Normalization)
        for variable in layer._non_trainable_variables  # its own: the public name has those of layers within it
        if "float" in str(variable.dtype)
    ]
