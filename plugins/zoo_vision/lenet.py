"""LeNet-5."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import keras

_SIDE = 32  # pixels that the network needs


def build(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    activation: Literal["tanh", "relu"] = "tanh",
    pooling: Literal["average", "max"] = "average",
) -> keras.Model:
    """Return LeNet-5 as it is built today, 61,706 parameters on 32x32x1 images and ten classes.

    LeCun, Bottou, Bengio and Haffner: "Gradient-Based Learning Applied to Document Recognition", Proceedings of the
    IEEE 86(11), 1998. The published network has 60,000: there, the second convolution sees some of the maps each (900
    fewer), the pooling layers have weights (44 more), and fixed codes take the place of the last layer's weights (850
    fewer). Its tanh is scaled, which here the weights can learn.

    Smaller images are padded by zeros to 32x32, as the paper does with 28x28. Of larger ones, what the third
    convolution gives is averaged over the image, so the number of parameters stays.

    Args:
        input_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        activation: After each layer but the last.
        pooling: How maps are halved.
    """
    import keras
    from keras import layers

    from zoo_vision import blocks

    pool = layers.AveragePooling2D if pooling == "average" else layers.MaxPooling2D
    images = features = keras.Input(input_shape)
    missing = [max(0, _SIDE - side) for side in input_shape[:2]]
    if any(missing):
        features = layers.ZeroPadding2D(tuple((pixels // 2, pixels - pixels // 2) for pixels in missing))(features)
    features = layers.Conv2D(6, 5, activation=activation)(features)
    features = pool(2)(features)
    features = layers.Conv2D(16, 5, activation=activation)(features)
    features = pool(2)(features)
    features = layers.Conv2D(120, 5, activation=activation)(features)
    features = layers.GlobalAveragePooling2D()(features)
    features = layers.Dense(84, activation=activation)(features)
    return blocks.classifier(images, features, num_classes, name="lenet_5")
