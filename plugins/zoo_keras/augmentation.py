"""Random changes to training images, each image's own, and to labels where images are mixed.

Flips and shifts are Keras's layers. Erasing is ours: `keras.layers.RandomErasing` takes almost twice as long
(`pytest tests/benchmarks/test_augmentation.py`). So is CutMix: `keras.layers.CutMix` mixes every image, of sizes that
vary from batch to batch rather than from image to image, and needs labels beside the images.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


def random_changes(
    shape: tuple[int, int, int], *, shift: int, flip: bool, erase: float, cutmix: float
) -> list[keras.layers.Layer]:
    """Return layers that change images of a shape while training, and do nothing otherwise.

    Args:
        shape: Height, width and channels.
        shift: Most pixels that an image is moved, up or down and left or right; what comes in is 0.
        flip: Whether half of the images are flipped left to right.
        erase: Share of the images in which `Erasing` replaces a rectangle.
        cutmix: Share of the images in which `CutMix` does.
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
    if cutmix:
        changes.append(CutMix(cutmix))
    return changes


def cross_entropy(net: keras.Model, *, label_smoothing: float) -> keras.losses.Loss:
    """Return the loss of a network that may begin with `random_changes`, for probabilities and one-hot labels."""
    mixing = next((layer for layer in net.layers if isinstance(layer, CutMix)), None)
    if mixing is None:
        return keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing)
    return _MixedCrossEntropy(mixing, label_smoothing=label_smoothing)


class _Changing(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """Changes a share of the images while training."""

    def __init__(self, share: float) -> None:
        """Make a source of random numbers; a trainer seeds it for each epoch."""
        super().__init__(dtype="float32")
        self._share = share
        self.seed_generator = keras.random.SeedGenerator(0)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the images, which stays."""
        return input_shape

    def _uniform(self, shape: Any, low: float = 0.0, high: float = 1.0) -> Any:
        return keras.random.uniform(shape, low, high, dtype="float32", seed=self.seed_generator)

    def _per_image(self, images: Any, low: float = 0.0, high: float = 1.0) -> Any:
        return self._uniform((ops.shape(images)[0], 1, 1, 1), low, high)

    def _chosen(self, images: Any) -> Any:
        """Return which images to change, ``(n, 1, 1, 1)``."""
        return self._per_image(images) < self._share


class Erasing(_Changing):
    """Replaces a rectangle by noise in some images while training (Zhong et al., arXiv:1708.04896).

    The rectangle has about 2 to 33 % of the area; of very small images it may have no pixel.

    Args:
        share: Of the images, 0 to 1.
    """

    def call(self, images: Any, training: bool | None = None) -> Any:
        """Return the images, ``(n, height, width, channels)`` in [0, 1], changed if training."""
        if not training:
            return images
        return ops.where(self._rectangles(images), self._uniform(ops.shape(images)), images)

    def _rectangles(self, images: Any) -> Any:
        """Return where to erase, ``(n, height, width, 1)``: a rectangle in some of the images."""
        _, height, width, _ = images.shape
        area = self._per_image(images, 0.02, 0.33) * (height * width)
        ratio = ops.exp(self._per_image(images, -1.2, 1.2))  # height to width, from 0.3 to 3.3
        high, wide = ops.sqrt(area * ratio), ops.sqrt(area / ratio)
        top = self._per_image(images) * ops.maximum(height - high, 0.0)
        left = self._per_image(images) * ops.maximum(width - wide, 0.0)
        return _inside(images, top, left, high, wide) & self._chosen(images)


class CutMix(_Changing):
    """Replaces a rectangle by that of another image in some images while training (Yun et al., arXiv:1905.04899).

    The other is as far from the batch's end as the image from its beginning. Rectangles are of the image's shape, their
    share of its area is uniform from 0 to 1, and so is where their middle is; what is outside the image is cut off.

    Args:
        share: Of the images, 0 to 1.
    """

    def call(self, images: Any, training: bool | None = None) -> Any:
        """Return the images, ``(n, height, width, channels)``, changed if training."""
        # of each image, (n, 1): for the loss of the same step, which is traced with this call
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

    def mixed(self, labels: Any) -> Any:
        """Return one-hot labels ``(n, num_classes)`` of the images of the last call, by the area that each has."""
        return labels * (1.0 - self._replaced) + ops.flip(labels, axis=0) * self._replaced


class _MixedCrossEntropy(keras.losses.CategoricalCrossentropy):  # type: ignore[misc]  # Keras ships no types
    """Cross-entropy for the labels that images have after `CutMix`; it belongs to one network, in training."""

    def __init__(self, mixing: CutMix, *, label_smoothing: float) -> None:
        super().__init__(label_smoothing=label_smoothing)
        self._mixing = mixing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return super().call(self._mixing.mixed(ops.cast(y_true, "float32")), y_pred)


def _inside(images: Any, top: Any, left: Any, high: Any, wide: Any) -> Any:
    """Return which pixels are in each image's rectangle, ``(n, height, width, 1)``."""
    _, height, width, _ = images.shape
    rows = ops.reshape(ops.arange(height, dtype="float32") + 0.5, (1, height, 1, 1))
    columns = ops.reshape(ops.arange(width, dtype="float32") + 0.5, (1, 1, width, 1))
    return (rows >= top) & (rows < top + high) & (columns >= left) & (columns < left + wide)
