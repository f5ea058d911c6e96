"""Residual networks for small images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from zoo_vision.settings import Count, Depth, Rate  # noqa: TC001  # types of settings are read at run time

if TYPE_CHECKING:
    import keras

Shortcuts = Literal["padded", "projected"]


def resnet_20(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    depth: Depth = 20,
    width: Count = 16,
    shortcuts: Shortcuts = "padded",
    stochastic_depth: Rate = 0.0,
) -> keras.Model:
    """Return the ResNet with 20 layers that He, Zhang, Ren and Sun evaluated on CIFAR-10.

    "Deep Residual Learning for Image Recognition", arXiv:1512.03385, section 4.2. On 32x32x3 images and ten classes it
    has 269,722 trainable parameters (0.27 million in the paper) and 1,376 statistics.

    Args:
        input_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        depth: Number of layers with weights: a multiple of 6, plus 2.
        width: Channels of the first stage; the second has twice, the third four times as many.
        shortcuts: How shortcuts get more channels: padded with zeros (the paper's option A, which needs no weights) or
            projected by a convolution (option B).
        stochastic_depth: Share of the images for which the last block is skipped in training; it rises linearly from
            the first block (Huang et al., arXiv:1603.09382).

    Raises:
        SettingError: There is no network of this depth.
    """
    return _build(input_shape, num_classes, depth, width, shortcuts, stochastic_depth)


def resnet_32(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    depth: Depth = 32,
    width: Count = 16,
    shortcuts: Shortcuts = "padded",
    stochastic_depth: Rate = 0.0,
) -> keras.Model:
    """Return the same network with 32 layers.

    On 32x32x3 images and ten classes it has 464,154 trainable parameters (0.46 million in the paper) and 2,272
    statistics.

    Args:
        input_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        depth: Number of layers with weights: a multiple of 6, plus 2.
        width: Channels of the first stage; the second has twice, the third four times as many.
        shortcuts: How shortcuts get more channels: padded with zeros (the paper's option A, which needs no weights) or
            projected by a convolution (option B).
        stochastic_depth: Share of the images for which the last block is skipped in training; it rises linearly from
            the first block (Huang et al., arXiv:1603.09382).

    Raises:
        SettingError: There is no network of this depth.
    """
    return _build(input_shape, num_classes, depth, width, shortcuts, stochastic_depth)


def _build(
    input_shape: tuple[int, int, int],
    num_classes: int,
    depth: int,
    width: int,
    shortcuts: Shortcuts,
    stochastic_depth: float,
) -> keras.Model:
    import keras
    from keras import layers

    from zoo_vision import blocks

    count = blocks.blocks_per_stage(depth, 2)
    images = keras.Input(input_shape)
    features = blocks.normalized_relu(blocks.convolve(images, width))
    for stage in range(3):
        for number in range(count):
            strides = 2 if stage and not number else 1
            residual = _residual(features, width * 2**stage, strides)
            residual = blocks.drop_branch(residual, stochastic_depth, stage * count + number + 1, 3 * count)
            shortcut = _shortcut(features, width * 2**stage, strides, shortcuts)
            features = layers.ReLU()(layers.Add()([residual, shortcut]))
    return blocks.classifier(images, layers.GlobalAveragePooling2D()(features), num_classes, name=f"resnet_{depth}")


def _residual(features: Any, width: int, strides: int) -> Any:
    from zoo_vision import blocks

    residual = blocks.normalized_relu(blocks.convolve(features, width, strides=strides))
    return blocks.normalize(blocks.convolve(residual, width))


def _shortcut(features: Any, width: int, strides: int, shortcuts: Shortcuts) -> Any:
    from keras import ops

    from zoo_vision import blocks

    if strides == 1:
        return features
    if shortcuts == "projected":
        return blocks.normalize(blocks.convolve(features, width, 1, strides))
    more = width - features.shape[-1]
    return ops.pad(features[:, ::strides, ::strides], [(0, 0), (0, 0), (0, 0), (more // 2, more - more // 2)])
