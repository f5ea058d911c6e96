"""Heads of requests, their first line and headers, and which of them may be remembered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import httptools

from zoo_serve import tensors
from zoo_serve.bodies import content_length

if TYPE_CHECKING:
    from zoo_serve.messages import Request

HEAD_END = b"\r\n\r\n"
"""The end of a head."""

LONGEST_HEAD = 2048
"""Maximum number of bytes of a head that is remembered."""

_DECIDES_MORE = ("content-encoding", "expect", "transfer-encoding", "upgrade")  # about the body than its length


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownHead:
    """What a head says that many requests may have.

    Args:
        method: Its method.
        route: Path of its route.
        raw_path: Its path as it is sent.
        length: Number of bytes of the body.
        json_length: Number of bytes of JSON that the body starts with.
    """

    method: str
    route: str
    raw_path: bytes
    length: int
    json_length: int


def known_head(request: Request) -> KnownHead | None:
    """Return what the head of a request for arrays of pixels says, or None if that does not hold for its bytes alone.

    The bytes are parsed again, apart from whatever came before them on the connection.

    Args:
        request: A request that was answered with probabilities.
    """
    length = content_length(request)
    if not 0 < len(request.head) <= LONGEST_HEAD or length is None:
        return None
    if any(name in request.headers for name in _DECIDES_MORE) or not _is_head_of(request.head, request):
        return None
    json_length = tensors.json_length(request.headers.get(tensors.HEADER.lower()), length)
    if json_length > tensors.INLINE:
        return None
    return KnownHead(
        method=request.method,
        route=request.route,
        raw_path=request.raw_path,
        length=length,
        json_length=json_length,
    )


class _Parsed:
    """Takes what httptools finds in a head."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_complete = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self.is_complete = True


def _is_head_of(head: bytes, request: Request) -> bool:
    """Return whether bytes are the whole head of a request of HTTP/1.1, after which the connection stays open."""
    found = _Parsed()
    parser = httptools.HttpRequestParser(found)
    try:
        parser.feed_data(head)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return False
    return (
        found.is_complete
        and parser.get_http_version() == "1.1"
        and parser.should_keep_alive()
        and parser.get_method().decode() == request.method
        and httptools.parse_url(found.url).path == request.raw_path
        and found.headers == request.scope["headers"]
    )
