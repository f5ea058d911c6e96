"""The model that is exported: from the pixels that a user has to probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

    from zoo.interfaces import Trainer


def inference_model(model: keras.Model, trainer: Trainer, input_shape: tuple[int, int, int]) -> keras.Model:
    """Return a model from uint8 images ``(n, *input_shape)`` to the probabilities that ``trainer.predict`` returns.

    Args:
        model: A model of float32 images in [0, 1].
        trainer: The trainer whose predictions are meant.
        input_shape: Height, width and channels.
    """
    import keras

    images = keras.Input(input_shape, dtype="uint8", name="images")
    scaled = keras.layers.Rescaling(1 / 255, dtype="float32", name="scale_pixels")(images)
    probabilities = keras.layers.Identity(dtype="float32", name="probabilities")(trainer.inference(model, scaled))
    return keras.Model(images, probabilities, name="inference")
