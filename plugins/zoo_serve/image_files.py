"""The endpoints for people: ``/predict`` for image files, and ``/model``, from which the page describes the model."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, cast

import numpy as np
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.routing import Route

from zoo.errors import DataError
from zoo.images import MAX_BYTES, check_takes_files
from zoo_serve import uploads
from zoo_serve.messages import json_answer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoo.images import Invert
    from zoo_serve.engine import Engine
    from zoo_serve.messages import Answer, Request


class ImageFiles:
    """The endpoints.

    Args:
        engine: What computes.
        has_keys: Whether requests need an API key.
    """

    def __init__(self, engine: Engine, *, has_keys: bool) -> None:
        """Store the engine."""
        self._engine, self._has_keys = engine, has_keys

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("/predict", self.predict, methods=["POST"]), Route("/model", self.describe)]

    async def predict(self, request: Request) -> Answer:
        """Answer ``POST /predict``: image files in a form, or one as the body."""
        top, invert = _query(request)
        engine = self._engine
        shape, form = engine.served.model.input_shape, engine.served.model.image_input
        try:
            check_takes_files(shape)
        except DataError as error:
            raise HTTPException(400, "This model takes no image files. Send arrays to /v2.") from error
        kind = request.headers.get("content-type", "")
        async with engine.body(request) as body:
            files = await engine.decode(functools.partial(uploads.split, body, kind, engine.limits.max_images))
            request.images = len(files)
            with engine.batcher.admission(len(files)):
                prepare = functools.partial(uploads.prepare_upload, shape=shape, form=form, invert=invert)
                prepared = await asyncio.gather(*(engine.decode(functools.partial(prepare, each)) for each in files))
                good = [found.pixels for found in prepared if not isinstance(found, str)]
                rows = iter(await engine.batcher.predict(np.stack(good)) if good else ())
        answers: list[dict[str, object]] = []
        for file, found in zip(files, prepared, strict=True):
            if isinstance(found, str):
                answers.append({"file": file.name, "error": found})
            else:
                answer: dict[str, object] = {
                    "file": file.name,
                    "inverted": found.inverted,
                    "classes": self._top(next(rows), top),
                }
                if found.has_uneven_background:
                    answer["uneven_background"] = True
                answers.append(answer)
        if not good:
            text = str(answers[0]["error"]) if len(answers) == 1 else f"None of the {len(answers)} files can be read."
            return json_answer({"error": text, "predictions": answers}, 400)
        return json_answer({"predictions": answers})

    async def describe(self, _: Request) -> Answer:
        """Answer ``GET /model``."""
        engine = self._engine
        model = engine.served.model
        height, width, channels = model.input_shape
        return json_answer(
            {
                "name": engine.served.name,
                "platform": engine.served.platform,
                "runtime": engine.served.runtime,
                "classes": list(model.class_names),
                "height": height,
                "width": width,
                "channels": channels,
                "inverted": model.image_input.inverted,
                "max_bytes": min(engine.limits.max_body, MAX_BYTES),
                "max_images": engine.limits.max_images,
                "needs_key": self._has_keys,
            }
        )

    def _top(self, row: NDArray[np.float32], top: int) -> list[dict[str, object]]:
        names = self._engine.served.model.class_names
        order = np.argsort(-row, kind="stable")[:top]
        return [{"class": names[i], "probability": float(row[i])} for i in order]


def _query(request: Request) -> tuple[int, Invert]:
    """Return the number of classes and the inversion that a request asks for."""
    given = QueryParams(request.scope["query_string"])
    if unknown := sorted(set(given) - {"top", "invert"}):
        raise HTTPException(400, f"No such parameter: {unknown[0]!r:.50}. Use top and invert.")
    top, invert = given.get("top", "3"), given.get("invert", "auto")
    if not (top.isascii() and top.isdigit() and len(top) < 10 and int(top) > 0):
        raise HTTPException(400, "top must be a number of classes, at least 1.")
    if invert not in ("auto", "yes", "no"):
        raise HTTPException(400, "invert must be auto, yes or no.")
    return int(top), cast("Invert", invert)
