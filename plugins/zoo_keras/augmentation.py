"""Random augmentation of training images, drawn for each image, and of labels where images are mixed.

Flips and shifts use Keras's layers. Erasing is our own layer, because `keras.layers.RandomErasing` takes almost twice
as long (`pytest tests/benchmarks/test_augmentation.py`). So is CutMix, because `keras.layers.CutMix` mixes every image,
draws the parameter of the rectangle-size distribution once per batch, and needs labels alongside the images.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


def random_changes(
    shape: tuple[int, int, int], *, shift: int, flip: bool, erase: float, cutmix: float
) -> list[keras.layers.Layer]:
    """Return augmentation layers, which are active only during training.

    Args:
        shape: Height, width and channels of the images.
        shift: Maximum shift in pixels, vertically and horizontally; pixels shifted in are 0.
        flip: Whether to flip half of the images left to right.
        erase: Share of the images in which `Erasing` replaces a rectangle.
        cutmix: Share of the images in which `CutMix` replaces a rectangle.
    """
    changes: list[keras.layers.Layer] = []
    if flip:
        changes.append(keras.layers.RandomFlip("horizontal", dtype="float32"))
    if shift:
        # after rounding to the nearest pixel, every shift by a whole number of pixels is equally likely
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
    """Return the loss for probabilities and one-hot labels of a network that may start with `random_changes`."""
    mixing = next((layer for layer in net.layers if isinstance(layer, CutMix)), None)
    if mixing is None:
        return keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing)
    return _MixedCrossEntropy(mixing, label_smoothing=label_smoothing)


class _Changing(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
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


class Erasing(_Changing):
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


class CutMix(_Changing):
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

    def mixed(self, labels: Any) -> Any:
        """Return labels ``(n, num_classes)`` for the images of the last call, mixed in proportion to their areas."""
        return labels * (1.0 - self._replaced) + ops.flip(labels, axis=0) * self._replaced


class _MixedCrossEntropy(keras.losses.CategoricalCrossentropy):  # type: ignore[misc]  # Keras ships no types
    """Cross-entropy with the labels that `CutMix` mixes, for the training of one network."""

    def __init__(self, mixing: CutMix, *, label_smoothing: float) -> None:
        super().__init__(label_smoothing=label_smoothing)
        self._mixing = mixing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return super().call(self._mixing.mixed(ops.cast(y_true, "float32")), y_pred)


def _inside(images: Any, top: Any, left: Any, high: Any, wide: Any) -> Any:
    """Return a mask of the pixels inside each image's rectangle, ``(n, height, width, 1)``."""
    _, height, width, _ = images.shape
    rows = ops.reshape(ops.arange(height, dtype="float32") + 0.5, (1, height, 1, 1))
    columns = ops.reshape(ops.arange(width, dtype="float32") + 0.5, (1, 1, width, 1))
    return (rows >= top) & (rows < top + high) & (columns >= left) & (columns < left + wide)
