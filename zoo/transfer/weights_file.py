"""Read a weights file of Keras, PyTorch, safetensors or ONNX, in a process of its own that can do nothing else."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from zoo.errors import ArtifactError, RunFolderError
from zoo.transfer.opening import open_regular, sealed_copy
from zoo.utils import ChildProcess, missing_extra, printable, usable_memory
from zoo.utils.files import translate_os_errors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zoo.transfer.messages import ArrayHeader, Header

_OF_MEMORY = 8  # a file may have this part of the memory, and so may its arrays
_LEAST, _EXPANSION = (
    256 << 20,
    20,
)  # bytes that every file's arrays may have; how often larger than the file they may be
_OVERHEAD = 512 << 20  # bytes of address space for libraries
_SECONDS, _BYTES_PER_SECOND = 60, 10_000_000  # time to read a file
_LARGEST_HEADER = 64 << 20  # bytes
_LONGEST_FAULT = 1000  # characters


@dataclass(frozen=True, kw_only=True)
class WeightsArray:
    """One array of a weights file.

    Attributes:
        name: Its full name in the file: ``"features.0.weight"``, ``"conv2d/kernel"``, ``"layers/conv2d/vars/0"``.
        layer: The layer or module that it belongs to: ``"features.0"``, ``"conv2d"``, ``"layers/conv2d"``.
        role: ``"kernel"``, ``"depthwise_kernel"``, ``"pointwise_kernel"``, ``"bias"``, ``"gamma"``, ``"beta"``,
            ``"moving_mean"`` or ``"moving_variance"``; another word of the file's if it is none of these; None if the
            file does not say.
        array: Its values, as float32, all finite, in the file's layout.
    """

    name: str
    layer: str
    role: str | None
    array: NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """The content of a weights file.

    Attributes:
        path: The file.
        format: ``"Keras HDF5"``, ``"Keras weights"``, ``"Keras archive"``, ``"PyTorch"``, ``"safetensors"`` or
            ``"ONNX"``.
        sha256: The SHA-256 digest of the file, in hexadecimal.
        layout: ``"pytorch"`` if kernels of convolutions have the shape (out, in, height, width) and those of dense
            layers (out, in); otherwise ``"keras"``.
        is_ordered: Whether the arrays are in the order of the model's layers.
        arrays: The arrays. Integers, such as counters of steps, are left out.
    """

    path: Path
    format: str
    sha256: str
    layout: Literal["keras", "pytorch"]
    is_ordered: bool
    arrays: tuple[WeightsArray, ...]


def read_weights(path: Path) -> WeightsFile:
    """Read all arrays of a weights file, of any format that is supported.

    Nothing in the file is executed, and no model is built from it. It is read in a child process that has limited
    memory and time, and cannot open files or start programs.

    Raises:
        ArtifactError: It is not a weights file, damaged, too large, or contains something else than weights.
        PluginError: It is an ONNX model, and the extra ``onnx`` is not installed.
    """
    path = Path(path)
    if "\0" in str(path):
        raise ArtifactError(f"This is not a valid file name. Choose another. Received: path={str(path)!r}", path=path)
    with contextlib.ExitStack() as stack:
        try:
            with translate_os_errors("read", path):
                source = stack.enter_context(open_regular(path))
                size = os.fstat(source).st_size
                memory = usable_memory()
                if size > memory // _OF_MEMORY:
                    raise ArtifactError(
                        f"{path} is too large to be read on this machine: it may have at most "
                        f"{memory // _OF_MEMORY} bytes, an eighth of the memory. Use a smaller file or another "
                        f"machine. Received: {size} bytes",
                        path=path,
                    )
                copy, digest = stack.enter_context(sealed_copy(source, size))
                limit = min(memory // _OF_MEMORY, _LEAST + _EXPANSION * size)
                seconds = _SECONDS + size // _BYTES_PER_SECOND
                arguments = (copy, limit, 2 * limit + 3 * size + _OVERHEAD, seconds)
                most = limit + _LARGEST_HEADER
                child = ChildProcess("zoo.transfer.child", *map(str, arguments), descriptors=[copy], limit=most)
                stack.callback(child.end)  # also after Ctrl-C
        except RunFolderError as error:
            raise ArtifactError(printable(str(error)), path=path) from error
        return _received(child, path, digest, limit, seconds)


def _received(child: ChildProcess, path: Path, digest: str, limit: int, seconds: int) -> WeightsFile:
    """Receive what the child reads. It may have been taken over by the file, so nothing that it sends is trusted."""
    import msgspec

    from zoo.transfer.messages import Failure, Header

    deadline = time.monotonic() + seconds

    def receive() -> bytes:
        try:
            message = child.receive(max(0.0, deadline - time.monotonic()))
        except EOFError:
            raise _death(child, path) from None
        if message is None:
            raise ArtifactError(
                f"{path} could not be read in {seconds} seconds, so it is probably damaged. Download or save it again.",
                path=path,
            )
        return message

    first = receive()
    if len(first) > _LARGEST_HEADER:
        raise _invalid(path)
    try:
        header = msgspec.msgpack.decode(first, type=Header | Failure)
    except msgspec.MsgspecError as error:
        raise _invalid(path) from error
    if isinstance(header, Failure):
        if header.extra is not None:
            raise missing_extra("Reading ONNX models", "onnx", printable(header.fault)[:_LONGEST_FAULT])
        raise ArtifactError(f"{path} {printable(header.fault)[:_LONGEST_FAULT]}", path=path)
    _check_sizes(header, path, limit)
    arrays = tuple(_array(each, receive(), path) for each in header.arrays)
    return WeightsFile(
        path=path,
        format=header.format,
        sha256=digest,
        layout=header.layout,
        is_ordered=header.is_ordered,
        arrays=arrays,
    )


def _check_sizes(header: Header, path: Path, limit: int) -> None:
    shapes = [each.shape for each in header.arrays]
    if sum(4 * math.prod(shape) for shape in shapes) > limit:
        raise _invalid(path)


def _array(header: ArrayHeader, data: bytes, path: Path) -> WeightsArray:
    import numpy as np

    if len(data) != 4 * math.prod(header.shape):
        raise _invalid(path)
    array = np.frombuffer(data, "<f4").astype(np.float32, copy=False).reshape(header.shape)
    name = printable(header.name)
    if not np.isfinite(array).all():
        raise ArtifactError(
            f"{path} contains NaN or infinity in {name[:200]!r} and cannot be used. Download or save it again.",
            path=path,
        )
    role = None if header.role is None else printable(header.role)
    return WeightsArray(name=name, layer=printable(header.layer), role=role, array=array)


def _invalid(path: Path) -> ArtifactError:
    return ArtifactError(f"{path} made the process that reads it send something invalid. Do not use it.", path=path)


def _death(child: ChildProcess, path: Path) -> ArtifactError:
    """Return the error for a child that ended before it had sent everything."""
    if not child.wait(1.0):
        return _invalid(path)
    status, words = child.end(), printable(child.last_words)
    how = f"exit status {status}"
    if status < 0:
        with contextlib.suppress(ValueError):
            how = signal.Signals(-status).name
    reason = f"{how}: {words}" if words else how
    return ArtifactError(
        f"{path} ended the process that reads it, so it is probably damaged, or too large for the free memory. "
        f"Download or save it again. Received: {reason}",
        path=path,
    )
