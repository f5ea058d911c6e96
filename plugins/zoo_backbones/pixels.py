"""The inputs of the networks: images in [0, 1] of any size and number of channels, normalized inside the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
from keras import layers, ops

from zoo import SettingError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo_backbones.settings import Channels

MIN_SIDE = 32
"""The networks halve their feature maps five times; this leaves one position."""


@dataclass(frozen=True)
class Normalization:
    """Mean and standard deviation of red, green and blue in [0, 1]; the network may expect the channels reversed."""

    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    is_bgr: bool = False


NORMALIZATIONS: Mapping[str, Normalization] = {
    "imagenet": Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": Normalization((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    # Caffe's: blue, green and red in 0 to 255, less their means
    "caffe": Normalization((123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255, 1 / 255, 1 / 255), is_bgr=True),
}
"""By name. ``none`` is not among them."""


def prepare_images(
    input_shape: tuple[int, int, int], model: str, normalization: str, channels: Channels
) -> tuple[Any, Any]:
    """Return a model's input and its normalized images.

    These have three channels for color images and, with ``repeat``, for grayscale images; otherwise, they have as many
    as the images, and the channels are normalized alike.

    Args:
        input_shape: Height, width and channels of the images.
        model: Name of the model, for messages.
        normalization: One of `NORMALIZATIONS`, or ``none``.
        channels: How grayscale images enter the network.

    Raises:
        SettingError: The images are too small.
    """
    if min(input_shape[:2]) < MIN_SIDE:
        raise SettingError(
            f"Model {model} needs images of at least {MIN_SIDE}x{MIN_SIDE} pixels, because it halves them five times. "
            f"Set dataset.size to at least {MIN_SIDE},{MIN_SIDE} (better 128,128 or more) with dataset image-folder, "
            f"or choose a model for small images. Received: input_shape={input_shape}",
            name="dataset.size",
            value=input_shape[:2],
        )
    images = features = keras.Input(input_shape)
    if input_shape[-1] == 1 and channels == "repeat":
        # in float32, because bfloat16 has too few digits for pixels
        features = layers.Concatenate(dtype="float32", name="repeat_channels")([features] * 3)
    if normalization == "none":
        return images, features
    return images, normalize(features, NORMALIZATIONS[normalization])


def normalize(features: Any, how: Normalization) -> Any:
    """Return images in [0, 1] with mean 0 and deviation 1; channels other than three get the mean of the statistics."""
    mean, deviation = list(how.mean), list(how.deviation)
    if features.shape[-1] != 3:
        mean, deviation = [sum(mean) / 3], [sum(deviation) / 3]
    elif how.is_bgr:
        features, mean, deviation = ops.flip(features, axis=-1), mean[::-1], deviation[::-1]
    return layers.Rescaling(
        scale=[1 / one for one in deviation],
        offset=[-one / other for one, other in zip(mean, deviation, strict=True)],
        dtype="float32",
        name="pixel_normalization",
    )(features)
