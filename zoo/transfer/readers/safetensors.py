"""Safetensors files: those of PyTorch models, from timm or Hugging Face, and zoo's own."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np  # at once: readers are imported in the child process alone

from zoo.runs.array_io import check_header
from zoo.transfer.readers import state_dict
from zoo.transfer.readers.contents import Contents, FileFault, FoundArray, as_float32, from_bfloat16, natural

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoo.transfer.readers.contents import Budget, Source

_LARGEST_HEADER = 64 << 20  # bytes
_FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_OTHERS = frozenset(("I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL"))  # counters and the like
_OURS = re.compile(r"(\d{3,})\.(\w+)")  # the names in zoo's artifacts
_DAMAGED = "is not a valid safetensors file: {}. Download or save it again."


def read(source: Source, budget: Budget) -> Contents:
    """Read a safetensors file.

    Raises:
        FileFault: It cannot be used.
    """
    data = source.mapped
    if int.from_bytes(data[:8], "little") > _LARGEST_HEADER:
        raise FileFault(_DAMAGED.format(f"its header is larger than {_LARGEST_HEADER >> 20} MiB"))
    try:
        size = check_header(data)
        header = json.loads(data[8 : 8 + size])
    except (ValueError, RecursionError) as error:
        raise FileFault(_DAMAGED.format(f"{error!s:.200}")) from None
    if not isinstance(header, dict):
        raise FileFault(_DAMAGED.format("its header is not an object"))
    header.pop("__metadata__", None)
    values = memoryview(data)[8 + size :]
    found = {}
    for name in sorted(header, key=natural):
        array = _array(name, header[name], values, budget)
        if array is not None:
            found[name] = array
    if header and all(_OURS.fullmatch(name) for name in header):
        return _own(found)
    short = state_dict.without_prefixes(found)
    roles = state_dict.roles_of({short[name]: array.ndim for name, array in found.items()})
    arrays = []
    for full, array in found.items():
        layer, role = roles[short[full]]
        arrays.append(FoundArray(name=short[full], layer=layer, role=role, array=array))
    # Flax and Keras call kernels so and lay them out alike
    is_kernel = any(name.rpartition(".")[2].rpartition("/")[2] == "kernel" for name in found)
    return Contents(format="safetensors", layout="keras" if is_kernel else "pytorch", is_ordered=False, arrays=arrays)


def _own(found: dict[str, NDArray[np.float32]]) -> Contents:
    """Return the arrays of an artifact of zoo, whose names consist of a weight's position and role."""
    arrays = []
    for name, array in sorted(found.items(), key=lambda item: int(item[0].partition(".")[0])):
        position, _, role = name.partition(".")
        arrays.append(FoundArray(name=name, layer=position, role=role, array=array))
    return Contents(format="safetensors", layout="keras", is_ordered=True, arrays=arrays)


def _array(name: str, entry: Any, values: memoryview, budget: Budget) -> NDArray[np.float32] | None:
    """Return an array of floating-point numbers, or None for one of integers."""
    fields: dict[str, Any] = entry if isinstance(entry, dict) else {}
    dtype, shape, offsets = (fields.get(name) for name in ("dtype", "shape", "data_offsets"))
    if dtype in _OTHERS:
        return None
    if dtype not in _FLOATS:
        raise FileFault(
            f"contains {name!r:.200} in a type that is not supported. Save the weights as float32. "
            f"Received: {dtype!r:.50}"
        )
    if not (_is_list_of_sizes(shape) and _is_list_of_sizes(offsets) and len(offsets) == 2):
        raise FileFault(_DAMAGED.format(f"{name!r:.200} has no shape or place"))
    budget.add(name, shape)
    begin, end = offsets
    kind = np.dtype(_FLOATS[dtype])
    if not begin <= end <= len(values) or end - begin != kind.itemsize * math.prod(shape):
        raise FileFault(_DAMAGED.format(f"{name!r:.200} is not within the file, or has another size than its shape"))
    array = np.frombuffer(values[begin:end], kind).reshape(shape) if end > begin else np.zeros(shape, kind)
    return from_bfloat16(array) if dtype == "BF16" else as_float32(array)


def _is_list_of_sizes(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(each) is int and each >= 0 for each in value)
