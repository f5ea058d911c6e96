"""The endpoints of the Open Inference Protocol (KServe v2)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.routing import Route

import zoo
from zoo_serve import tensors
from zoo_serve.messages import json_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo_serve.engine import Engine
    from zoo_serve.messages import Answer, Request

VERSION = "1"
"""The version of the model in paths."""


class Protocol:
    """The endpoints.

    Args:
        engine: What computes.
        learn: Function to call with each request for probabilities that has got them.
    """

    def __init__(self, engine: Engine, learn: Callable[[Request], object]) -> None:
        """Store the engine."""
        self._engine, self._learn = engine, learn
        self._version = zoo.__version__  # which is read from a file

    def routes(self) -> list[Route]:
        """Return the routes, the most frequent ones first."""
        paths = ("/v2/models/{name}", "/v2/models/{name}/versions/{version}")
        return [
            *(Route(f"{path}/infer", self.infer, methods=["POST"]) for path in paths),
            Route("/v2/health/live", self.live),
            Route("/v2/health/ready", self.ready),
            *(Route(f"{path}/ready", self.model_ready) for path in paths),
            *(Route(path, self.model_metadata) for path in paths),
            Route("/v2", self.server_metadata),
        ]

    async def server_metadata(self, _: Request) -> Answer:
        """Answer ``GET /v2``."""
        return json_answer({"name": "keras-zoo", "version": self._version, "extensions": ["binary_tensor_data"]})

    async def live(self, _: Request) -> Answer:
        """Answer ``GET /v2/health/live``."""
        return json_answer({"live": True})

    async def ready(self, _: Request) -> Answer:
        """Answer ``GET /v2/health/ready``: the service accepts connections only once the model is loaded."""
        return json_answer({"ready": True})

    async def model_metadata(self, request: Request) -> Answer:
        """Answer ``GET /v2/models/NAME``."""
        self._check_model(request)
        served = self._engine.served
        shape, classes = served.model.input_shape, len(served.model.class_names)
        return json_answer(
            {
                "name": served.name,
                "versions": [VERSION],
                "platform": served.platform,
                "inputs": [{"name": tensors.INPUT, "datatype": tensors.INPUT_TYPE, "shape": [-1, *shape]}],
                "outputs": [{"name": tensors.OUTPUT, "datatype": tensors.OUTPUT_TYPE, "shape": [-1, classes]}],
            }
        )

    async def model_ready(self, request: Request) -> Answer:
        """Answer ``GET /v2/models/NAME/ready``."""
        self._check_model(request)
        return json_answer({"name": self._engine.served.name, "ready": True})

    async def infer(self, request: Request) -> Answer:
        """Answer ``POST /v2/models/NAME/infer``."""
        self._check_model(request)
        engine = self._engine
        shape, most = engine.served.model.input_shape, engine.limits.max_images
        async with engine.body(request) as body:
            length = tensors.json_length(request.headers.get(tensors.HEADER.lower()), len(body))
            decode = functools.partial(tensors.decode, body, length, shape, most)
            asked = decode() if length <= tensors.INLINE else await engine.parse(decode)
            request.images = len(asked.images)
            with engine.batcher.admission(len(asked.images)):
                probabilities = await engine.batcher.predict(asked.images)
        self._learn(request)
        return tensors.answer_of(*tensors.encode(asked, probabilities, engine.served.name))

    def _check_model(self, request: Request) -> None:
        name = self._engine.served.name
        if request.parameters["name"] != name:
            raise HTTPException(404, f"No such model. The one that is served is {name!r}.")
        if request.parameters.get("version", VERSION) != VERSION:
            raise HTTPException(404, f"No such version. The model has version {VERSION!r}.")
