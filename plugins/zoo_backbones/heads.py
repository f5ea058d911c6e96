"""The classifier on top of each network."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers


def classify(
    name: str, images: Any, features: Any, num_classes: int, *, dropout: float, momentum: float | None = None
) -> keras.Model:
    """Return a model that ends with dropout and a dense layer with softmax, named ``predictions``.

    Args:
        name: Name of the model.
        images: Its input.
        features: ``(batch, channels)``.
        num_classes: Number of classes.
        dropout: Dropout rate.
        momentum: Momentum of all batch normalizations; None for what they have.
    """
    features = layers.Dropout(dropout, name="top_dropout")(features)
    # the probabilities stay float32 under mixed precision
    probabilities = layers.Dense(num_classes, activation="softmax", dtype="float32", name="predictions")(features)
    model = keras.Model(images, probabilities, name=name)
    if momentum is not None:
        for layer in model.layers:
            if isinstance(layer, layers.BatchNormalization):
                layer.momentum = momentum
    return model


def pool(features: Any) -> Any:
    """Return the means of feature maps, ``(batch, channels)``."""
    return layers.GlobalAveragePooling2D(name="avg_pool")(features)
