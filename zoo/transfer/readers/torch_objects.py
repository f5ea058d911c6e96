"""The few things of PyTorch that a pickle of tensors names, and the only ones that `pickles` knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zoo.transfer.readers.contents import FileFault

CURE = "Save the state_dict alone: torch.save(model.state_dict(), path)."

_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
}
_STORAGE_MODULES = ("torch", "torch.storage", "torch.cuda")
_FLOATS = ("float", "float16", "float32", "float64", "half", "double", "bfloat16")
_OTHERS = ("int8", "int16", "int32", "int64", "uint8", "bool", "int", "long")
_ORDERED_DICT, _SIZE, _DEVICE = "collections.OrderedDict", "torch.Size", "torch.device"
_TENSOR = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2")
_PARAMETER = "torch._utils._rebuild_parameter"
_KNOWN = frozenset(
    (_ORDERED_DICT, _SIZE, _DEVICE, *_TENSOR, _PARAMETER, *(f"torch.{name}" for name in (*_FLOATS, *_OTHERS)))
)


@dataclass(frozen=True)
class Global:
    """A class or function that a pickle names."""

    name: str


@dataclass(frozen=True)
class Storage:
    """The values of one or more tensors.

    Attributes:
        key: Its name in the file.
        dtype: NumPy's name of its type, or ``"bfloat16"``.
        numel: Number of values.
    """

    key: str
    dtype: str
    numel: int


@dataclass(frozen=True, eq=False)
class Tensor:
    """A part of a storage. All numbers have been checked to be within it."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def named(module: Any, name: Any) -> Global:
    """Return a class or function, which is only a name.

    Raises:
        FileFault: A file of tensors does not need it.
    """
    if not isinstance(module, str) or not isinstance(name, str):
        raise ValueError("a class has no name")
    full = f"{module}.{name}"
    if full not in _KNOWN and not (module in _STORAGE_MODULES and name in _DTYPES):
        kind = "class" if name[:1].isupper() else "function"
        raise FileFault(f"contains the {kind} {full:.200}. {CURE}")
    return Global(full)


def called(function: Any, arguments: Any) -> Any:
    """Return what a call results in: a dictionary, a `Tensor`, a tuple or None.

    Raises:
        FileFault: A file of tensors does not need this call.
    """
    if not isinstance(function, Global) or type(arguments) is not tuple:
        raise ValueError("something is called that is not a function")
    if function.name == _ORDERED_DICT:
        items: dict[Any, Any] = {}
        for key, value in arguments[0] if arguments else ():
            set_item(items, key, value)
        return items
    if function.name in _TENSOR:
        return _tensor(*arguments[:4])
    if function.name == _PARAMETER:
        return arguments[0]
    if function.name == _SIZE:
        return tuple(arguments[0])
    if function.name == _DEVICE:
        return None
    raise FileFault(f"contains a call of {function.name}, which no state_dict needs. {CURE}")


def set_item(target: Any, key: Any, value: Any) -> None:
    """Set an item of a dictionary."""
    if type(target) is not dict or not isinstance(key, str | int | float | bytes | None):
        raise ValueError("an item is set in what is not a dictionary, or under what is not a text or number")
    target[key] = value


def storage(identity: Any) -> Storage:
    """Return the storage that a pickle refers to."""
    if type(identity) is not tuple or len(identity) not in (5, 6) or identity[0] != "storage":
        raise ValueError("a storage has no name")
    kind, key, numel = identity[1], identity[2], identity[4]
    if not isinstance(kind, Global) or (dtype := _DTYPES.get(kind.name.rpartition(".")[2])) is None:
        raise ValueError("a storage has no type")
    if not isinstance(key, str) or type(numel) is not int or numel < 0:
        raise ValueError("a storage has no name or size")
    if identity[5:] not in ((), (None,)):
        raise ValueError("a storage is a part of another")
    return Storage(key, dtype, numel)


def _tensor(of: Any, offset: Any, shape: Any, strides: Any) -> Tensor:
    numbers = [offset, *shape, *strides]
    if not isinstance(of, Storage) or any(type(number) is not int or number < 0 for number in numbers):
        raise ValueError("a tensor has no storage or shape")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if 0 not in shape and last >= of.numel:
        raise FileFault(f"is damaged: a tensor goes beyond its storage {of.key!r:.50}. Download or save it again.")
    return Tensor(of, offset, tuple(shape), tuple(strides))
