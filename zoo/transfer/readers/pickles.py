"""An interpreter for pickles of PyTorch that knows tensors alone. It imports nothing and calls nothing in a file.

Python's unpickler executes what a file says, however its classes are restricted. This one builds dictionaries, lists,
tuples, texts and numbers, and `torch_objects`, and refuses everything else.
"""

from __future__ import annotations

import pickletools
from typing import TYPE_CHECKING, Any, Protocol

from zoo.transfer.readers import torch_objects
from zoo.transfer.readers.contents import FileFault

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_OPERATIONS = 20_000_000
_FAULTS = (ValueError, TypeError, IndexError, KeyError, OverflowError, AttributeError)  # of what is not a valid pickle
_MARK = object()  # where a collection begins on the stack
_NUMBERS = frozenset(("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"))
_TEXTS = frozenset(("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"))
_BYTES = frozenset(("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"))
_IGNORED = frozenset(("PROTO", "FRAME"))


class Readable(Protocol):
    """A file object, or a `mmap.mmap`."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes."""

    def readline(self) -> bytes:
        """Return the next line."""


def load(file: Readable) -> Any:
    """Interpret one pickle. The file's position is then after it.

    Raises:
        FileFault: It is damaged, or contains anything but tensors in plain collections.
    """
    machine = _Machine()
    reason: object = "it ends early"
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):  # type: ignore[arg-type]
            if count > _MOST_OPERATIONS:
                raise FileFault(f"contains a pickle of more than {_MOST_OPERATIONS} operations. {torch_objects.CURE}")
            if opcode.name == "STOP":
                return machine.stack.pop()
            machine.step(opcode.name, argument)
    except _FAULTS as error:
        reason = error
    raise FileFault(f"is damaged: its pickle is invalid, {reason!s:.150}. Download or save it again.")


class _Machine:
    """The stack and the memo of the interpreter."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._with_argument: dict[str, Callable[[Any], None]] = {
            **dict.fromkeys(_NUMBERS | _TEXTS | _BYTES, self.stack.append),
            **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), self._put),
            **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), self._get),
            "GLOBAL": self._named,
        }
        self._without: dict[str, Callable[[], object]] = {
            "NONE": lambda: self.stack.append(None),
            "NEWTRUE": lambda: self.stack.append(True),
            "NEWFALSE": lambda: self.stack.append(False),
            "EMPTY_LIST": lambda: self.stack.append([]),
            "EMPTY_TUPLE": lambda: self.stack.append(()),
            "EMPTY_DICT": lambda: self.stack.append({}),
            "MARK": lambda: self.stack.append(_MARK),
            "POP": self.stack.pop,
            "POP_MARK": self._marked,
            "DUP": lambda: self.stack.append(self.stack[-1]),
            "MEMOIZE": lambda: self._put(len(self._memo)),
            "TUPLE1": lambda: self._tuple(1),
            "TUPLE2": lambda: self._tuple(2),
            "TUPLE3": lambda: self._tuple(3),
            "TUPLE": lambda: self.stack.append(tuple(self._marked())),
            "LIST": lambda: self.stack.append(self._marked()),
            "DICT": self._dict,
            "APPEND": lambda: self._extend([self.stack.pop()]),
            "APPENDS": lambda: self._extend(self._marked()),
            "SETITEM": lambda: self._set_items(self._popped(2)),
            "SETITEMS": lambda: self._set_items(self._marked()),
            "STACK_GLOBAL": lambda: self.stack.append(torch_objects.named(*self._popped(2))),
            "BINPERSID": lambda: self.stack.append(torch_objects.storage(self.stack.pop())),
            "REDUCE": lambda: self.stack.append(torch_objects.called(*self._popped(2))),
            "BUILD": self._build,
        }

    def step(self, name: str, argument: Any) -> None:
        """Carry out one operation."""
        if name in self._without:
            self._without[name]()
        elif name in self._with_argument:
            self._with_argument[name](argument)
        elif name not in _IGNORED:
            raise FileFault(
                f"contains a pickle with the operation {name}, which no state_dict needs. {torch_objects.CURE}"
            )

    def _put(self, position: int) -> None:
        self._memo[position] = self.stack[-1]

    def _get(self, position: int) -> None:
        self.stack.append(self._memo[position])

    def _named(self, argument: str) -> None:
        self.stack.append(torch_objects.named(*argument.split(" ", 1)))

    def _popped(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise ValueError("its stack is empty")
        values = self.stack[-count:]
        del self.stack[-count:]
        return values

    def _tuple(self, count: int) -> None:
        self.stack.append(tuple(self._popped(count)))

    def _marked(self) -> list[Any]:
        """Return and remove the values after the last mark."""
        for start in range(len(self.stack) - 1, -1, -1):
            if self.stack[start] is _MARK:
                values = self.stack[start + 1 :]
                del self.stack[start:]
                return values
        raise ValueError("a collection has no beginning")

    def _dict(self) -> None:
        values = self._marked()
        self.stack.append({})
        self._set_items(values)

    def _extend(self, values: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise ValueError("something is appended to what is not a list")
        self.stack[-1].extend(values)

    def _set_items(self, values: list[Any]) -> None:
        for key, value in zip(values[::2], values[1::2], strict=True):
            torch_objects.set_item(self.stack[-1], key, value)

    def _build(self) -> None:
        """Ignore attributes of ordered dictionaries, which are versions of modules."""
        self.stack.pop()
        if type(self.stack[-1]) is not dict:
            raise FileFault(f"contains a pickle that sets attributes of an object. {torch_objects.CURE}")
