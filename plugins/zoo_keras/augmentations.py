"""Augmentations of training images: Keras's layers where they suit, with typed settings.

Each returns a layer that is active only during training, draws for each image, and takes float32 images in [0, 1].
Pixels that are shifted, rotated or padded in are 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from zoo import SettingError

if TYPE_CHECKING:
    import keras

Shape = tuple[int, int, int]
Share = Annotated[float, Meta(ge=0, le=1)]
Pixels = Annotated[int, Meta(ge=1, le=64)]
Factor = Annotated[float, Meta(ge=0)]


def flip(image_shape: Shape) -> keras.layers.Layer:
    """Flip half of the images left to right. Not for digits and letters."""
    import keras

    return keras.layers.RandomFlip("horizontal", dtype="float32")


def shift(image_shape: Shape, pixels: Pixels = 2) -> keras.layers.Layer:
    """Shift images by whole pixels, vertically and horizontally.

    Args:
        image_shape: Height, width and channels of the images.
        pixels: Maximum shift.
    """
    _check_pixels(image_shape, "shift", pixels)
    return _translation(image_shape, pixels)


def crop(image_shape: Shape, padding: Pixels = 4) -> keras.layers.Layer:
    """Pad images and crop them to their size at a random place (He et al., arXiv:1512.03385, section 4.2).

    Args:
        image_shape: Height, width and channels of the images.
        padding: Pixels added to each side.
    """
    _check_pixels(image_shape, "crop", padding, "padding")
    return _translation(image_shape, padding)  # padded with 0, a crop is a shift


def erase(image_shape: Shape, share: Share = 0.5) -> keras.layers.Layer:
    """Replace a rectangle by noise in some images (Zhong et al., arXiv:1708.04896).

    Args:
        image_shape: Height, width and channels of the images.
        share: Share of the images.
    """
    from zoo_keras.augmentation_layers import Erasing

    return Erasing(share)


def cutout(image_shape: Shape, size: Annotated[int, Meta(ge=1)] | None = None) -> keras.layers.Layer:
    """Replace a square by 0, also beyond the edges (DeVries and Taylor, arXiv:1708.04552).

    Args:
        image_shape: Height, width and channels of the images.
        size: Side of the square in pixels; None for half of the images' shorter side, as in the paper.
    """
    from zoo_keras.augmentation_layers import Cutout

    if size is None:
        size = max(1, min(image_shape[:2]) // 2)
    _check_pixels(image_shape, "cutout", size, "size")
    return Cutout(size)


def cutmix(image_shape: Shape, share: Share = 0.5) -> keras.layers.Layer:
    """Replace a rectangle by that of another image, and that share of the label (Yun et al., arXiv:1905.04899).

    Training metrics use the image's own label.

    Args:
        image_shape: Height, width and channels of the images.
        share: Share of the images.
    """
    from zoo_keras.augmentation_layers import CutMix

    return CutMix(share)


def mixup(image_shape: Shape, alpha: Annotated[float, Meta(gt=0)] = 0.2) -> keras.layers.Layer:
    """Blend each image and its label with another (Zhang et al., arXiv:1710.09412).

    Training metrics use the image's own label.

    Args:
        image_shape: Height, width and channels of the images.
        alpha: Parameter of the beta distribution of the other image's share: small values blend little.
    """
    from zoo_keras.augmentation_layers import MixUp

    return MixUp(alpha)


def randaugment(
    image_shape: Shape,
    operations: Annotated[int, Meta(ge=1, le=10)] = 2,
    strength: Share = 0.5,
) -> keras.layers.Layer:
    """Apply random operations to each image: shifts, shears, rotations, changes of color and sharpness.

    After Cubuk et al., arXiv:1909.13719.

    Args:
        image_shape: Height, width and channels of the images.
        operations: Number of operations.
        strength: Their maximum strength, 0 to 1.
    """
    from zoo_keras.random_operations import RandAugment

    return RandAugment(operations, strength)


def augmix(
    image_shape: Shape,
    chains: Annotated[int, Meta(ge=1, le=10)] = 3,
    depth: Annotated[int, Meta(ge=1, le=10)] = 3,
    strength: Share = 0.3,
) -> keras.layers.Layer:
    """Blend each image with versions of it changed by random operations (Hendrycks et al., arXiv:1912.02781).

    Args:
        image_shape: Height, width and channels of the images.
        chains: Number of versions.
        depth: Maximum number of operations for a version.
        strength: Maximum strength of the operations, 0 to 1.
    """
    from zoo_keras.random_operations import AugMix

    return AugMix(chains, depth, strength)


def color(
    image_shape: Shape,
    brightness: Share = 0.2,
    contrast: Share = 0.2,
    saturation: Share = 0.2,
    hue: Share = 0.05,
) -> keras.layers.Layer:
    """Change brightness and contrast and, of color images, saturation and hue.

    Args:
        image_shape: Height, width and channels of the images.
        brightness: Maximum change, as a share of the range.
        contrast: Maximum change, as a share.
        saturation: Maximum change, as a share.
        hue: Maximum change, as a share of the color circle.
    """
    from zoo_keras.augmentation_layers import ColorJitter

    return ColorJitter(image_shape, brightness, contrast, saturation, hue)


def rotation(image_shape: Shape, degrees: Annotated[float, Meta(gt=0, le=180)] = 15.0) -> keras.layers.Layer:
    """Rotate images around their center.

    Args:
        image_shape: Height, width and channels of the images.
        degrees: Maximum angle, in either direction.
    """
    import keras

    return _compiled_on_jax(keras.layers.RandomRotation(degrees / 360, fill_mode="constant", dtype="float32"))


def blur(image_shape: Shape, share: Share = 0.5, sigma: Annotated[float, Meta(gt=0)] = 1.0) -> keras.layers.Layer:
    """Blur some images with a Gaussian of 3x3 pixels.

    Args:
        image_shape: Height, width and channels of the images.
        share: Share of the images.
        sigma: Maximum standard deviation of the Gaussian in pixels; each image has its own.
    """
    from zoo_keras.random_operations import Blur

    return Blur(share, sigma)


def noise(image_shape: Shape, deviation: Share = 0.05) -> keras.layers.Layer:
    """Add Gaussian noise to every pixel.

    Args:
        image_shape: Height, width and channels of the images.
        deviation: Standard deviation, as a share of the range.
    """
    import keras

    return keras.layers.GaussianNoise(deviation, dtype="float32")


def _translation(image_shape: Shape, pixels: int) -> keras.layers.Layer:
    import keras

    # after rounding to the nearest pixel, every shift by a whole number of pixels is equally likely
    factors = [(pixels + 0.5) / size for size in image_shape[:2]]
    return _compiled_on_jax(
        keras.layers.RandomTranslation(*factors, fill_mode="constant", interpolation="nearest", dtype="float32")
    )


def _compiled_on_jax(layer: keras.layers.Layer) -> keras.layers.Layer:
    """Return a layer of Keras's that rules out compilation, but has to do so on TensorFlow alone."""
    import keras

    if keras.config.backend() == "jax":
        layer.supports_jit = True  # otherwise `Model.fit` computes the whole model operation by operation
    return layer


def _check_pixels(image_shape: Shape, name: str, value: int, setting: str = "pixels") -> None:
    if value >= min(image_shape[:2]):
        height, width, _ = image_shape
        full = f"augmentation.{name}.{setting}"
        raise SettingError(
            f"Setting {full!r} must be smaller than the images, which have {height}x{width} pixels. Choose a smaller "
            f"value. Received: {full}={value}",
            name=full,
            value=value,
        )
