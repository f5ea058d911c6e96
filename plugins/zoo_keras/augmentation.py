"""Random changes to training images, each image's own.

Flips and shifts are Keras's layers. Erasing is ours: `keras.layers.RandomErasing` takes almost twice as long
(`pytest tests/benchmarks/test_augmentation.py`).
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


def random_changes(shape: tuple[int, int, int], *, shift: int, flip: bool, erase: float) -> list[keras.layers.Layer]:
    """Return layers that change images of a shape while training, and do nothing otherwise.

    Args:
        shape: Height, width and channels.
        shift: Most pixels that an image is moved, up or down and left or right; what comes in is 0.
        flip: Whether half of the images are flipped left to right.
        erase: Share of the images in which `Erasing` replaces a rectangle.
    """
    changes: list[keras.layers.Layer] = []
    if flip:
        changes.append(keras.layers.RandomFlip("horizontal", dtype="float32"))
    if shift:
        # rounded to the nearest pixel, each whole number of pixels is as likely as another
        factors = [(shift + 0.5) / size for size in shape[:2]]
        changes.append(
            keras.layers.RandomTranslation(*factors, fill_mode="constant", interpolation="nearest", dtype="float32")
        )
    if erase:
        changes.append(Erasing(erase))
    return changes


class Erasing(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """Replaces a rectangle by noise in some images while training (Zhong et al., arXiv:1708.04896).

    The rectangle has about 2 to 33 % of the area; of very small images it may have no pixel.

    Args:
        share: Of the images, 0 to 1.
    """

    def __init__(self, share: float) -> None:
        """Make a source of random numbers; a trainer seeds it for each epoch."""
        super().__init__(dtype="float32")
        self._share = share
        self.seed_generator = keras.random.SeedGenerator(0)

    def call(self, images: Any, training: bool | None = None) -> Any:
        """Return the images, ``(n, height, width, channels)`` in [0, 1], changed if training."""
        if not training:
            return images
        return ops.where(self._rectangles(images), self._uniform(ops.shape(images)), images)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the images, which stays."""
        return input_shape

    def _uniform(self, shape: Any, low: float = 0.0, high: float = 1.0) -> Any:
        return keras.random.uniform(shape, low, high, dtype="float32", seed=self.seed_generator)

    def _per_image(self, images: Any, low: float = 0.0, high: float = 1.0) -> Any:
        return self._uniform((ops.shape(images)[0], 1, 1, 1), low, high)

    def _rectangles(self, images: Any) -> Any:
        """Return where to erase, ``(n, height, width, 1)``: a rectangle in some of the images."""
        _, height, width, _ = images.shape
        area = self._per_image(images, 0.02, 0.33) * (height * width)
        ratio = ops.exp(self._per_image(images, -1.2, 1.2))  # height to width, from 0.3 to 3.3
        high, wide = ops.sqrt(area * ratio), ops.sqrt(area / ratio)
        top = self._per_image(images) * ops.maximum(height - high, 0.0)
        left = self._per_image(images) * ops.maximum(width - wide, 0.0)
        rows = ops.reshape(ops.arange(height, dtype="float32") + 0.5, (1, height, 1, 1))
        columns = ops.reshape(ops.arange(width, dtype="float32") + 0.5, (1, 1, width, 1))
        inside = (rows >= top) & (rows < top + high) & (columns >= left) & (columns < left + wide)
        return inside & (self._per_image(images) < self._share)
