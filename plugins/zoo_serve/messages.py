"""A request and an answer, as the endpoints see them: plain objects, since each request makes one of each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from zoo.utils import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Receive, Scope

OTHER = "other"
"""Route of a request to no route."""

CLIENT_LEFT = 499
"""Status of a request whose client left, which only the log and the metrics tell; nginx's number."""

SAFETY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
]
"""Headers of every answer, as ASGI takes them."""

HEAD = "zoo_serve.head"
"""Where the state of a scope has the head of its request."""


class Request:
    """A request.

    Args:
        scope: Its ASGI scope.
        receive: Its ASGI function for parts of its body.

    Attributes:
        scope: Its ASGI scope.
        method: Its method: ``"POST"``.
        path: Its path, without escapes.
        raw_path: Its path as it was sent.
        head: Its first line and headers as they were sent; empty if they came in several parts.
        headers: Its headers by their names in lower case; of several with a name, the first.
        parameters: What stands in its path for the names in its route's path.
        route: Path of its route, or `OTHER`.
        images: Number of images in it, once they are counted.
        held: Bytes of its body that count as memory in use.
        is_read: Whether its body was read to the end.
    """

    __slots__ = (
        "_receive", "head", "headers", "held", "images", "is_read", "method", "parameters", "path", "raw_path", "route",
        "scope",
    )  # fmt: skip

    def __init__(self, scope: Scope, receive: Receive) -> None:
        """Read the headers."""
        self.scope, self._receive = scope, receive
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.raw_path: bytes = scope["raw_path"]
        self.head: bytes = scope["state"].get(HEAD, b"")
        self.headers: dict[str, str] = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])
        }
        self.parameters: Mapping[str, str] = {}
        self.route = OTHER
        self.images = self.held = 0
        self.is_read = False

    async def receive(self) -> tuple[bytes, bool]:
        """Return the next part of the body, and whether more follows.

        Raises:
            ClientDisconnect: The client left.
        """
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        return message.get("body", b""), message.get("more_body", False)


class Answer:
    """An answer.

    Args:
        body: Its body.
        kind: Its ``Content-Type``.
        status: Its status code.
        headers: More headers.

    Attributes:
        body: Its body.
        status: Its status code.
        headers: All its headers, as ASGI takes them.
    """

    __slots__ = ("body", "headers", "status")

    def __init__(self, body: bytes, kind: str, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Encode the headers."""
        self.body, self.status = body, status
        given = {"content-type": kind, "content-length": str(len(body)), **(headers or {})}
        self.headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in given.items()]


def json_answer(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an answer in JSON.

    Args:
        content: What is encoded.
        status: Status code.
        headers: More headers.

    Raises:
        ValueError: A number in it is not finite.
    """
    return Answer(json.dumps(content, allow_nan=False).encode(), "application/json", status, headers)


def error_answer(error: Exception) -> tuple[Answer, str]:
    """Return the answer to a request that failed, and what the log says of it."""
    if isinstance(error, HTTPException):
        return json_answer({"error": error.detail}, error.status_code, error.headers), error.detail
    return json_answer({"error": "The service failed to answer."}, 500), one_line(error)
