"""Named arrays as the bytes of a safetensors file, and back: data only, compared whole."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from zoo.errors import ArtifactError
from zoo.utils import strict_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_HEADER_ALLOWANCE = 1 << 20

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
        raise ArtifactError(
            f"{source} is not a valid safetensors file: {' '.join(str(error).split())}.", path=source
        ) from error
    missing, extra = sorted(set(layout) - set(arrays)), sorted(set(arrays) - set(layout))
    if missing or extra:
        raise ArtifactError(
            f"{source} does not hold this model's weights: it was saved from another model, or from another "
            f"version of it. Received: {len(arrays)} arrays for {len(layout)} weights, "
            f"missing={missing[:3]}, unexpected={extra[:3]!r:.200}",
            path=source,
        )
    for name, (shape, dtype) in layout.items():
        array = arrays[name]
        if array.shape != shape or array.dtype.name != dtype:
            raise ArtifactError(
                f"{source} holds {name!r} as {array.dtype}{list(array.shape)}, "
                f"and the model needs {dtype}{list(shape)}: it was saved from another model.",
                path=source,
            )
        if not np.isfinite(array).all():
            raise ArtifactError(f"{source} holds NaN or infinity in {name!r}: it cannot be used.", path=source)
    return arrays


def _check_header(data: bytes) -> None:
    """Raise `ValueError` if the header names an array twice: the library would take one of them."""
    size = int.from_bytes(data[:8], "little")
    if not 2 <= size <= len(data) - 8:
        raise ValueError(f"its header cannot have {size} bytes")
    strict_json.check_keys(data[8 : 8 + size])
