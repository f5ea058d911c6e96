"""The tiny vision transformer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from zoo import SettingError
from zoo_vision.settings import Count, Depth, Rate  # noqa: TC001  # types of settings are read at run time

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras

_PATCHES, _LARGEST_PATCH = 8, 16  # 8 patches per side, as is usual for CIFAR-10, up to the paper's patch size


def build(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    depth: Depth = 12,
    width: Count = 192,
    heads: Count = 3,
    patch_size: Count | None = None,
    dropout: Rate = 0.0,
    stochastic_depth: Rate = 0.0,
) -> keras.Model:
    """Return ViT-Ti: patches as tokens, blocks of attention and dense layers, and a classifier of the class token.

    The architecture is that of Dosovitskiy et al.: "An Image is Worth 16x16 Words", arXiv:2010.11929; the tiny size is
    DeiT-Ti's, without distillation, of Touvron et al., arXiv:2012.12877. On 224x224x3 images, patches of 16 pixels and
    1,000 classes it has 5,717,416 parameters (5.7 million in the paper, as many as timm's ``vit_tiny_patch16_224``).

    Args:
        input_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        depth: Number of blocks.
        width: Channels of a token; a multiple of ``heads``. Inside a block the dense layer has four times as many.
        heads: Attention heads of a block.
        patch_size: Side of a patch in pixels; None for the power of two, at most 16, that divides the longer side into
            about 8 patches.
        dropout: Dropout rate after the position embeddings, after attention and after each dense layer of a block; 0 in
            DeiT, 0.1 in the first paper.
        stochastic_depth: Share of the images for which the branches of the last block are skipped in training; it rises
            linearly from the first block (Huang et al., arXiv:1603.09382); 0.1 in DeiT.

    Raises:
        SettingError: A patch is larger than the images, or ``width`` is not a multiple of ``heads``.
    """
    import keras
    from keras import layers

    from zoo_vision import blocks
    from zoo_vision.tokens import ClassTokenAndPositions

    if width % heads:
        raise SettingError(
            f"The attention heads cannot share the channels evenly. Choose a width that is a multiple of {heads}. "
            f"Received: model.width={width}, model.heads={heads}",
            name="model.width",
            value=width,
        )
    images = keras.Input(input_shape)
    if patch_size is None:
        patch_size = min(_LARGEST_PATCH, blocks.default_patch_size(input_shape, _PATCHES))
    patches = blocks.embed_patches(images, width, patch_size)
    tokens = ClassTokenAndPositions()(layers.Reshape((-1, width))(patches))
    tokens = layers.Dropout(dropout)(tokens)
    for number in range(depth):
        drop = partial(blocks.drop_branch, rate=stochastic_depth, number=number + 1, count=depth)
        tokens = _block(tokens, width, heads, dropout, drop)
    return blocks.classifier(images, _normalize(tokens)[:, 0], num_classes, name="vit_tiny")


def _block(tokens: Any, width: int, heads: int, dropout: float, drop: Callable[[Any], Any]) -> Any:
    from keras import layers

    attended = _normalize(tokens)
    attended = layers.MultiHeadAttention(heads, width // heads)(attended, attended)
    tokens = layers.Add()([tokens, drop(layers.Dropout(dropout)(attended))])
    dense = layers.Dense(4 * width, activation="gelu")(_normalize(tokens))
    dense = layers.Dense(width)(layers.Dropout(dropout)(dense))
    return layers.Add()([tokens, drop(layers.Dropout(dropout)(dense))])


def _normalize(tokens: Any) -> Any:
    from keras import layers

    return layers.LayerNormalization(epsilon=1e-6)(tokens)
