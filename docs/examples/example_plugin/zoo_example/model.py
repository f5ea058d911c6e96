"""A model is a function that builds one. Its keyword arguments are its settings."""

import keras
from keras import layers


def build(input_shape: tuple[int, int, int], num_classes: int, *, units: int = 64, dropout: float = 0.0) -> keras.Model:
    """Return a network with one hidden layer of so many units."""
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Flatten(),
            layers.Dense(units, activation="relu"),
            layers.Dropout(dropout),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )
