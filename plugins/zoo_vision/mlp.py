"""The multilayer perceptron."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo_vision.settings import Count, Rate  # noqa: TC001  # types of settings are read at run time

if TYPE_CHECKING:
    import keras


def build(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    widths: tuple[Count, ...] = (300, 100),
    dropout: Rate = 0.0,
) -> keras.Model:
    """Return a multilayer perceptron: dense layers with ReLU, then a softmax.

    The widths are those of the 300-100 network of LeCun, Bottou, Bengio and Haffner: "Gradient-Based Learning Applied
    to Document Recognition", Proceedings of the IEEE 86(11), 1998, with ReLU instead of scaled tanh. On 28x28x1 images
    and ten classes it has 266,610 parameters ("267K" in Han et al., arXiv:1506.02626).

    Args:
        input_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        widths: Units of the hidden layers; without any, the model is a softmax regression.
        dropout: Dropout rate after each hidden layer.
    """
    import keras
    from keras import layers

    from zoo_vision import blocks

    images = keras.Input(input_shape)
    features = layers.Flatten()(images)
    for width in widths:
        features = layers.Dense(width, activation="relu", kernel_initializer="he_normal")(features)
        features = layers.Dropout(dropout)(features)
    return blocks.classifier(images, features, num_classes, name="mlp")
