"""Reading of request bodies: in bounded memory and time, and decompressed up to the same size."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from typing import TYPE_CHECKING, Protocol

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from zoo_serve.limits import BODIES

if TYPE_CHECKING:
    from zoo_serve.limits import Limits
    from zoo_serve.messages import Request

_DRAIN_SECONDS = 1.0
_COMPRESSIONS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class HasBody(Protocol):
    """A request whose body takes memory."""

    held: int


class BodyReader:
    """Reads request bodies. All bodies in memory together are limited too.

    Args:
        limits: Limits of the service.

    Attributes:
        held: Bytes of bodies in memory.
    """

    def __init__(self, limits: Limits) -> None:
        """Start without any body in memory."""
        self._limits = limits
        self.held = 0
        self._inflating = asyncio.Lock()  # one at a time, since its memory counts only afterwards

    async def read(self, request: Request) -> bytes:
        """Return the body of a request as it was sent; its memory counts until it is released.

        Raises:
            HTTPException: The body is too large (413), its compression is unknown (415), or too many other bodies are
                in memory (503).
            ClientDisconnect: The client left.
        """
        most = self._limits.max_body
        if (declared := content_length(request)) is not None and declared > most:
            raise self._too_large()
        self._compression(request)
        parts = []
        has_more = True
        while has_more:
            part, has_more = await request.receive()
            self.hold(request, len(part))
            if request.held > most:
                raise self._too_large()
            if part:
                parts.append(part)
        request.is_read = True
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def inflate(self, request: Request, body: bytes) -> bytes:
        """Return a body that was read, decompressed if it is compressed.

        Raises:
            HTTPException: The body is too large (413) or damaged (400), or too many other bodies are in memory (503).
        """
        wbits = self._compression(request)
        if wbits is None:
            return body
        async with self._inflating:
            body = await asyncio.to_thread(self._inflate, body, wbits)
            self.hold(request, len(body))
        return body

    def has_room(self, count: int) -> bool:
        """Return whether a body of some bytes may be in memory too."""
        return self.held + count <= BODIES * self._limits.max_body

    def hold(self, request: HasBody, count: int) -> None:
        """Count some bytes of a request's body as in memory.

        Raises:
            HTTPException: Too many other bodies are in memory (503).
        """
        if not self.has_room(count):
            raise HTTPException(503, "Too many large requests are under way. Try again later.", {"Retry-After": "1"})
        self.held += count
        request.held += count

    def release(self, request: HasBody) -> None:
        """Count the memory of a request's body no longer."""
        self.held -= request.held
        request.held = 0

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"The body is too large. Send at most {self._limits.max_body:,} bytes.")

    def _compression(self, request: Request) -> int | None:
        name = request.headers.get("content-encoding", "identity").strip().lower()
        if name in ("", "identity"):
            return None
        if name not in _COMPRESSIONS:
            raise HTTPException(415, "This Content-Encoding is not supported. Use gzip, deflate or none.")
        return _COMPRESSIONS[name]

    def _inflate(self, body: bytes, wbits: int) -> bytes:
        stream = zlib.decompressobj(wbits)
        try:
            inflated = stream.decompress(body, self._limits.max_body + 1)
        except zlib.error as error:
            raise HTTPException(400, "The compressed body is damaged.") from error
        if len(inflated) > self._limits.max_body:
            raise self._too_large()
        if not stream.eof or stream.unused_data:
            raise HTTPException(400, "The compressed body is incomplete, or more follows it.")
        return inflated


def content_length(request: Request) -> int | None:
    """Return the declared number of bytes of a body, or None."""
    text = request.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def has_unread_body(request: Request) -> bool:
    """Return whether a request has a body that was not read to its end."""
    return not request.is_read and (bool(content_length(request)) or "transfer-encoding" in request.headers)


async def drain(request: Request) -> None:
    """Discard what still comes of a body, for a second.

    Otherwise the connection would end while the client still writes, and it might never read the answer.
    """
    with contextlib.suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while (await request.receive())[1]:
                pass
