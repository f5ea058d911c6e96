"""Distillation: a trained model predicts a part of each label (Hinton et al., arXiv:1503.02531)."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
from keras import ops

import zoo
from zoo import SettingError


class Teacher(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """Passes images on, and changes their labels towards a model's predictions for them.

    Args:
        model: The model. Its weights are not those of the layer, so they are neither trained nor saved.
        weight: Share of each label that is the prediction.
    """

    def __init__(self, model: keras.Model, weight: float) -> None:
        """Store the model."""
        super().__init__(dtype="float32")
        self._predict: Any = partial(model, training=False)  # Keras does not track what a function refers to
        self._weight = weight

    def call(self, images: Any, training: bool | None = None) -> Any:
        """Return the images, ``(n, height, width, channels)``, unchanged."""
        # used by the same step's loss, which is traced with this call
        self._predicted: Any = ops.stop_gradient(ops.cast(self._predict(images), "float32")) if training else None
        return images

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the images, which does not change."""
        return input_shape

    def mix_labels(self, labels: Any) -> Any:
        """Return labels ``(n, num_classes)`` mixed with the predictions for the images of the last call in training."""
        if self._predicted is None:
            return labels
        return (1.0 - self._weight) * labels + self._weight * self._predicted


def load_teacher(run: str, image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Return the model of a run.

    Raises:
        SettingError: It has another image size or number of classes.
        ZooError: There is no such run, or its model cannot be loaded.
    """
    loaded = zoo.load(run)
    shape, classes = tuple(loaded.run.record.data.input_shape), len(loaded.class_names)
    if (shape, classes) != (image_shape, num_classes):
        raise SettingError(
            f"The teacher must take images {image_shape} and know {num_classes} classes, like the data. Choose another "
            f"run. Received: trainer.teacher={run!r}, with images {shape} and {classes} classes",
            name="trainer.teacher",
            value=run,
        )
    return loaded.model
