"""LeNet-5."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import keras

_SIDE = 32  # minimum side of the input in pixels


def build(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    activation: Literal["tanh", "relu"] = "tanh",
    pooling: Literal["average", "max"] = "average",
) -> keras.Model:
    """Return LeNet-5 as it is built today: 61,706 parameters on 32x32x1 images and ten classes.

    LeCun, Bottou, Bengio and Haffner: "Gradient-Based Learning Applied to Document Recognition", Proceedings of the
    IEEE 86(11), 1998. The published network has 60,000 parameters: each map of the second convolution sees only some of
    the input maps (900 fewer), the pooling layers have weights (44 more), and fixed codes replace the weights of the
    last layer (850 fewer). Its tanh is scaled; here, the weights can learn the scale.

    Smaller images are zero-padded to 32x32, as the paper does with 28x28. For larger images, the output of the third
    convolution is averaged over all positions, so the number of parameters does not change.

    Args:
        input_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        activation: Activation of each layer but the last.
        pooling: Type of pooling that halves the feature maps.
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
