"""The endpoints: the Open Inference Protocol, ``/predict`` for image files, and what the page asks for."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.metadata
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from starlette.exceptions import HTTPException
from starlette.responses import Response

from zoo.errors import DataError
from zoo.images import MAX_BYTES, WORKERS, check_takes_files
from zoo_serve import tensors, uploads
from zoo_serve.batching import Batcher
from zoo_serve.bodies import BodyReader
from zoo_serve.measures import CONTENT_TYPE, Measures

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Self

    from numpy.typing import NDArray
    from starlette.requests import Request

    from zoo.images import Invert
    from zoo_serve.limits import Limits
    from zoo_serve.served_model import ServedModel

IMAGES = "zoo_serve.images"
"""Key of a request's scope: the number of images in it."""

VERSION = "1"
"""The version of the model in paths."""

_INLINE = 1 << 16  # bytes of JSON that are decoded in the event loop


class Service:
    """The endpoints of a model.

    Args:
        served: The model.
        limits: Limits of the service.
        has_keys: Whether requests need an API key.
    """

    def __init__(self, served: ServedModel, limits: Limits, *, has_keys: bool = False) -> None:
        """Start the threads that decode and compute."""
        self.served, self.limits, self._has_keys = served, limits, has_keys
        self.measures = Measures(lambda: self._batcher.admitted)
        self._batcher = Batcher(served.model.predict, limits, self.measures.count_batch)
        self._bodies = BodyReader(limits)
        self._pool = ThreadPoolExecutor(WORKERS, "zoo-serve-decode")
        self._parser = ThreadPoolExecutor(1, "zoo-serve-parse")  # one at a time, since parsed JSON takes much memory

    def __enter__(self) -> Self:
        """Return the service."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the threads."""
        self._batcher.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._parser.shutdown(wait=False, cancel_futures=True)

    async def server_metadata(self, _: Request) -> Response:
        """``GET /v2``."""
        version = importlib.metadata.version("keras-zoo")
        return json_answer({"name": "keras-zoo", "version": version, "extensions": ["binary_tensor_data"]})

    async def live(self, _: Request) -> Response:
        """``GET /v2/health/live``."""
        return json_answer({"live": True})

    async def ready(self, _: Request) -> Response:
        """``GET /v2/health/ready``: the service is started once the model is loaded."""
        return json_answer({"ready": True})

    async def model_metadata(self, request: Request) -> Response:
        """``GET /v2/models/NAME``."""
        self._check_model(request)
        model = self.served.model
        return json_answer(
            {
                "name": self.served.name,
                "versions": [VERSION],
                "platform": self.served.platform,
                "inputs": [{"name": tensors.INPUT, "datatype": tensors.INPUT_TYPE, "shape": [-1, *model.input_shape]}],
                "outputs": [
                    {"name": tensors.OUTPUT, "datatype": tensors.OUTPUT_TYPE, "shape": [-1, len(model.class_names)]}
                ],
            }
        )

    async def model_ready(self, request: Request) -> Response:
        """``GET /v2/models/NAME/ready``."""
        self._check_model(request)
        return json_answer({"name": self.served.name, "ready": True})

    async def infer(self, request: Request) -> Response:
        """``POST /v2/models/NAME/infer``."""
        self._check_model(request)
        async with self._bodies.read(request) as body, self._deadline():
            length = tensors.json_length(request.headers.get(tensors.HEADER), len(body))
            decode = functools.partial(
                tensors.decode, body, length, self.served.model.input_shape, self.limits.max_images
            )
            asked = decode() if length <= _INLINE else await self._in(self._parser, decode)
            request.scope[IMAGES] = len(asked.images)
            with self._batcher.admission(len(asked.images)):
                probabilities = await self._batcher.predict(asked.images)
        content, json_length = tensors.encode(asked, probabilities, self.served.name)
        if json_length is None:
            return Response(content, media_type="application/json")
        return Response(content, media_type="application/octet-stream", headers={tensors.HEADER: str(json_length)})

    async def predict(self, request: Request) -> Response:
        """``POST /predict``: image files, in a form or one as the body."""
        top, invert = self._query(request)
        shape, form = self.served.model.input_shape, self.served.model.image_input
        try:
            check_takes_files(shape)
        except DataError as error:
            raise HTTPException(400, "This model takes no image files. Send arrays to /v2.") from error
        kind = request.headers.get("content-type", "")
        async with self._bodies.read(request) as body, self._deadline():
            files = await self._in(self._pool, functools.partial(uploads.split, body, kind, self.limits.max_images))
            request.scope[IMAGES] = len(files)
            with self._batcher.admission(len(files)):
                prepared = await asyncio.gather(
                    *(
                        self._in(self._pool, functools.partial(uploads.prepare_upload, each, shape, form, invert))
                        for each in files
                    )
                )
                good = [found[0] for found in prepared if not isinstance(found, str)]
                rows = iter(await self._batcher.predict(np.stack(good)) if good else ())
        answers: list[dict[str, object]] = []
        for file, found in zip(files, prepared, strict=True):
            if isinstance(found, str):
                answers.append({"file": file.name, "error": found})
            else:
                answers.append({"file": file.name, "inverted": found[1], "classes": self._top(next(rows), top)})
        if not good:
            text = str(answers[0]["error"]) if len(answers) == 1 else f"None of the {len(answers)} files can be read."
            return json_answer({"error": text, "predictions": answers}, 400)
        return json_answer({"predictions": answers})

    async def model_card(self, _: Request) -> Response:
        """``GET /model``: what the page shows of the model."""
        model = self.served.model
        height, width, channels = model.input_shape
        return json_answer(
            {
                "name": self.served.name,
                "platform": self.served.platform,
                "classes": list(model.class_names),
                "height": height,
                "width": width,
                "channels": channels,
                "inverted": model.image_input.inverted,
                "max_bytes": min(self.limits.max_body, MAX_BYTES),
                "max_images": self.limits.max_images,
                "needs_key": self._has_keys,
            }
        )

    async def metrics(self, _: Request) -> Response:
        """``GET /metrics``."""
        return Response(self.measures.as_text(), media_type=CONTENT_TYPE)

    def _check_model(self, request: Request) -> None:
        if request.path_params["name"] != self.served.name:
            raise HTTPException(404, f"No such model. The one that is served is {self.served.name!r}.")
        if request.path_params.get("version", VERSION) != VERSION:
            raise HTTPException(404, f"No such version. The model has version {VERSION!r}.")

    def _query(self, request: Request) -> tuple[int, Invert]:
        """Return the number of classes and the inversion that a request asks for."""
        given = request.query_params
        if unknown := sorted(set(given) - {"top", "invert"}):
            raise HTTPException(400, f"No such parameter: {unknown[0]!r:.50}. Use top and invert.")
        top, invert = given.get("top", "3"), given.get("invert", "auto")
        if not (top.isascii() and top.isdigit() and len(top) < 10 and int(top) > 0):
            raise HTTPException(400, "top must be a number of classes, at least 1.")
        if invert not in ("auto", "yes", "no"):
            raise HTTPException(400, "invert must be auto, yes or no.")
        return int(top), cast("Invert", invert)

    def _top(self, row: NDArray[np.float32], top: int) -> list[dict[str, object]]:
        names = self.served.model.class_names
        order = np.argsort(-row, kind="stable")[:top]
        return [{"class": names[i], "probability": float(row[i])} for i in order]

    @contextlib.asynccontextmanager
    async def _deadline(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self.limits.timeout):
                yield
        except TimeoutError as error:
            text = f"The request was not answered within {self.limits.timeout:g} s."
            raise HTTPException(504, text, {"Retry-After": "1"}) from error

    async def _in(self, pool: ThreadPoolExecutor, function: functools.partial[Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(pool, function)


def json_answer(content: object, status: int = 200) -> Response:
    """Return an answer in JSON.

    Raises:
        ValueError: A number in it is not finite.
    """
    return Response(json.dumps(content, allow_nan=False).encode(), status, media_type="application/json")
