"""How much work a model is: the multiply-adds of one image's forward pass, counted from its layers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import keras


def count_multiply_adds(model: keras.Model) -> int | None:
    """Return the multiply-adds of one image's forward pass, None where the model is not of layers that are counted.

    Counted are convolutions (depthwise ones too), dense layers and multi-head attention with its two products of
    matrices; biases, normalization, activations, pooling and sums count nothing, as is usual in papers. What is padded
    by zeros counts. A layer of a plugin's own counts nothing if it has no layers inside and no kernel.

    Args:
        model: A built model whose layers are each called once.
    """
    import keras

    counts = []
    for layer in model.layers:
        is_model = isinstance(layer, keras.Model)
        counts.append(count_multiply_adds(layer) if is_model else of_layer(layer))
    return None if None in counts else sum(count for count in counts if count is not None)


def of_layer(layer: keras.layers.Layer) -> int | None:
    """Return the multiply-adds of a layer for one image, None where it is not known how to count them."""
    from keras import layers

    try:
        if isinstance(layer, layers.MultiHeadAttention):
            return _of_attention(layer)
        if isinstance(
            layer, layers.Conv1D | layers.Conv2D | layers.Conv3D | layers.DepthwiseConv1D | layers.DepthwiseConv2D
        ):
            is_first = layer.data_format == "channels_first"
            positions = layer.output.shape[2:] if is_first else layer.output.shape[1:-1]
            return _weights(layer) * _product(positions)
        if isinstance(layer, layers.Dense):
            return _weights(layer) * _product(layer.output.shape[1:-1])
    except (AttributeError, TypeError, ValueError):  # it was called several times, or a side has no fixed length
        return None
    has_kernel = any("kernel" in variable.name for variable in layer.weights)
    return None if has_kernel else 0


def _of_attention(layer: keras.layers.MultiHeadAttention) -> int:
    """Return the multiply-adds of four projections and, of each query with each key, two products."""
    query, value, *rest = layer.input
    key = rest[0] if rest else value
    queries, keys = _product(query.shape[1:-1]), _product(key.shape[1:-1])
    projected = queries * (_weights(layer.query_dense) + _weights(layer.output_dense))
    projected += keys * (_weights(layer.key_dense) + _weights(layer.value_dense))
    return projected + queries * keys * int(layer.num_heads * (layer.key_dim + layer.value_dim))


def _weights(layer: keras.layers.Layer) -> int:
    return _product(layer.kernel.shape)


def _product(sides: Iterable[int]) -> int:
    return math.prod(sides)
