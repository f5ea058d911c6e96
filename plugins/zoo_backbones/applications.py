"""Networks of `keras.applications`, without their weights, which nothing here downloads.

Layers keep the names that `keras.applications` gives them: trained weights are matched by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo_backbones.settings import (  # noqa: TC001  # types of settings are read at run time
    Channels,
    Normalization,
    Rate,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras


def mobilenet_v3_small(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    normalization: Normalization = "keras",
    channels: Channels = "repeat",
    dropout: Rate = 0.2,
    momentum: Rate = 0.999,
) -> keras.Model:
    """Return MobileNetV3-Small, without the hidden layer of its classifier.

    Howard et al., "Searching for MobileNetV3", arXiv:1905.02244. Without classifier it has 927,008 trainable
    parameters.

    Args:
        input_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        normalization: How pixels are normalized inside the model: as Keras's weights expect (``keras``: to [-1, 1]),
            by the mean and deviation of ImageNet (``imagenet``), to [-1, 1] (``half``), or not at all (``none``).
        channels: Grayscale images are repeated to three channels (``repeat``), or the first convolution has one channel
            (``sum``: trained kernels are summed).
        dropout: Dropout rate before the last layer.
        momentum: Momentum of batch normalization's moving averages; short runs from random weights need 0.9.

    Raises:
        SettingError: The images are smaller than 32x32.
    """
    import keras

    from zoo_backbones import heads, pixels

    images, features = pixels.prepare_images(input_shape, "mobilenet-v3-small", _named(normalization, "half"), channels)
    features = _backbone(keras.applications.MobileNetV3Small, features, include_preprocessing=False).output
    return heads.classify(
        "mobilenet_v3_small", images, heads.pool(features), num_classes, dropout=dropout, momentum=momentum
    )


def efficientnet_v2_b0(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    normalization: Normalization = "keras",
    channels: Channels = "repeat",
    dropout: Rate = 0.2,
    momentum: Rate = 0.9,
) -> keras.Model:
    """Return EfficientNetV2-B0.

    Tan and Le, "EfficientNetV2: Smaller Models and Faster Training", arXiv:2104.00298. On 224x224x3 images and 1,000
    classes it has 7,139,704 trainable parameters. Stochastic depth drops up to a fifth of the residual branches, as in
    Keras.

    Args:
        input_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        normalization: How pixels are normalized inside the model: by the mean and deviation of ImageNet (``keras``,
            as Keras's weights expect, and ``imagenet``), to [-1, 1] (``half``), or not at all (``none``).
        channels: Grayscale images are repeated to three channels (``repeat``), or the first convolution has one channel
            (``sum``: trained kernels are summed).
        dropout: Dropout rate before the last layer.
        momentum: Momentum of batch normalization's moving averages; short runs from random weights need 0.9.

    Raises:
        SettingError: The images are smaller than 32x32.
    """
    import keras

    from zoo_backbones import heads, pixels

    images, features = pixels.prepare_images(
        input_shape, "efficientnet-v2-b0", _named(normalization, "imagenet"), channels
    )
    features = _backbone(keras.applications.EfficientNetV2B0, features, include_preprocessing=False).output
    return heads.classify(
        "efficientnet_v2_b0", images, heads.pool(features), num_classes, dropout=dropout, momentum=momentum
    )


def densenet_121(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    normalization: Normalization = "keras",
    channels: Channels = "repeat",
    dropout: Rate = 0.2,
    momentum: Rate = 0.99,
) -> keras.Model:
    """Return DenseNet-121.

    Huang et al., "Densely Connected Convolutional Networks", arXiv:1608.06993. On 224x224x3 images and 1,000 classes it
    has 7,978,856 trainable parameters.

    Args:
        input_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        normalization: How pixels are normalized inside the model: by the mean and deviation of ImageNet (``keras``,
            as Keras's weights expect, and ``imagenet``), to [-1, 1] (``half``), or not at all (``none``).
        channels: Grayscale images are repeated to three channels (``repeat``), or the first convolution has one channel
            (``sum``: trained kernels are summed).
        dropout: Dropout rate before the last layer.
        momentum: Momentum of batch normalization's moving averages; short runs from random weights need 0.9.

    Raises:
        SettingError: The images are smaller than 32x32.
    """
    import keras

    from zoo_backbones import heads, pixels

    images, features = pixels.prepare_images(input_shape, "densenet-121", _named(normalization, "imagenet"), channels)
    features = _backbone(keras.applications.DenseNet121, features).output
    return heads.classify("densenet_121", images, heads.pool(features), num_classes, dropout=dropout, momentum=momentum)


def convnext_tiny(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    normalization: Normalization = "keras",
    channels: Channels = "repeat",
    dropout: Rate = 0.2,
) -> keras.Model:
    """Return ConvNeXt-Tiny.

    Liu et al., "A ConvNet for the 2020s", arXiv:2201.03545. On 224x224x3 images and 1,000 classes it has 28,589,128
    parameters.

    Args:
        input_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        normalization: How pixels are normalized inside the model: by the mean and deviation of ImageNet (``keras``,
            as Keras's weights expect, and ``imagenet``), to [-1, 1] (``half``), or not at all (``none``).
        channels: Grayscale images are repeated to three channels (``repeat``), or the first convolution has one channel
            (``sum``: trained kernels are summed).
        dropout: Dropout rate before the last layer.

    Raises:
        SettingError: The images are smaller than 32x32.
    """
    import keras
    from keras import layers

    from zoo_backbones import heads, pixels

    images, features = pixels.prepare_images(input_shape, "convnext-tiny", _named(normalization, "imagenet"), channels)
    backbone = _backbone(keras.applications.ConvNeXtTiny, features, include_preprocessing=False)
    # the last layer normalizes the maps; the network's classifier, and that of the paper, normalizes their means
    features = heads.pool(backbone.layers[-1].input)
    features = layers.LayerNormalization(epsilon=1e-6, name="convnext_tiny_head_layernorm")(features)
    return heads.classify("convnext_tiny", images, features, num_classes, dropout=dropout)


def _named(normalization: Normalization, keras_applications: str) -> str:
    """Return the name of a normalization in `pixels`, given the one of the network's weights in Keras."""
    return keras_applications if normalization == "keras" else normalization


def _backbone(network: Callable[..., keras.Model], features: Any, **options: Any) -> keras.Model:
    """Return a network on top of normalized images."""
    return network(include_top=False, weights=None, input_tensor=features, **options)
