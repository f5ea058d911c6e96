"""Wide residual networks."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from zoo_vision.settings import Count, Depth, Rate  # noqa: TC001  # types of settings are read at run time

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras


def build(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    depth: Depth = 16,
    widening: Count = 4,
    dropout: Rate = 0.0,
    stochastic_depth: Rate = 0.0,
) -> keras.Model:
    """Return the wide residual network WRN-16-4.

    Zagoruyko and Komodakis: "Wide Residual Networks", arXiv:1605.07146. On 32x32x3 images and ten classes it has
    2,748,890 trainable parameters (2.7 million in the paper) and 3,616 statistics.

    Args:
        input_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        depth: Number of layers with weights: a multiple of 6, plus 4.
        widening: Channels of the three stages, as multiples of 16, 32 and 64.
        dropout: Dropout rate between the two convolutions of a block; the paper tries 0 and 0.3.
        stochastic_depth: Share of the images for which the last block is skipped in training; it rises linearly from
            the first block (Huang et al., arXiv:1603.09382).

    Raises:
        SettingError: There is no network of this depth.
    """
    import keras
    from keras import layers

    from zoo_vision import blocks

    count = blocks.blocks_per_stage(depth, 4)
    images = keras.Input(input_shape)
    features = blocks.convolve(images, 16)
    for stage in range(3):
        for number in range(count):
            features = _block(
                features,
                16 * 2**stage * widening,
                strides=2 if stage and not number else 1,
                is_first=not number,
                dropout=dropout,
                drop=partial(
                    blocks.drop_branch, rate=stochastic_depth, number=stage * count + number + 1, count=3 * count
                ),
            )
    features = layers.GlobalAveragePooling2D()(blocks.normalized_relu(features))
    return blocks.classifier(images, features, num_classes, name=f"wrn_{depth}_{widening}")


def _block(
    features: Any, width: int, *, strides: int, is_first: bool, dropout: float, drop: Callable[[Any], Any]
) -> Any:
    from keras import layers

    from zoo_vision import blocks

    activated = blocks.normalized_relu(features)
    # the first shortcut of a stage is a convolution of the activated input, as in the paper's code
    shortcut = blocks.convolve(activated, width, 1, strides) if is_first else features
    residual = blocks.normalized_relu(blocks.convolve(activated, width, strides=strides))
    residual = blocks.convolve(layers.Dropout(dropout)(residual), width)
    return layers.Add()([drop(residual), shortcut])
