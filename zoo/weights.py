"""A model's variables as a safetensors artifact, and back: data only, compared whole before anything changes.

Weights are known by position and variable name (``"000.kernel"``): Keras numbers automatic layer names by how
many layers a process has made, so a path such as ``conv2d_3/kernel`` means nothing in the next process.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from zoo.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import keras
    from numpy.typing import NDArray

_HEADER_ALLOWANCE = 1 << 20
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
    from safetensors.numpy import save

    return save(snapshot(model))


def size_limit(model: keras.Model) -> int:
    """Return the most bytes that an artifact of this model can have: its weights and a header."""
    import keras
    import numpy as np

    sizes = (
        np.dtype(keras.backend.standardize_dtype(weight.dtype)).itemsize * math.prod(weight.shape)
        for weight in model.weights
    )
    return int(sum(sizes)) + _HEADER_ALLOWANCE


def decode_into(model: keras.Model, data: bytes, source: str) -> None:
    """Assign the weights of an artifact to a model, or none of them.

    Args:
        model: A model built as the one whose weights were encoded.
        data: The bytes of a safetensors file.
        source: What to call it in messages.

    Raises:
        ArtifactError: It is not a safetensors file, or a name, shape or type differs from the model's, or a
            value is NaN or infinite. The model is then as it was.
    """
    import keras
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(data)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ArtifactError(f"{source} is not a valid safetensors file: {error}.") from error
    names = names_of(model)
    missing, extra = sorted(set(names) - set(arrays)), sorted(set(arrays) - set(names))
    if missing or extra:
        raise ArtifactError(
            f"{source} does not hold this model's weights: it was saved from another model, or from another "
            f"version of it. Received: {len(arrays)} arrays for {len(names)} weights, "
            f"missing={missing[:3]}, unexpected={extra[:3]!r:.200}"
        )
    for name, weight in zip(names, model.weights, strict=True):
        array, dtype = arrays[name], keras.backend.standardize_dtype(weight.dtype)
        if array.shape != tuple(weight.shape) or array.dtype != dtype:
            raise ArtifactError(
                f"{source} holds {name!r} as {array.dtype}{list(array.shape)}, "
                f"and the model needs {dtype}{list(weight.shape)}: it was saved from another model."
            )
        if not np.isfinite(array).all():
            raise ArtifactError(f"{source} holds NaN or infinity in {name!r}: it cannot be used.")
    restore(model, arrays)
