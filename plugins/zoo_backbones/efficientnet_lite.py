"""EfficientNet-Lite0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo_backbones.settings import (  # noqa: TC001  # types of settings are read at run time
    Channels,
    LiteNormalization,
    Rate,
)
from zoo_backbones.stages import LITE_REPEATS

if TYPE_CHECKING:
    import keras

_STAGES = tuple(
    zip(
        LITE_REPEATS,
        (1, 6, 6, 6, 6, 6, 6),  # channels inside a block, as a multiple of its input's
        (16, 24, 40, 80, 112, 192, 320),  # channels of its output
        (3, 3, 5, 3, 5, 5, 3),  # side of its kernels
        (1, 2, 2, 2, 1, 2, 1),  # stride of the first block
        strict=True,
    )
)


def build(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    normalization: LiteNormalization = "half",
    channels: Channels = "repeat",
    dropout: Rate = 0.2,
    momentum: Rate = 0.99,
) -> keras.Model:
    """Return EfficientNet-Lite0: EfficientNet-B0 without squeeze-and-excitation and with ReLU6.

    Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", arXiv:1905.11946; the Lite
    networks are those of its authors' code (tensorflow/tpu, efficientnet/lite). On 224x224x3 images and 1,000 classes
    it has 4,652,008 trainable parameters. Layers have the names that `keras.applications.EfficientNetB0` gives them.

    Args:
        input_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        normalization: How pixels are normalized inside the model: to [-1, 1] (``half``, which the published weights
            expect), by the mean and deviation of ImageNet (``imagenet``), or not at all (``none``).
        channels: Grayscale images are repeated to three channels (``repeat``), or the first convolution has one channel
            (``sum``: trained kernels are summed).
        dropout: Dropout rate before the last layer.
        momentum: Momentum of batch normalization's moving averages; short runs from random weights need 0.9.

    Raises:
        SettingError: The images are smaller than 32x32.
    """
    from zoo_backbones import heads, pixels

    images, features = pixels.prepare_images(input_shape, "efficientnet-lite0", normalization, channels)
    features = _normalized(_convolve(features, 32, 3, 2, "stem_conv"), "stem_bn", "stem_activation")
    for stage, (repeats, expansion, width, size, strides) in enumerate(_STAGES, 1):
        for number in range(repeats):
            name = f"block{stage}{chr(ord('a') + number)}_"
            features = _block(features, expansion, width, size, 1 if number else strides, name)
    features = _normalized(_convolve(features, 1280, 1, 1, "top_conv"), "top_bn", "top_activation")
    return heads.classify(
        "efficientnet_lite0", images, heads.pool(features), num_classes, dropout=dropout, momentum=momentum
    )


def _block(features: Any, expansion: int, width: int, size: int, strides: int, name: str) -> Any:
    """Return an inverted residual block (Sandler et al., arXiv:1801.04381)."""
    from keras import layers

    inner = features
    if expansion > 1:
        inner = _convolve(features, expansion * features.shape[-1], 1, 1, f"{name}expand_conv")
        inner = _normalized(inner, f"{name}expand_bn", f"{name}expand_activation")
    inner = layers.DepthwiseConv2D(
        size,
        strides=strides,
        padding="same",
        use_bias=False,
        depthwise_initializer=_initializer(),
        name=f"{name}dwconv",
    )(inner)
    inner = _normalized(inner, f"{name}bn", f"{name}activation")
    inner = _normalized(_convolve(inner, width, 1, 1, f"{name}project_conv"), f"{name}project_bn")
    if inner.shape == features.shape:
        inner = layers.Add(name=f"{name}add")([inner, features])
    return inner


def _convolve(features: Any, width: int, size: int, strides: int, name: str) -> Any:
    from keras import layers

    return layers.Conv2D(
        width, size, strides=strides, padding="same", use_bias=False, kernel_initializer=_initializer(), name=name
    )(features)


def _normalized(features: Any, name: str, activation: str | None = None) -> Any:
    """Return a batch normalization, followed by ReLU6 if the activation has a name."""
    from keras import layers

    features = layers.BatchNormalization(epsilon=1e-3, name=name)(features)
    return layers.ReLU(6.0, name=activation)(features) if activation else features


def _initializer() -> keras.Initializer:
    import keras

    return keras.initializers.VarianceScaling(2.0, "fan_out", "truncated_normal")
