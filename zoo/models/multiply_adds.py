"""The computational cost of a model: multiply-adds of one image's forward pass, counted layer by layer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import keras


def count_multiply_adds(model: keras.Model) -> int | None:
    """Return the multiply-adds of one image's forward pass, or None if a layer cannot be counted.

    Counts convolutions (including depthwise ones), dense layers, and multi-head attention with its two matrix products.
    As is usual in papers, biases, normalization, activations, pooling and sums count as 0. Zero padding counts. A
    plugin's custom layer counts as 0 if it has no inner layers and no kernel.

    Args:
        model: A built model that calls each of its layers once.
    """
    import keras

    counts = []
    for layer in model.layers:
        is_model = isinstance(layer, keras.Model)
        counts.append(count_multiply_adds(layer) if is_model else of_layer(layer))
    return None if None in counts else sum(count for count in counts if count is not None)


def of_layer(layer: keras.layers.Layer) -> int | None:
    """Return the multiply-adds of a layer for one image, or None if they cannot be counted."""
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
    except (AttributeError, TypeError, ValueError):  # the layer was called multiple times, or a dimension is not fixed
        return None
    has_kernel = any("kernel" in variable.name for variable in layer.weights)
    return None if has_kernel else 0


def _of_attention(layer: keras.layers.MultiHeadAttention) -> int:
    """Return the multiply-adds of the four projections and of the two products of each query with each key."""
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
