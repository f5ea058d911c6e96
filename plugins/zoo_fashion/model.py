"""The reference CNN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

if TYPE_CHECKING:
    import keras

Width = Annotated[int, Meta(ge=1)]
Rate = Annotated[float, Meta(ge=0, lt=1)]


def build(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    widths: tuple[Width, Width, Width] = (32, 64, 128),
    dense_width: Width = 128,
    dropout: Rate | tuple[Rate, Rate, Rate, Rate] = (0.25, 0.25, 0.4, 0.3),
    pool_first: bool = False,
) -> keras.Model:
    """Return a CNN of three blocks of convolution, LeakyReLU, pooling and dropout, then a dense layer and a softmax.

    On 28x28x1 images and ten classes it has 356,234 parameters.

    Args:
        input_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        widths: Channels of the three convolutions.
        dense_width: Units of the dense layer.
        dropout: Dropout rates after the three blocks and after the dense layer; a single number applies to all four.
        pool_first: Pool before LeakyReLU instead of after it: the same function, because LeakyReLU is monotonic, but
            computed on a quarter of the values.
    """
    import keras
    from keras import layers

    *block_rates, dense_rate = dropout if isinstance(dropout, tuple) else (dropout,) * 4
    stack = [keras.Input(input_shape)]
    for width, rate in zip(widths, block_rates, strict=True):
        stack.append(layers.Conv2D(width, 3, padding="same"))
        two = [layers.LeakyReLU(negative_slope=0.1), layers.MaxPooling2D(2, padding="same")]
        stack += reversed(two) if pool_first else two
        stack.append(layers.Dropout(rate))
    stack += [
        layers.Flatten(),
        layers.Dense(dense_width),
        layers.LeakyReLU(negative_slope=0.1),
        layers.Dropout(dense_rate),
        # the probabilities stay float32 under mixed precision
        layers.Dense(num_classes, activation="softmax", dtype="float32"),
    ]
    return keras.Sequential(stack, name="fashion_cnn")  # at once: each `add` would connect all layers again
