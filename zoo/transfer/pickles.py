"""An interpreter for pickles of PyTorch that knows tensors alone. It imports nothing and calls nothing in a file.

Python's unpickler executes what a file says, however its classes are restricted. This one builds dictionaries, lists, tuples,
texts and numbers, and `Tensor` and `Storage` for PyTorch's, and refuses everything else.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from zoo.transfer.contents import FileFault

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_OPCODES = 20_000_000
_DAMAGED = "is damaged: its pickle {}. Download or save it again."
DTYPES = {
    "DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "<i1", "ByteStorage": "<u1",
    "BoolStorage": "?",
}  # fmt: skip
"""NumPy's names of the data types of PyTorch's storages."""
_TYPES = frozenset(
    f"torch.{name}"
    for name in "float float16 float32 float64 half double bfloat16 int8 int16 int32 int64 uint8 bool int long".split()
)
_ORDERED_DICT, _SIZE, _DEVICE = "collections.OrderedDict", "torch.Size", "torch.device"
_TENSOR = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2")
_PARAMETER = "torch._utils._rebuild_parameter"
_KNOWN = frozenset((_ORDERED_DICT, _SIZE, _DEVICE, *_TENSOR, _PARAMETER))


class Readable(Protocol):
    """A file object, or a `mmap.mmap`."""

    def read(self, size: int, /) -> bytes: ...  # noqa: D102
    def readline(self) -> bytes: ...  # noqa: D102


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


class _Mark:
    """Where a collection begins on the stack."""


def load(file: Readable | BinaryIO) -> Any:
    """Interpret one pickle. The file's position is then after it.

    Raises:
        FileFault: It is damaged, or contains anything but tensors in plain collections.
    """
    machine = _Machine()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):  # type: ignore[arg-type]
            if count > _MOST_OPCODES:
                raise FileFault(f"contains a pickle of more than {_MOST_OPCODES} operations.")
            if opcode.name == "STOP":
                return machine.stack.pop()
            machine.step(opcode.name, argument)
    except FileFault:
        raise
    except (ValueError, TypeError, IndexError, KeyError, OverflowError, UnicodeError, AttributeError) as error:
        raise FileFault(_DAMAGED.format(f"ends early or is invalid ({error!s:.150})")) from None
    raise FileFault(_DAMAGED.format("ends early"))


class _Machine:
    """The stack and the memo of the interpreter."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._steps: dict[str, Callable[[Any], None]] = {
            **dict.fromkeys(_LITERALS, self.stack.append),
            **dict.fromkeys(("PROTO", "FRAME"), lambda argument: None),
            **{name: self._constant(value) for name, value in (("NONE", None), ("NEWTRUE", True), ("NEWFALSE", False))},
            **{name: self._empty(kind) for name, kind in _EMPTY.items()},
            **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), self._put),
            **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda argument: self.stack.append(self._memo[argument])),
            "MEMOIZE": lambda argument: self._put(len(self._memo)),
            "MARK": lambda argument: self.stack.append(_Mark),
            "POP": lambda argument: self._discard(),
            "POP_MARK": lambda argument: self._discard_marked(),
            "DUP": lambda argument: self.stack.append(self.stack[-1]),
            "TUPLE1": lambda argument: self._tuple(1),
            "TUPLE2": lambda argument: self._tuple(2),
            "TUPLE3": lambda argument: self._tuple(3),
            "TUPLE": lambda argument: self.stack.append(tuple(self._marked())),
            "LIST": lambda argument: self.stack.append(self._marked()),
            "DICT": lambda argument: self._set_items(self._marked(), {}),
            "APPEND": lambda argument: self._extend([self.stack.pop()]),
            "APPENDS": lambda argument: self._extend(self._marked()),
            "SETITEM": lambda argument: self._set_items([self.stack.pop() for _ in range(2)][::-1]),
            "SETITEMS": lambda argument: self._set_items(self._marked()),
            "GLOBAL": lambda argument: self._global(*argument.split(" ", 1)),
            "STACK_GLOBAL": lambda argument: self._global(*[self.stack.pop() for _ in range(2)][::-1]),
            "BINPERSID": lambda argument: self.stack.append(_storage(self.stack.pop())),
            "REDUCE": lambda argument: self._reduce(),
            "BUILD": lambda argument: self._build(),
        }

    def step(self, name: str, argument: Any) -> None:
        """Carry out one operation."""
        if name not in self._steps:
            raise FileFault(f"contains a pickle with the operation {name}, which no state_dict needs. {_CURE}")
        self._steps[name](argument)

    def _constant(self, value: object) -> Callable[[Any], None]:
        return lambda argument: self.stack.append(value)

    def _empty(self, kind: Callable[[], object]) -> Callable[[Any], None]:
        return lambda argument: self.stack.append(kind())

    def _put(self, position: int) -> None:
        self._memo[position] = self.stack[-1]

    def _discard(self) -> None:
        self.stack.pop()

    def _discard_marked(self) -> None:
        self._marked()

    def _tuple(self, count: int) -> None:
        if len(self.stack) < count:
            raise ValueError("a tuple has no values")
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def _marked(self) -> list[Any]:
        start = len(self.stack) - 1
        while self.stack[start] is not _Mark:
            start -= 1
            if start < 0:
                raise ValueError("a collection has no beginning")
        values = self.stack[start + 1 :]
        del self.stack[start:]
        return values

    def _extend(self, values: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise ValueError("something is appended to what is not a list")
        self.stack[-1].extend(values)

    def _set_items(self, values: list[Any], new: dict[Any, Any] | None = None) -> None:
        if new is not None:
            self.stack.append(new)
        if type(self.stack[-1]) is not dict or len(values) % 2:
            raise ValueError("an item is set in what is not a dictionary")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, str | int | float | bytes | None):
                raise ValueError("a key is not a text or number")
            self.stack[-1][key] = value

    def _global(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("a class has no name")
        full = f"{module}.{name}"
        is_storage = module in ("torch", "torch.storage", "torch.cuda") and name in DTYPES
        if full not in _KNOWN and full not in _TYPES and not is_storage:
            kind = "class" if name[:1].isupper() else "function"
            raise FileFault(f"contains the {kind} {full:.200}. {_CURE}")
        self.stack.append(Global(full))

    def _reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, Global) or type(arguments) is not tuple:
            raise ValueError("something is called that is not a function")
        if function.name == _ORDERED_DICT:
            self.stack.append({})
            for pair in arguments[0] if arguments else ():
                self._set_items(list(pair))
        elif function.name in _TENSOR:
            self.stack.append(_tensor(*arguments[:4]))
        elif function.name == _PARAMETER:
            self.stack.append(arguments[0])
        elif function.name == _SIZE:
            self.stack.append(tuple(arguments[0]))
        elif function.name == _DEVICE:
            self.stack.append(None)
        else:
            raise FileFault(f"contains a call of {function.name}, which no state_dict needs. {_CURE}")

    def _build(self) -> None:
        """Ignore attributes of ordered dictionaries, which are versions of modules."""
        self.stack.pop()
        if type(self.stack[-1]) is not dict:
            raise FileFault(f"contains a pickle that sets attributes of an object. {_CURE}")


