"""What the architectures share: convolutions, normalization, patches, the classifier at the end."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import layers

from zoo import SettingError
from zoo_vision.normalization import BatchNormalization


def convolve(features: Any, width: int, size: int = 3, strides: int = 1) -> Any:
    """Return a convolution without bias, He's initial values, of maps padded by zeros on all sides alike.

    It takes in the pixels that the papers' codes take in. Padding ``"same"`` would be one pixel off with strides of 2.

    Args:
        features: ``(batch, height, width, channels)``.
        width: Channels of the result.
        size: Pixels of a side of the kernel, odd.
        strides: Pixels from one position to the next; a side of n pixels becomes one of n / strides, rounded up.
    """
    features, padding = _padded(features, size, strides)
    return layers.Conv2D(width, size, strides=strides, padding=padding, use_bias=False, kernel_initializer="he_normal")(
        features
    )


def convolve_channels(features: Any, size: int = 3, strides: int = 1, *, use_bias: bool = False) -> Any:
    """Return a depthwise convolution, each channel by itself, otherwise as `convolve`."""
    features, padding = _padded(features, size, strides)
    return layers.DepthwiseConv2D(
        size,
        strides=strides,
        padding=padding,
        use_bias=use_bias,
        # Keras's own he_normal counts the pixels of all channels as if each output were made of them
        depthwise_initializer=keras.initializers.RandomNormal(stddev=math.sqrt(2) / size),
    )(features)


def _padded(features: Any, size: int, strides: int) -> tuple[Any, str]:
    if strides == 1 or size == 1:
        return features, "same"
    return layers.ZeroPadding2D(size // 2)(features), "valid"


def normalize(features: Any) -> Any:
    """Return a batch normalization, its statistics averaged as Torch does, in which most of the papers' codes are.

    Keras's own momentum, 0.99, is for more steps than a short run has.
    """
    return BatchNormalization(momentum=0.9, epsilon=1e-5)(features)


def normalized_relu(features: Any) -> Any:
    """Return a batch normalization and ReLU."""
    return layers.ReLU()(normalize(features))


def classifier(inputs: Any, features: Any, num_classes: int, *, name: str) -> keras.Model:
    """Return the model that ends with a dense layer and softmax.

    Args:
        inputs: The model's images.
        features: ``(batch, channels)``.
        num_classes: Number of classes.
        name: The model's name.
    """
    # the probabilities stay float32 under mixed precision
    probabilities = layers.Dense(num_classes, activation="softmax", dtype="float32")(features)
    return keras.Model(inputs, probabilities, name=name)


def blocks_per_stage(depth: int, others: int) -> int:
    """Return how many blocks of two convolutions each of three stages has.

    Args:
        depth: Layers with weights, in all.
        others: Those that are not in a block.

    Raises:
        SettingError: There is no such number.
    """
    blocks, rest = divmod(depth - others, 6)
    if rest or blocks < 1:
        raise SettingError(
            f"Three stages of blocks with two layers each, and {others} layers more, have a depth of {6 + others}, "
            f"{12 + others}, {18 + others} and so on: choose one of these. Received: model.depth={depth}"
        )
    return blocks


def default_patch_size(input_shape: tuple[int, int, int], patches: int) -> int:
    """Return the power of two that cuts the longer side of images into about so many patches."""
    return int(2 ** max(0, round(math.log2(max(input_shape[:2]) / patches))))


def embed_patches(images: Any, width: int, patch_size: int) -> Any:
    """Return a number of channels for each patch; images that patches do not divide are padded by zeros.

    Args:
        images: ``(batch, height, width, channels)``.
        width: Channels of the result.
        patch_size: Pixels of a patch's side.

    Raises:
        SettingError: A patch is larger than an image.
    """
    height, image_width = images.shape[1:3]
    if patch_size > max(height, image_width):
        raise SettingError(
            f"A patch is larger than the images, which have {height}x{image_width} pixels: choose a smaller one, or "
            f"none for one that fits. Received: model.patch_size={patch_size}"
        )
    return layers.Conv2D(width, patch_size, strides=patch_size, padding="same")(images)
