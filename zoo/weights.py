"""A model's variables as a safetensors artifact, and back: data only, compared whole before anything changes.

Weights are known by position and variable name (``"000.kernel"``): Keras numbers automatic layer names by how
many layers a process has made, so a path such as ``conv2d_3/kernel`` means nothing in the next process.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from zoo import strict_json
from zoo.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import keras
    from numpy.typing import NDArray

_HEADER_ALLOWANCE = 1 << 20
_AUTOMATIC = re.compile(r"variable_\d+")  # what Keras names the N-th variable that was given no name

TYPES = frozenset(
    [
        "bool",
        *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
        "float16",
        "float32",
        "float64",
    ]
)
"""The types of arrays that artifacts hold."""

Layout = dict[str, tuple[tuple[int, ...], str]]
"""Shapes and types of arrays, by name."""


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


def encode_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return arrays as the bytes of a safetensors file; equal arrays give equal bytes.

    Raises:
        ArtifactError: One is no array, or of a type that artifacts do not hold.
    """
    import numpy as np
    from safetensors.numpy import save

    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype.name not in TYPES:
            received = getattr(array, "dtype", type(array).__name__)
            raise ArtifactError(
                f"{name!r} cannot be stored: it must be a NumPy array of a plain type. Received: {received}"
            )
    return save(dict(arrays))


def layout_of(model: keras.Model) -> Layout:
    """Return the shapes and types of a model's weights by name."""
    import keras

    return {
        name: (tuple(weight.shape), keras.backend.standardize_dtype(weight.dtype))
        for name, weight in zip(names_of(model), model.weights, strict=True)
    }


def layout_of_arrays(arrays: Mapping[str, NDArray[Any]]) -> Layout:
    """Return the shapes and types of arrays by name."""
    return {name: (array.shape, array.dtype.name) for name, array in arrays.items()}


def bytes_needed(layout: Layout) -> int:
    """Return how many bytes the values of arrays of a layout take."""
    import numpy as np

    return sum(np.dtype(dtype).itemsize * math.prod(shape) for shape, dtype in layout.values())


def size_limit(layout: Layout) -> int:
    """Return the most bytes that a safetensors file of a layout can have: its values and a header."""
    return bytes_needed(layout) + _HEADER_ALLOWANCE + 200 * len(layout)


def decode(data: bytes, layout: Layout, source: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of a safetensors file, all of them as a layout says.

    Args:
        data: The bytes of the file.
        layout: Names, shapes and types that it must have, neither more nor fewer.
        source: What to call it in messages.

    Raises:
        ArtifactError: It is not a safetensors file, names an array twice, a name, shape or type differs from the
            layout, or a value is NaN or infinite.
    """
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        _check_header(data)
        arrays = load(data)
    except (SafetensorError, LookupError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ArtifactError(f"{source} is not a valid safetensors file: {' '.join(str(error).split())}.") from error
    missing, extra = sorted(set(layout) - set(arrays)), sorted(set(arrays) - set(layout))
    if missing or extra:
        raise ArtifactError(
            f"{source} does not hold this model's weights: it was saved from another model, or from another "
            f"version of it. Received: {len(arrays)} arrays for {len(layout)} weights, "
            f"missing={missing[:3]}, unexpected={extra[:3]!r:.200}"
        )
    for name, (shape, dtype) in layout.items():
        array = arrays[name]
        if array.shape != shape or array.dtype.name != dtype:
            raise ArtifactError(
                f"{source} holds {name!r} as {array.dtype}{list(array.shape)}, "
                f"and the model needs {dtype}{list(shape)}: it was saved from another model."
            )
        if not np.isfinite(array).all():
            raise ArtifactError(f"{source} holds NaN or infinity in {name!r}: it cannot be used.")
    return arrays


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


def _check_header(data: bytes) -> None:
    """Raise `ValueError` if the header names an array twice: the library would take one of them."""
    size = int.from_bytes(data[:8], "little")
    if not 2 <= size <= len(data) - 8:
        raise ValueError(f"its header cannot have {size} bytes")
    strict_json.check_keys(data[8 : 8 + size])
