"""Layers of augmentations that Keras does not have, or has in a slower or different form.

Erasing is our own layer because `keras.layers.RandomErasing` takes almost twice as long (`pytest
tests/benchmarks/test_augmentation.py`). So are CutMix and MixUp: Keras's mix every image, draw once per batch, and need
labels alongside the images.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the brightness of a color (ITU-R BT.601)."""


class Changing(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """Base of layers that change a share of the images during training."""

    def __init__(self, share: float) -> None:
        """Create a seed generator, which the trainer seeds for each epoch."""
        super().__init__(dtype="float32")
        self._share = share
        self.seed_generator = keras.random.SeedGenerator(0)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the images, which does not change."""
        return input_shape

    def _uniform(self, shape: Any, low: float = 0.0, high: float = 1.0) -> Any:
        return keras.random.uniform(shape, low, high, dtype="float32", seed=self.seed_generator)

    def _per_image(self, images: Any, low: float = 0.0, high: float = 1.0) -> Any:
        return self._uniform((ops.shape(images)[0], 1, 1, 1), low, high)

    def _chosen(self, images: Any) -> Any:
        """Return which images to change, ``(n, 1, 1, 1)``."""
        return self._per_image(images) < self._share


class Erasing(Changing):
    """Replaces a rectangle with noise in some training images (Zhong et al., arXiv:1708.04896).

    The rectangle covers about 2 to 33 % of the area; in very small images it may not contain a single pixel.

    Args:
        share: Share of the images, 0 to 1.
    """

    def call(self, images: Any, training: bool | None = None) -> Any:
        """Return the images, ``(n, height, width, channels)`` in [0, 1], with rectangles erased during training."""
        if not training:
            return images
        return ops.where(self._rectangles(images), self._uniform(ops.shape(images)), images)

    def _rectangles(self, images: Any) -> Any:
        """Return a mask of the pixels to erase, ``(n, height, width, 1)``: a rectangle in some of the images."""
        _, height, width, _ = images.shape
        area = self._per_image(images, 0.02, 0.33) * (height * width)
        ratio = ops.exp(self._per_image(images, -1.2, 1.2))  # height to width, from 0.3 to 3.3
        high, wide = ops.sqrt(area * ratio), ops.sqrt(area / ratio)
        top = self._per_image(images) * ops.maximum(height - high, 0.0)
        left = self._per_image(images) * ops.maximum(width - wide, 0.0)
        return _inside(images, top, left, high, wide) & self._chosen(images)


class CutMix(Changing):
    """Replaces a rectangle with that of another image in some training images (Yun et al., arXiv:1905.04899).

    Image i from the start of a batch is mixed with image i from its end. Rectangles have the aspect ratio of the image,
    their share of its area is uniform from 0 to 1, and their center is uniform over the image; parts outside the image
    are cut off.

    Args:
        share: Share of the images, 0 to 1.
    """

    def call(self, images: Any, training: bool | None = None) -> Any:
        """Return the images, ``(n, height, width, channels)``, with rectangles replaced during training."""
        # replaced share of each image, (n, 1): used by the same step's loss, which is traced with this call
        self._replaced: Any = 0.0
        if not training:
            return images
        _, height, width, _ = images.shape
        side = ops.sqrt(self._per_image(images))
        high, wide = side * height, side * width
        top = self._per_image(images) * height - high / 2
        left = self._per_image(images) * width - wide / 2
        inside = _inside(images, top, left, high, wide) & self._chosen(images)
        self._replaced = ops.mean(ops.cast(inside, "float32"), axis=(1, 2))
        return ops.where(inside, ops.flip(images, axis=0), images)

    def mix_labels(self, labels: Any) -> Any:
        """Return labels ``(n, num_classes)`` for the images of the last call, mixed in proportion to their areas."""
        return labels * (1.0 - self._replaced) + ops.flip(labels, axis=0) * self._replaced


class MixUp(Changing):
    """Blends each image with another (Zhang et al., arXiv:1710.09412).

    Image i from the start of a batch is blended with image i from its end. The larger share is the image's own.

    Args:
        alpha: Both parameters of the beta distribution of the shares.
    """

    def __init__(self, alpha: float) -> None:
        """Store the parameter."""
        super().__init__(1.0)
        self._alpha = alpha

    def call(self, images: Any, training: bool | None = None) -> Any:
        """Return the images, ``(n, height, width, channels)``, blended during training."""
        # share of the other image, (n, 1): used by the same step's loss, which is traced with this call
        self._other: Any = 0.0
        if not training:
            return images
        count = ops.shape(images)[0]
        share = keras.random.beta((count, 1, 1, 1), self._alpha, self._alpha, seed=self.seed_generator)
        share = ops.minimum(share, 1.0 - share)
        self._other = ops.reshape(share, (-1, 1))
        return images * (1.0 - share) + ops.flip(images, axis=0) * share

    def mix_labels(self, labels: Any) -> Any:
        """Return labels ``(n, num_classes)`` for the images of the last call, blended as they are."""
        return labels * (1.0 - self._other) + ops.flip(labels, axis=0) * self._other


class Cutout(Changing):
    """Replaces a square by 0 in every training image (DeVries and Taylor, arXiv:1708.04552).

    Its center is uniform over the image, so a part of it may lie outside.

    Args:
        size: Side of the square in pixels.
    """

    def __init__(self, size: int) -> None:
        """Store the size."""
        super().__init__(1.0)
        self._size = size

    def call(self, images: Any, training: bool | None = None) -> Any:
        """Return the images, ``(n, height, width, channels)``, with a square replaced during training."""
        if not training:
            return images
        _, height, width, _ = images.shape
        top = self._per_image(images) * height - self._size / 2
        left = self._per_image(images) * width - self._size / 2
        return ops.where(_inside(images, top, left, self._size, self._size), 0.0, images)


class ColorJitter(Changing):
    """Changes brightness and contrast of each training image and, if it has color, saturation and hue.

    Args:
        image_shape: Height, width and channels of the images.
        brightness: Maximum change, as a share of the range.
        contrast: Maximum change, as a share.
        saturation: Maximum change, as a share.
        hue: Maximum change, as a share of the color circle.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], brightness: float, contrast: float, saturation: float, hue: float
    ) -> None:
        """Store the maximum changes."""
        super().__init__(1.0)
        self._has_color = image_shape[-1] == 3
        self._brightness, self._contrast, self._saturation, self._hue = brightness, contrast, saturation, hue

    def call(self, images: Any, training: bool | None = None) -> Any:
        """Return the images, ``(n, height, width, channels)`` in [0, 1], with other colors during training."""
        if not training:
            return images
        images = images + self._per_image(images, -self._brightness, self._brightness)
        mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
        images = mean + (images - mean) * self._per_image(images, 1 - self._contrast, 1 + self._contrast)
        if self._has_color:
            gray = ops.sum(images * ops.convert_to_tensor(LUMA), axis=-1, keepdims=True)
            images = gray + (images - gray) * self._per_image(images, 1 - self._saturation, 1 + self._saturation)
            images = _turned(images, self._per_image(images, -self._hue, self._hue))
        return ops.clip(images, 0.0, 1.0)


def _turned(images: Any, turns: Any) -> Any:
    """Return color images with hues turned around the gray axis by a share of the circle for each image."""
    angle = turns * 6.283185307179586
    cosine, sine, third = ops.cos(angle), ops.sin(angle), 1.0 / 3.0
    red, green, blue = (images[..., at : at + 1] for at in range(3))
    own = cosine + third * (1.0 - cosine)
    one, other = (third * (1.0 - cosine) + sign * sine / 3.0**0.5 for sign in (-1.0, 1.0))
    return ops.concatenate(
        [
            own * red + one * green + other * blue,
            other * red + own * green + one * blue,
            one * red + other * green + own * blue,
        ],
        axis=-1,
    )


def _inside(images: Any, top: Any, left: Any, high: Any, wide: Any) -> Any:
    """Return a mask of the pixels inside each image's rectangle, ``(n, height, width, 1)``."""
    _, height, width, _ = images.shape
    rows = ops.reshape(ops.arange(height, dtype="float32") + 0.5, (1, height, 1, 1))
    columns = ops.reshape(ops.arange(width, dtype="float32") + 0.5, (1, 1, width, 1))
    return (rows >= top) & (rows < top + high) & (columns >= left) & (columns < left + wide)
