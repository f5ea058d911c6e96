"""Weights files of other programs, written without those programs."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
STORAGES = {"float32": "FloatStorage", "float64": "DoubleStorage", "float16": "HalfStorage", "int64": "LongStorage"}


@dataclass
class Global:
    """A class or function, by its name."""

    module: str
    name: str


@dataclass
class Call:
    """A call, as `__reduce__` describes it; `state` is what `__setstate__` is called with."""

    function: Any
    arguments: Any
    state: Any = None


@dataclass
class Persistent:
    """What a pickle refers to by an identity."""

    identity: Any


def dumps(value: Any) -> bytes:
    """Return a pickle of protocol 2, as `torch.save` writes it."""
    return b"\x80\x02" + _opcodes(value) + b"."


def _opcodes(value: Any) -> bytes:
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int):
        data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        return b"\x8a" + bytes([len(data)]) + data
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, str):
        return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
    if isinstance(value, tuple | list):
        return b"(" + b"".join(map(_opcodes, value)) + (b"t" if isinstance(value, tuple) else b"l")
    if isinstance(value, dict):
        return b"}(" + b"".join(_opcodes(each) for item in value.items() for each in item) + b"u"
    if isinstance(value, Global):
        return f"c{value.module}\n{value.name}\n".encode()
    if isinstance(value, Call):
        call = _opcodes(value.function) + _opcodes(value.arguments) + b"R"
        return call if value.state is None else call + _opcodes(value.state) + b"b"
    assert isinstance(value, Persistent)
    return _opcodes(value.identity) + b"Q"


def storage(key: str, numel: int, dtype: str = "float32") -> Persistent:
    """Return a reference to a storage."""
    return Persistent(("storage", Global("torch", STORAGES.get(dtype, dtype)), key, "cpu", numel))


def tensor(of: Persistent, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> Call:
    """Return a tensor, as PyTorch pickles it."""
    hooks = Call(Global("collections", "OrderedDict"), ())
    return Call(Global("torch._utils", "_rebuild_tensor_v2"), (of, offset, shape, strides, False, hooks))


def contiguous(of: Persistent, shape: tuple[int, ...]) -> Call:
    """Return a tensor that is the whole storage."""
    return tensor(of, shape, tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))))


def state_dict(arrays: Mapping[str, NDArray[Any]]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return a dictionary of tensors, and the content of the storages, keyed by name."""
    tensors, storages = {}, {}
    for position, (name, array) in enumerate(arrays.items()):
        key = str(position)
        tensors[name] = contiguous(storage(key, array.size, array.dtype.name), array.shape)
        storages[key] = array.tobytes()
    return tensors, storages


def pytorch_zip(content: Any, storages: Mapping[str, bytes]) -> bytes:
    """Return a file of `torch.save`."""
    return zipped(
        {
            "archive/data.pkl": content if isinstance(content, bytes) else dumps(content),
            "archive/byteorder": b"little",
            **{f"archive/data/{key}": data for key, data in storages.items()},
            "archive/version": b"3\n",
        }
    )


def pytorch_legacy(content: Any, storages: Mapping[str, bytes], itemsize: int = 4) -> bytes:
    """Return a file of `torch.save` before PyTorch 1.6."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    pickles = [
        dumps(MAGIC_NUMBER),
        dumps(1001),
        dumps(system),
        content if isinstance(content, bytes) else dumps(content),
    ]
    values = [struct.pack("<q", len(data) // itemsize) + data for data in storages.values()]
    return b"".join([*pickles, dumps(list(storages)), *values])


def zipped(members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return a zip archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression, compresslevel=1) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()