_CURE = "Save the state_dict alone: torch.save(model.state_dict(), path)."
_LITERALS = (
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE "
    "SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8"
).split()
_EMPTY: dict[str, Callable[[], object]] = {"EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_DICT": dict}


def _storage(identity: Any) -> Storage:
    """Return a storage that a pickle refers to."""
    if type(identity) is not tuple or len(identity) not in (5, 6) or identity[0] != "storage":
        raise ValueError("a storage has no name")
    kind, key, numel = identity[1], identity[2], identity[4]
    if not isinstance(kind, Global) or (dtype := DTYPES.get(kind.name.rpartition(".")[2])) is None:
        raise ValueError("a storage has no type")
    if not isinstance(key, str) or type(numel) is not int or numel < 0 or (len(identity) == 6 and identity[5] is not None):
        raise ValueError("a storage has no name or size, or is a part of another")
    return Storage(key, dtype, numel)


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> Tensor:
    """Return a tensor, after checking that it is within its storage."""
    numbers = [offset, *shape, *strides]
    if not isinstance(storage, Storage) or any(type(number) is not int or number < 0 for number in numbers):
        raise ValueError("a tensor has no storage or shape")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if 0 not in shape and last >= storage.numel:
        raise FileFault(f"is damaged: a tensor goes beyond its storage {storage.key!r:.50}. Download or save it again.")
    return Tensor(storage, offset, tuple(shape), tuple(strides))
