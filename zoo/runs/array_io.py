"""Encode named arrays as the bytes of a safetensors file, and decode them with full validation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from zoo.errors import ArtifactError
from zoo.utils import strict_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from mmap import mmap

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
"""The array types that artifacts can contain."""

Layout = dict[str, tuple[tuple[int, ...], str]]
"""Shapes and types of arrays, keyed by name."""


def encode_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Encode arrays as the bytes of a safetensors file. Equal arrays result in equal bytes.

    Raises:
        ArtifactError: One of them is not an array, or has a type that artifacts cannot contain.
    """
    import numpy as np
    from safetensors.numpy import save

    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype.name not in TYPES:
            received = getattr(array, "dtype", type(array).__name__)
            raise ArtifactError(
                f"{name!r} cannot be stored: it must be a NumPy array of numbers or booleans. Received: {received}"
            )
    return save(dict(arrays))


def layout_of_arrays(arrays: Mapping[str, NDArray[Any]]) -> Layout:
    """Return the shapes and types of arrays, keyed by name."""
    return {name: (array.shape, array.dtype.name) for name, array in arrays.items()}


def bytes_needed(layout: Layout) -> int:
    """Return the size in bytes of the values of all arrays in a layout."""
    import numpy as np

    return sum(np.dtype(dtype).itemsize * math.prod(shape) for shape, dtype in layout.values())


def size_limit(layout: Layout) -> int:
    """Return the maximum size in bytes of a safetensors file with a layout: values and header."""
    return bytes_needed(layout) + _HEADER_ALLOWANCE + 200 * len(layout)


def decode(data: bytes, layout: Layout, source: str) -> dict[str, NDArray[Any]]:
    """Decode the arrays of a safetensors file and check them against a layout.

    Args:
        data: The bytes of the file.
        layout: The exact names, shapes and types that the file must contain.
        source: How messages refer to the file.

    Raises:
        ArtifactError: It is not a safetensors file or has a duplicate array name; a name, shape or type differs from
            the layout; or a value is NaN or infinite.
    """
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        check_header(data)
        arrays = load(data)
    except (SafetensorError, LookupError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ArtifactError(
            f"{source} is not a valid safetensors file: {' '.join(str(error).split())}. Restore it from a copy.",
            path=source,
        ) from error
    missing, extra = sorted(set(layout) - set(arrays)), sorted(set(arrays) - set(layout))
    if missing or extra:
        raise ArtifactError(
            f"{source} does not contain the weights of this model: it was saved from another model or another version "
            f"of it. Use the model that it was saved from. Received: {len(arrays)} arrays for {len(layout)} weights, "
            f"missing={missing[:3]}, unexpected={extra[:3]!r:.200}",
            path=source,
        )
    for name, (shape, dtype) in layout.items():
        array = arrays[name]
        if array.shape != shape or array.dtype.name != dtype:
            raise ArtifactError(
                f"{source} contains {name!r} as {array.dtype}{list(array.shape)}, but the model needs "
                f"{dtype}{list(shape)}: it was saved from another model. Use the model that it was saved from.",
                path=source,
            )
        if not np.isfinite(array).all():
            raise ArtifactError(
                f"{source} contains NaN or infinity in {name!r} and cannot be used. Restore it from a copy.",
                path=source,
            )
    return arrays


def check_header(data: bytes | mmap) -> int:
    """Return the size of the header of a safetensors file, which follows the first 8 bytes.

    Raises:
        ValueError: It is not JSON, or contains a name twice: the library would silently use one of the two.
    """
    size = int.from_bytes(data[:8], "little")
    if not 2 <= size <= len(data) - 8:
        raise ValueError(f"the header cannot have {size} bytes")
    strict_json.check_keys(data[8 : 8 + size])
    return size
