"""Requests and answers of the Open Inference Protocol: JSON, and the extension for binary tensors."""

from __future__ import annotations

import functools
import itertools
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from starlette.exceptions import HTTPException

from zoo_serve.limits import MAX_JSON
from zoo_serve.messages import Answer

if TYPE_CHECKING:
    from numpy.typing import NDArray

INPUT, INPUT_TYPE = "images", "UINT8"
OUTPUT, OUTPUT_TYPE = "probabilities", "FP32"
HEADER = "Inference-Header-Content-Length"

INLINE = 1 << 16
"""Maximum number of bytes of JSON that are decoded in the event loop."""

_LONGEST_ID = 1000
_SHORT = 1024  # bytes of JSON


@dataclass(frozen=True, kw_only=True)
class InferRequest:
    """A valid request.

    Args:
        images: ``(n, height, width, channels)`` uint8, n at least 1.
        id: Identifier that the answer repeats; None if the request has none.
        is_binary: Whether the probabilities are to be sent as binary data.
    """

    images: NDArray[np.uint8]
    id: str | None
    is_binary: bool


@dataclass(frozen=True, kw_only=True)
class _Head:
    """What the JSON of a request says.

    Args:
        dims: Shape of the images.
        size: Number of bytes of binary data; None if the pixels are in the JSON.
        data: The pixels, if they are in the JSON.
        id: As for `InferRequest`.
        is_binary: As for `InferRequest`.
    """

    dims: list[int]
    size: int | None
    data: object
    id: str | None
    is_binary: bool


def json_length(header: str | None, size: int) -> int:
    """Return the number of bytes of JSON in a request; binary data follow them.

    Args:
        header: Value of the header ``Inference-Header-Content-Length``; None if all is JSON.
        size: Number of bytes of the body.

    Raises:
        HTTPException: The header is not valid (400), or there is too much JSON (413).
    """
    length = size
    if header is not None:
        if not (header.isascii() and header.isdigit() and len(header) < 20 and int(header) <= size):
            _refuse(f"{HEADER} must be a number of bytes of the body.")
        length = int(header)
    if length > MAX_JSON:
        raise HTTPException(413, f"Too much JSON. Send at most {MAX_JSON:,} bytes of it, and images as binary data.")
    return length


def decode(body: bytes, length: int, shape: tuple[int, int, int], max_images: int) -> InferRequest:
    """Decode a request.

    Args:
        body: The body of the request.
        length: Number of bytes of JSON that it starts with.
        shape: Height, width and channels of the images.
        max_images: Maximum number of images.

    Raises:
        HTTPException: The request is not valid (400), or has too many images (413).
    """
    text, binary = body[:length], memoryview(body)[length:]
    head = _short_head(text, shape) if length <= _SHORT else _head(text, shape)
    dims, size = head.dims, head.size
    if dims[0] > max_images:
        raise HTTPException(413, f"Too many images. Send at most {max_images} in a request.")
    if size is None:
        if len(binary):
            _refuse(f"{len(binary)} bytes follow its JSON, and no input has binary_data_size.")
        pixels: bytes | memoryview = _pixels(head.data, dims)
    else:
        if not size == len(binary) == math.prod(dims):
            _refuse(
                "binary_data_size, the shape and the bytes after the JSON must agree; the shape needs "
                f"{math.prod(dims)} bytes, and {len(binary)} follow."
            )
        pixels = binary
    images = np.frombuffer(pixels, np.uint8).reshape(dims)
    return InferRequest(images=images, id=head.id, is_binary=head.is_binary)


def encode(request: InferRequest, probabilities: NDArray[np.float32], model: str) -> tuple[bytes, int | None]:
    """Return the body of an answer, and the number of bytes of JSON that it starts with if binary data follow.

    Args:
        request: The request.
        probabilities: ``(n, classes)`` float32.
        model: Name of the model.
    """
    if not request.is_binary:
        values = probabilities.ravel().tolist()
        return _answer(model, request.id, probabilities.shape, {"data": values}), None
    head = _binary_answer(model, request.id, probabilities.shape)
    return head + np.ascontiguousarray(probabilities, "<f4").tobytes(), len(head)


def answer_of(content: bytes, json_length: int | None) -> Answer:
    """Return the answer with what `encode` returns."""
    if json_length is None:
        return Answer(content, "application/json")
    return Answer(content, "application/octet-stream", headers={HEADER: str(json_length)})


def _answer(model: str, id_: str | None, shape: tuple[int, ...], more: dict[str, Any]) -> bytes:
    output = {"name": OUTPUT, "datatype": OUTPUT_TYPE, "shape": shape, **more}
    answer = {"model_name": model, "model_version": "1", "outputs": [output]}
    if id_ is not None:
        answer["id"] = id_
    # msgspec refuses an id with half a pair of surrogates
    return json.dumps(answer, allow_nan=False).encode()


