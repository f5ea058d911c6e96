"""How the layers of a functional model are connected, as far as weights of other programs depend on it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Literal

from zoo.models.layers import named_layers

if TYPE_CHECKING:
    import keras

Features = tuple[int, int, int] | Literal["unknown"] | None
"""Height, width and channels of flattened features; None if they are not flattened."""


def flattened_features(model: keras.Model, layer: keras.layers.Layer) -> Features:
    """Return the shape of the feature maps that reach a model's layer flattened, or ``"unknown"`` if none can tell.

    Libraries with channels first flatten them in another order.
    """
    try:
        inputs = layer.input
    except (AttributeError, ValueError):  # it was called several times, or never
        return "unknown"
    return _features(inputs, {id(tensor) for tensor in getattr(model, "inputs", None) or ()})


def _features(tensor: Any, own: set[int]) -> Features:
    """Return what `flattened_features` does for a tensor, or for the only one of several that was flattened."""
    from keras import Model, layers

    if isinstance(tensor, list | tuple):
        found = {_features(each, own) for each in tensor}
        return None if found == {None} else "unknown"
    if len(tensor.shape) != 2 or id(tensor) in own:
        return None  # feature maps or, in an embedding, a sequence; or what the model is given
    operation = tensor._keras_history.operation  # Keras has no public way to what computed a tensor
    if operation is None or isinstance(operation, layers.InputLayer):
        return "unknown"  # of an inner model
    if isinstance(operation, Model):
        return _features(operation.outputs[0], own)
    try:
        before = operation.input
    except (AttributeError, ValueError):
        return "unknown"
    if isinstance(before, list | tuple):
        return _features(before, own)
    if len(before.shape) == 2:
        is_same_order = before.shape == tensor.shape and not isinstance(operation, layers.Dense | layers.EinsumDense)
        return _features(before, own) if is_same_order else None
    if len(before.shape) != 4 or tensor.shape[-1] == before.shape[-1]:
        return None  # pooled
    if isinstance(operation, layers.Flatten | layers.Reshape) and None not in before.shape[1:]:
        height, width, channels = before.shape[1:]
        return (height, width, channels) if height * width > 1 and channels > 1 else None
    return "unknown"


def parallel_layers(model: keras.Model) -> tuple[str, str] | None:
    """Return the names of two layers with kernels of one shape of which neither follows the other, or None.

    The order of such layers in a file is that in which a program defined them, so it does not tell which is which.
    """
    names = {id(layer): name for name, layer in named_layers(model).items()}
    earlier: dict[int, frozenset[str]] = {}  # layers with weights before and including a tensor, by its identity
    before: dict[str, frozenset[str]] = {}

    def of(tensor: Any) -> frozenset[str]:
        if isinstance(tensor, list | tuple):
            return frozenset(itertools.chain.from_iterable(map(of, tensor)))
        if id(tensor) not in earlier:
            operation = tensor._keras_history.operation
            nodes = getattr(operation, "_inbound_nodes", None)
            above = of(nodes[0].input_tensors) if nodes else frozenset()
            name = names.get(id(operation))
            if name is not None:
                before[name] = above
                above |= {name}
            earlier[id(tensor)] = above
        return earlier[id(tensor)]

    try:
        of(model.outputs)
    except (AttributeError, ValueError, RecursionError):
        return None  # a model without a graph, whose layers follow each other as far as can be told
    shapes = {
        name: tuple(tuple(weight.shape) for weight in layer.weights if len(weight.shape) > 1)
        for name, layer in named_layers(model).items()
    }
    for one, other in itertools.combinations(before, 2):
        if shapes[one] and shapes[one] == shapes[other] and one not in before[other] and other not in before[one]:
            return one, other
    return None
