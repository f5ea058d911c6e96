"""Convert a model's weights to named arrays, and back.

Names consist of a weight's position and variable name (``"000.kernel"``). Keras numbers automatic layer names by the
layers that a process has created, so a path such as ``conv2d_3/kernel`` differs in the next process.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from zoo.runs.array_io import Layout, decode, encode_arrays

if TYPE_CHECKING:
    from collections.abc import Mapping

    import keras
    from numpy.typing import NDArray

_AUTOMATIC = re.compile(r"variable_\d+")  # Keras's automatic name for the N-th unnamed variable


def names_of(model: keras.Model) -> list[str]:
    """Return the names under which a model's weights are stored, in the order of ``model.weights``."""
    return [
        f"{position:03d}.{'variable' if _AUTOMATIC.fullmatch(weight.name) else weight.name}"
        for position, weight in enumerate(model.weights)
    ]


def snapshot(model: keras.Model) -> dict[str, NDArray[Any]]:
    """Return copies of a model's weights by name, with batch-norm statistics, without seed generators and metrics."""
    import keras
    import numpy as np

    return {
        name: np.array(keras.ops.convert_to_numpy(weight.value))
        for name, weight in zip(names_of(model), model.weights, strict=True)
    }


def restore(model: keras.Model, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Assign the arrays of a `snapshot` to a model with the same architecture."""
    for name, weight in zip(names_of(model), model.weights, strict=True):
        weight.assign(arrays[name])


def encode(model: keras.Model) -> bytes:
    """Encode a model's weights as the bytes of a safetensors file. Equal weights result in equal bytes."""
    return encode_arrays(snapshot(model))


def layout_of(model: keras.Model) -> Layout:
    """Return the shapes and types of a model's weights, keyed by name."""
    import keras

    return {
        name: (tuple(weight.shape), keras.backend.standardize_dtype(weight.dtype))
        for name, weight in zip(names_of(model), model.weights, strict=True)
    }


def decode_into(model: keras.Model, data: bytes, source: str) -> None:
    """Assign all weights of an artifact to a model, or none of them.

    Args:
        model: A model with the architecture of the one whose weights were encoded.
        data: The bytes of a safetensors file.
        source: How messages refer to the file.

    Raises:
        ArtifactError: As for `decode`. The model is unchanged.
    """
    restore(model, decode(data, layout_of(model), source))
