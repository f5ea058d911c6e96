"""A model's weights as named arrays, and back.

Weights are known by position and variable name (``"000.kernel"``): Keras numbers automatic layer names by how
many layers a process has made, so a path such as ``conv2d_3/kernel`` means nothing in the next process.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from zoo.runs.array_io import Layout, decode, encode_arrays

if TYPE_CHECKING:
    from collections.abc import Mapping

    import keras
    from numpy.typing import NDArray

_AUTOMATIC = re.compile(r"variable_\d+")  # what Keras names the N-th variable that was given no name


def names_of(model: keras.Model) -> list[str]:
    """Return the names by which a model's weights are stored, in the order of ``model.weights``."""
    return [
        f"{position:03d}.{'variable' if _AUTOMATIC.fullmatch(weight.name) else weight.name}"
        for position, weight in enumerate(model.weights)
    ]


def snapshot(model: keras.Model) -> dict[str, NDArray[Any]]:
    """Return copies of a model's weights by name: batch-norm statistics too, seed generators and metrics not."""
    import keras
    import numpy as np

    return {
        name: np.array(keras.ops.convert_to_numpy(weight.value))
        for name, weight in zip(names_of(model), model.weights, strict=True)
    }


def restore(model: keras.Model, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Assign what `snapshot` returned to a model of the same build."""
    for name, weight in zip(names_of(model), model.weights, strict=True):
        weight.assign(arrays[name])


def encode(model: keras.Model) -> bytes:
    """Return a model's weights as the bytes of a safetensors file; equal weights give equal bytes."""
    return encode_arrays(snapshot(model))


def layout_of(model: keras.Model) -> Layout:
    """Return the shapes and types of a model's weights by name."""
    import keras

    return {
        name: (tuple(weight.shape), keras.backend.standardize_dtype(weight.dtype))
        for name, weight in zip(names_of(model), model.weights, strict=True)
    }


def decode_into(model: keras.Model, data: bytes, source: str) -> None:
    """Assign the weights of an artifact to a model, or none of them.

    Args:
        model: A model built as the one whose weights were encoded.
        data: The bytes of a safetensors file.
        source: What to call it in messages.

    Raises:
        ArtifactError: As for `decode`. The model is then as it was.
    """
    restore(model, decode(data, layout_of(model), source))
