"""MobileNet, version 1, at a quarter of its width."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from zoo_vision.settings import Rate  # noqa: TC001  # types of settings are read at run time

if TYPE_CHECKING:
    import keras

_WIDTHS = (32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024)  # channels of the first convolution and of the blocks
_HALVE = (0, 2, 4, 6, 12)  # indices in _WIDTHS of the layers that halve the feature maps


def build(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    width_multiplier: Annotated[float, Meta(gt=0, le=8)] = 0.25,
    halvings: Annotated[int, Meta(ge=0, le=len(_HALVE))] | None = None,
    dropout: Rate = 0.0,
) -> keras.Model:
    """Return a MobileNet: a depthwise and a 1x1 convolution instead of each convolution.

    Howard et al.: "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
    arXiv:1704.04861. On 224x224x3 images and 1,000 classes "0.25 MobileNet-224" has 470,072 trainable parameters (0.5
    million in the paper) and 5,472 statistics, as many as `keras.applications.MobileNet`.

    The paper's network halves its feature maps five times, which would leave nothing of small images. Here, the first
    halvings are skipped so that about 4 pixels per side remain. The number of weights does not change.

    Args:
        input_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        width_multiplier: Channels of the layers, as a multiple of the paper's.
        halvings: How often the feature maps are halved; None for as often as leaves about 4 pixels of the longer side,
            at most five times.
        dropout: Dropout rate before the last layer.
    """
    import keras
    from keras import layers

    from zoo_vision import blocks

    if halvings is None:
        halvings = min(len(_HALVE), max(0, round(math.log2(max(input_shape[:2]) / 4))))
    kept = _HALVE[len(_HALVE) - halvings :]
    images = features = keras.Input(input_shape)
    for number, paper_s in enumerate(_WIDTHS):
        width, strides = max(1, int(paper_s * width_multiplier)), 2 if number in kept else 1
        if number == 0:
            features = blocks.normalized_relu(blocks.convolve(features, width, strides=strides))
        else:
            features = blocks.normalized_relu(blocks.convolve_channels(features, strides=strides))
            features = blocks.normalized_relu(blocks.convolve(features, width, 1))
    features = layers.Dropout(dropout)(layers.GlobalAveragePooling2D()(features))
    return blocks.classifier(images, features, num_classes, name="mobilenet_small")
