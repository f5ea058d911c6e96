"""Layers shared by the architectures: convolutions, normalization, patches and the classifier."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import layers

from zoo import SettingError
from zoo_vision.normalization import BatchNormalization


def convolve(features: Any, width: int, size: int = 3, strides: int = 1) -> Any:
    """Return a convolution without bias, with He initialization, of maps zero-padded equally on all sides.

    It covers the same pixels as in the papers' code; padding ``"same"`` would be off by one pixel with strides of 2.

    Args:
        features: ``(batch, height, width, channels)``.
        width: Number of output channels.
        size: Side of the kernel in pixels, odd.
        strides: Pixels from one position to the next; a side of n pixels becomes n / strides, rounded up.
    """
    features, padding = _padded(features, size, strides)
    return layers.Conv2D(width, size, strides=strides, padding=padding, use_bias=False, kernel_initializer="he_normal")(
        features
    )


def convolve_channels(features: Any, size: int = 3, strides: int = 1, *, use_bias: bool = False) -> Any:
    """Return a depthwise convolution (each channel separately), otherwise as `convolve`."""
    features, padding = _padded(features, size, strides)
    return layers.DepthwiseConv2D(
        size,
        strides=strides,
        padding=padding,
        use_bias=use_bias,
        # Keras's he_normal computes the fan-in over all channels, but each output depends on only one
        depthwise_initializer=keras.initializers.RandomNormal(stddev=math.sqrt(2) / size),
    )(features)


def _padded(features: Any, size: int, strides: int) -> tuple[Any, str]:
    if strides == 1 or size == 1:
        return features, "same"
    return layers.ZeroPadding2D(size // 2)(features), "valid"


def normalize(features: Any) -> Any:
    """Return a batch normalization that averages statistics like Torch, which most of the papers' code uses.

    Keras's default momentum, 0.99, is for more steps than a short run has.
    """
    return BatchNormalization(momentum=0.9, epsilon=1e-5)(features)


def normalized_relu(features: Any) -> Any:
    """Return a batch normalization followed by ReLU."""
    return layers.ReLU()(normalize(features))


def drop_branch(features: Any, rate: float, number: int, count: int) -> Any:
    """Return a residual branch that is dropped for some images in training (Huang et al., arXiv:1603.09382).

    Args:
        features: ``(batch, ...)``.
        rate: Share of the images in the last block; it rises linearly from the first.
        number: Number of the block, from 1.
        count: Number of blocks.
    """
    if not rate:
        return features
    shape = (None, *[1] * (len(features.shape) - 1))
    return layers.Dropout(rate * number / count, noise_shape=shape)(features)


def classifier(inputs: Any, features: Any, num_classes: int, *, name: str) -> keras.Model:
    """Return a model that ends with a dense layer and softmax.

    Args:
        inputs: Input images of the model.
        features: ``(batch, channels)``.
        num_classes: Number of classes.
        name: Name of the model.
    """
    # the probabilities stay float32 under mixed precision
    probabilities = layers.Dense(num_classes, activation="softmax", dtype="float32")(features)
    return keras.Model(inputs, probabilities, name=name)


def blocks_per_stage(depth: int, others: int) -> int:
    """Return the number of blocks, each of two convolutions, in each of three stages.

    Args:
        depth: Total number of layers with weights.
        others: Number of these layers outside of blocks.

    Raises:
        SettingError: No number of blocks results in this depth.
    """
    blocks, rest = divmod(depth - others, 6)
    if rest or blocks < 1:
        raise SettingError(
            f"Three stages of two-layer blocks and {others} other layers cannot have this depth. Choose one of "
            f"{6 + others}, {12 + others}, {18 + others} and so on. Received: model.depth={depth}",
            name="model.depth",
            value=depth,
        )
    return blocks


def default_patch_size(input_shape: tuple[int, int, int], patches: int) -> int:
    """Return the power of two that divides the longer side of images into about ``patches`` patches."""
    return int(2 ** max(0, round(math.log2(max(input_shape[:2]) / patches))))


def embed_patches(images: Any, width: int, patch_size: int) -> Any:
    """Return an embedding of each patch; images that are not a multiple of the patch size are zero-padded.

    Args:
        images: ``(batch, height, width, channels)``.
        width: Number of channels of an embedding.
        patch_size: Side of a patch in pixels.

    Raises:
        SettingError: A patch is larger than an image.
    """
    height, image_width = images.shape[1:3]
    if patch_size > max(height, image_width):
        raise SettingError(
            f"A patch is larger than the images, which have {height}x{image_width} pixels. Choose a smaller patch "
            f"size, or none to derive it from the image size. Received: model.patch_size={patch_size}",
            name="model.patch_size",
            value=patch_size,
        )
    return layers.Conv2D(width, patch_size, strides=patch_size, padding="same")(images)