@functools.lru_cache(64)
def _binary_answer(model: str, id_: str | None, shape: tuple[int, ...]) -> bytes:
    return _answer(model, id_, shape, {"parameters": {"binary_data_size": 4 * math.prod(shape)}})


def _refuse(text: str) -> NoReturn:
    raise HTTPException(400, f"The request is not valid: {text}")


def _head(text: bytes, shape: tuple[int, int, int]) -> _Head:
    request = _object(_parse(text), "the request")
    tensor = _input(request)
    dims = tensor.get("shape")
    if (
        not isinstance(dims, list)
        or any(type(each) is not int for each in dims)
        or tuple(dims[1:]) != shape
        or dims[0] < 1
    ):
        _refuse(f"{INPUT} must have the shape [n, {', '.join(map(str, shape))}], n at least 1.")
    parameters = _object(tensor.get("parameters", {}), "parameters")
    if any(name.startswith("shared_memory") for name in parameters):
        _refuse("shared memory is not supported.")
    size = parameters.get("binary_data_size")
    if size is None and "data" not in tensor:
        _refuse(f"{INPUT} has neither data nor binary_data_size.")
    if size is not None and "data" in tensor:
        _refuse(f"{INPUT} has both data and binary_data_size.")
    if size is not None and type(size) is not int:
        _refuse("binary_data_size must be a number of bytes.")
    id_ = request.get("id")
    if id_ is not None and not (isinstance(id_, str) and len(id_) <= _LONGEST_ID):
        _refuse(f"id must be a text of at most {_LONGEST_ID} characters.")
    return _Head(dims=dims, size=size, data=tensor.get("data"), id=id_, is_binary=_is_binary(request))


_short_head = functools.lru_cache(256)(_head)
"""For short texts: programs send the same one again and again, with other binary data."""


def _parse(text: bytes) -> object:
    try:
        return _DECODER.decode(text.decode())
    except RecursionError:
        _refuse("its JSON is nested too deeply.")
    except ValueError as error:  # of JSON, UTF-8, or an integer with too many digits
        _refuse(f"it is not JSON: {str(error).splitlines()[0]:.100}.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has a key twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)


def _object(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        _refuse(f"{name} must be an object.")
    return value


def _input(request: dict[str, Any]) -> dict[str, Any]:
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1:
        _refuse("inputs must be a list of one tensor.")
    tensor = _object(inputs[0], "an input")
    if tensor.get("name") != INPUT:
        _refuse(f"the input must have the name {INPUT!r}.")
    if tensor.get("datatype") != INPUT_TYPE:
        _refuse(f"{INPUT} must have the datatype {INPUT_TYPE}: pixels from 0 to 255.")
    return tensor


def _pixels(data: object, dims: list[int]) -> bytes:
    """Return pixels that are given as a flat list, or as lists nested like the shape."""
    if not isinstance(data, list):
        _refuse("data must be a list.")
    flat: list[Any] = data
    if data and isinstance(data[0], list):
        wanted = dims[0]
        for size in dims[1:]:
            if len(flat) != wanted or any(type(each) is not list or len(each) != size for each in flat):
                _refuse("the lists in data do not have the declared shape.")
            flat = list(itertools.chain.from_iterable(flat))
            wanted *= size
    if len(flat) != math.prod(dims):
        _refuse(f"data must have {math.prod(dims)} numbers for this shape.")
    if set(map(type, flat)) != {int}:
        _refuse("data must be integers from 0 to 255.")
    try:
        return bytes(flat)
    except (ValueError, OverflowError):
        _refuse("data must be integers from 0 to 255.")


def _is_binary(request: dict[str, Any]) -> bool:
    """Return whether the client wants binary data, and check what else it wants."""
    is_binary = _object(request.get("parameters", {}), "parameters").get("binary_data_output", False)
    outputs = request.get("outputs", [])
    if not isinstance(outputs, list) or len(outputs) > 1:
        _refuse("outputs must be a list of at most one tensor.")
    for output in outputs:
        if _object(output, "an output").get("name") != OUTPUT:
            _refuse(f"the output must have the name {OUTPUT!r}.")
        parameters = _object(output.get("parameters", {}), "parameters")
        if unsupported := sorted(name for name in parameters if name != "binary_data"):
            _refuse(f"the output has a parameter that is not supported: {unsupported[0]!r:.50}.")
        is_binary = parameters.get("binary_data", is_binary)
    if not isinstance(is_binary, bool):
        _refuse("binary_data and binary_data_output must be true or false.")
    return is_binary
