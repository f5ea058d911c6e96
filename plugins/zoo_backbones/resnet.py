"""ResNet-50, as in `keras.applications` or as in torchvision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from zoo_backbones.settings import (  # noqa: TC001  # types of settings are read at run time
    Channels,
    Normalization,
    Rate,
)
from zoo_backbones.stages import RESNET_REPEATS

if TYPE_CHECKING:
    import keras

Variant = Literal["v1", "v1.5"]


def build(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    variant: Variant = "v1",
    normalization: Normalization = "keras",
    channels: Channels = "repeat",
    dropout: Rate = 0.2,
    momentum: Rate = 0.99,
) -> keras.Model:
    """Return ResNet-50.

    He et al., "Deep Residual Learning for Image Recognition", arXiv:1512.03385. On 224x224x3 images and 1,000 classes
    ``v1.5`` has 25,557,032 trainable parameters, ``v1`` 26,560 more, because Keras's convolutions have biases.

    Args:
        input_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        variant: The network of `keras.applications` (``v1``, as in the paper), or that of torchvision and timm
            (``v1.5``), whose 3x3 convolutions halve the maps instead of the 1x1 convolutions before them.
        normalization: How pixels are normalized inside the model: as Keras's weights expect (``keras``: Caffe's blue,
            green and red in 0 to 255, less their means), by the mean and deviation of ImageNet (``imagenet``, which
            torchvision's and timm's weights expect), to [-1, 1] (``half``), or not at all (``none``).
        channels: Grayscale images are repeated to three channels (``repeat``), or the first convolution has one channel
            (``sum``: trained kernels are summed).
        dropout: Dropout rate before the last layer.
        momentum: Momentum of batch normalization's moving averages; short runs from random weights need 0.9.

    Raises:
        SettingError: The images are smaller than 32x32.
    """
    from keras import layers

    from zoo_backbones import heads, pixels

    images, features = pixels.prepare_images(
        input_shape, "resnet-50", "caffe" if normalization == "keras" else normalization, channels
    )
    features = layers.ZeroPadding2D(3, name="conv1_pad")(features)
    features = _convolve(features, 64, 7, 2, variant, "conv1")
    features = layers.Activation("relu", name="conv1_relu")(features)
    features = layers.ZeroPadding2D(1, name="pool1_pad")(features)
    features = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(features)
    for stage, repeats in enumerate(RESNET_REPEATS):
        for number in range(repeats):
            strides = 2 if stage and not number else 1
            name = f"conv{stage + 2}_block{number + 1}"
            features = _block(features, 64 * 2**stage, strides, variant, name, is_first=not number)
    return heads.classify("resnet_50", images, heads.pool(features), num_classes, dropout=dropout, momentum=momentum)


def _block(features: Any, width: int, strides: int, variant: Variant, name: str, *, is_first: bool) -> Any:
    """Return a residual block with a bottleneck."""
    from keras import layers

    first, second = (strides, 1) if variant == "v1" else (1, strides)
    shortcut = _convolve(features, 4 * width, 1, strides, variant, f"{name}_0") if is_first else features
    inner = _convolve(features, width, 1, first, variant, f"{name}_1")
    inner = layers.Activation("relu", name=f"{name}_1_relu")(inner)
    if second > 1:  # "same" would pad unevenly
        inner = layers.ZeroPadding2D(1, name=f"{name}_2_pad")(inner)
    inner = _convolve(inner, width, 3, second, variant, f"{name}_2")
    inner = layers.Activation("relu", name=f"{name}_2_relu")(inner)
    inner = _convolve(inner, 4 * width, 1, 1, variant, f"{name}_3")
    inner = layers.Add(name=f"{name}_add")([shortcut, inner])
    return layers.Activation("relu", name=f"{name}_out")(inner)


def _convolve(features: Any, width: int, size: int, strides: int, variant: Variant, name: str) -> Any:
    """Return a convolution with batch normalization; one with strides expects padded maps."""
    from keras import layers

    features = layers.Conv2D(
        width,
        size,
        strides=strides,
        padding="same" if strides == 1 else "valid",
        use_bias=variant == "v1",
        name=f"{name}_conv",
    )(features)
    return layers.BatchNormalization(epsilon=1.001e-5 if variant == "v1" else 1e-5, name=f"{name}_bn")(features)
