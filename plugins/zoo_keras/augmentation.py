"""Random changes to training images, each image's own.

Keras's layers for these are general: `RandomTranslation` interpolates, and costs more than the network here. On small
images whole pixels do.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class Augmentation(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """Shifts, flips and erases while training; does nothing otherwise.

    Args:
        shift: Most pixels that an image is moved, up or down and left or right; what comes in is 0.
        flip: Whether half of the images are flipped left to right.
        erase: Share of the images in which a rectangle of about 2 to 33 % of the area is replaced by noise (Zhong et
            al., arXiv:1708.04896); of very small images it may have no pixel.
    """

    def __init__(self, *, shift: int, flip: bool, erase: float) -> None:
        """Make a source of random numbers; a trainer seeds it for each epoch."""
        super().__init__(dtype="float32")
        self._shift, self._flip, self._erase = shift, flip, erase
        self.seed_generator = keras.random.SeedGenerator(0)

    def call(self, images: Any, training: bool | None = None) -> Any:
        """Return the images, ``(n, height, width, channels)`` in [0, 1], changed if training."""
        if not training:
            return images
        if self._flip:
            images = ops.where(self._chance(images, 0.5), ops.flip(images, axis=2), images)
        if self._shift:
            images = self._shifted(self._shifted(images, axis=1), axis=2)
        if self._erase:
            images = ops.where(self._rectangles(images), self._uniform(ops.shape(images)), images)
        return images

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the images, which stays."""
        return input_shape

    def _uniform(self, shape: Any, low: float = 0.0, high: float = 1.0) -> Any:
        return keras.random.uniform(shape, low, high, dtype="float32", seed=self.seed_generator)

    def _per_image(self, images: Any, low: float = 0.0, high: float = 1.0) -> Any:
        return self._uniform((ops.shape(images)[0], 1, 1, 1), low, high)

    def _chance(self, images: Any, share: float) -> Any:
        return self._per_image(images) < share

    def _shifted(self, images: Any, axis: int) -> Any:
        """Return images moved along an axis: the one of 2 * shift + 1 slices that was drawn for each."""
        shift, size = self._shift, images.shape[axis]
        padding = [(0, 0)] * 4
        padding[axis] = (shift, shift)
        padded = ops.pad(images, padding)
        drawn = ops.floor(self._per_image(images, 0.0, 2 * shift + 1))
        moved = ops.zeros_like(images)
        for offset in range(2 * shift + 1):
            index = [slice(None)] * 4
            index[axis] = slice(offset, offset + size)
            moved = ops.where(drawn == offset, padded[tuple(index)], moved)
        return moved

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
        return inside & self._chance(images, self._erase)
