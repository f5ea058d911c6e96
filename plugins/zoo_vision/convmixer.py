"""ConvMixer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo_vision.settings import Count, Depth  # noqa: TC001  # types of settings are read at run time

if TYPE_CHECKING:
    import keras

_PATCHES = 16  # per side, as for CIFAR-10


def build(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    depth: Depth = 8,
    width: Count = 256,
    kernel_size: Count = 5,
    patch_size: Count | None = None,
) -> keras.Model:
    """Return ConvMixer-256/8: patches, then depthwise convolutions that mix positions and others that mix channels.

    Trockman and Kolter: "Patches Are All You Need?", arXiv:2201.09792. The defaults are those of the authors' code for
    CIFAR-10, github.com/locuslab/convmixer-cifar10: on 32x32x3 images and ten classes, 594,186 trainable parameters and
    8,704 statistics. With ``kernel_size=9`` and ``patch_size=1``, it is the paper's largest network for CIFAR-10, with
    706,570 parameters (0.7 million).

    Args:
        input_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        depth: Number of blocks.
        width: Channels of all layers.
        kernel_size: Side of the depthwise kernels in pixels.
        patch_size: Side of a patch in pixels; None for the power of two that divides the longer side into about 16
            patches.

    Raises:
        SettingError: A patch is larger than the images.
    """
    import keras
    from keras import layers

    from zoo_vision import blocks

    def activated(features: Any) -> Any:
        return blocks.normalize(layers.Activation("gelu")(features))

    images = keras.Input(input_shape)
    size = blocks.default_patch_size(input_shape, _PATCHES) if patch_size is None else patch_size
    features = activated(blocks.embed_patches(images, width, size))
    for _ in range(depth):
        mixed = activated(blocks.convolve_channels(features, kernel_size, use_bias=True))
        features = activated(layers.Conv2D(width, 1)(layers.Add()([mixed, features])))
    return blocks.classifier(images, layers.GlobalAveragePooling2D()(features), num_classes, name="convmixer")
