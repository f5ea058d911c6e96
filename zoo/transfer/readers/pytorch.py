"""Files of ``torch.save``: zip archives, and the format before PyTorch 1.6. Needs no PyTorch."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np  # at once: readers are imported in the child process alone

from zoo.transfer.readers import state_dict
from zoo.transfer.readers.archives import read_member
from zoo.transfer.readers.contents import Contents, FileFault, FoundArray, as_float32, from_bfloat16
from zoo.transfer.readers.pickles import load
from zoo.transfer.readers.torch_objects import Storage, Tensor

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from zoo.transfer.readers.contents import Budget, Source

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C  # the first pickle of the old format
PICKLE, _STORAGES, _BYTE_ORDER = "data.pkl", "data/", "byteorder"
_VERSION = 1001  # the second pickle
_DAMAGED = "is damaged: {}. Download or save it again."
_LONGEST_PICKLE = 256 << 20  # bytes
# where checkpoints contain the weights, by preference
_STATE_KEYS = (
    "state_dict",
    "model",
    "model_state_dict",
    "model_ema",
    "state_dict_ema",
    "ema",
    "module",
    "net",
    "network",
    "weights",
    "params",
)
_COUNTER = "num_batches_tracked"
_DEEPEST = 4  # dictionaries in dictionaries


def read_archive(archive: zipfile.ZipFile, budget: Budget) -> Contents:
    """Read a zip archive of ``torch.save``.

    Raises:
        FileFault: It cannot be used.
    """
    pickles = [name for name in archive.namelist() if name == PICKLE or name.endswith(f"/{PICKLE}")]
    if len(pickles) != 1:
        raise FileFault(f"contains {len(pickles)} files named {PICKLE}, but PyTorch writes one.")
    root = pickles[0].removesuffix(PICKLE)
    has_order = root + _BYTE_ORDER in archive.namelist()
    if has_order and read_member(archive, root + _BYTE_ORDER, 100).strip() != b"little":
        raise FileFault("was saved on a big-endian machine. Save it on a little-endian one.")
    content = load(io.BytesIO(read_member(archive, pickles[0], _LONGEST_PICKLE)))
    return _contents(content, budget, lambda key: read_member(archive, f"{root}{_STORAGES}{key}", budget.limit))


def read_legacy(source: Source, budget: Budget) -> Contents:
    """Read a file of ``torch.save`` before PyTorch 1.6: five pickles, then the values of each storage.

    Raises:
        FileFault: It cannot be used.
    """
    data = source.mapped
    if load(data) != MAGIC_NUMBER:
        raise FileFault(
            "is a pickle, but not one of PyTorch. Save the state_dict with PyTorch: torch.save(model.state_dict(), "
            "path)."
        )
    if load(data) != _VERSION:
        raise FileFault(f"was saved in a version of PyTorch's format other than {_VERSION}. Save it again.")
    system, content, keys = load(data), load(data), load(data)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise FileFault("was saved on a big-endian machine. Save it on a little-endian one.")
    storages = {tensor.storage.key: tensor.storage for tensor in _tensors(content)}
    if not isinstance(keys, list) or not set(storages) <= {key for key in keys if isinstance(key, str)}:
        raise FileFault(_DAMAGED.format("the list of storages is incomplete"))
    sizes = _sizes(content)
    places, position = {}, data.tell()
    for key in keys:
        if key not in sizes:
            raise FileFault(_DAMAGED.format("a storage has no type"))
        numel = int.from_bytes(data[position : position + 8], "little")
        end = position + 8 + numel * sizes[key]
        if end > len(data):
            raise FileFault(_DAMAGED.format(f"it ends before storage {key!r:.50}"))
        places[key] = (position + 8, end)
        position = end
    return _contents(content, budget, lambda key: memoryview(data)[slice(*places[key])])


def _sizes(content: Any) -> dict[str, int]:
    """Return the size in bytes of a value of each storage."""
    return {tensor.storage.key: _itemsize(tensor.storage) for tensor in _tensors(content)}


def _itemsize(storage: Storage) -> int:
    return 2 if storage.dtype == "bfloat16" else np.dtype(storage.dtype).itemsize


def _tensors(content: Any) -> list[Tensor]:
    """Return all tensors in nested collections."""
    found, waiting, seen = [], [content], set()
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, Tensor):
            found.append(each)
        elif isinstance(each, dict):
            waiting += each.values()
        elif isinstance(each, list | tuple):
            waiting += each
    return found


def _contents(content: Any, budget: Budget, values_of: Callable[[str], bytes | memoryview]) -> Contents:
    state = _state(content, _DEEPEST)
    if state is None:
        raise FileFault(
            "contains no state_dict: a dictionary of tensors. Save one: torch.save(model.state_dict(), path)."
        )
    tensors = {
        name: value
        for name, value in state.items()
        if isinstance(name, str)
        and isinstance(value, Tensor)
        and _is_float(value.storage)
        and not name.endswith(_COUNTER)
    }
    short = state_dict.without_prefixes(tensors)
    roles = state_dict.roles_of({short[name]: len(tensor.shape) for name, tensor in tensors.items()})
    storages: dict[Storage, NDArray[Any]] = {}
    arrays = []
    for full, tensor in tensors.items():
        name = short[full]
        budget.add(name, tensor.shape)
        layer, role = roles[name]
        array = _array(tensor, storages, values_of)
        arrays.append(FoundArray(name=name, layer=layer, role=role, array=array))
    return Contents(format="PyTorch", layout="pytorch", is_ordered=True, arrays=arrays)


def _is_float(storage: Storage) -> bool:
    return storage.dtype == "bfloat16" or np.dtype(storage.dtype).kind == "f"


def _state(content: Any, depth: int) -> Mapping[Any, Any] | None:
    """Return the dictionary of a model's tensors in a checkpoint, or None."""
    if not isinstance(content, dict) or depth == 0:
        return None
    for key in _STATE_KEYS:
        if (found := _state(content.get(key), depth - 1)) is not None:
            return found
    return content if any(isinstance(value, Tensor) for value in content.values()) else None


def _array(
    tensor: Tensor, storages: dict[Storage, NDArray[Any]], values_of: Callable[[str], bytes | memoryview]
) -> NDArray[np.float32]:
    """Return the values of a tensor."""
    if 0 in tensor.shape:
        return np.zeros(tensor.shape, np.float32)
    storage = tensor.storage
    is_bfloat16 = storage.dtype == "bfloat16"
    if storage not in storages:  # with another type or size, the same values are another storage
        values = values_of(storage.key)
        if len(values) < storage.numel * _itemsize(storage):
            raise FileFault(_DAMAGED.format(f"storage {storage.key!r:.50} is smaller than its tensors"))
        kind = np.dtype(np.uint16 if is_bfloat16 else storage.dtype)
        storages[storage] = np.frombuffer(values, kind, storage.numel)
    flat = storages[storage]
    strides = [stride * flat.itemsize for stride in tensor.strides]
    view = np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.shape, strides, writeable=False)
    return from_bfloat16(view) if is_bfloat16 else as_float32(view)
