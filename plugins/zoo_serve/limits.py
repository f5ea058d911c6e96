"""Limits of the service: what one request may ask for, and what all of them may ask for together."""

from __future__ import annotations

from dataclasses import dataclass

MAX_JSON = 1 << 22
"""Maximum number of bytes of JSON in a request: 4 MiB."""

MAX_HEAD = 1 << 14
"""Maximum number of bytes of a request's first line and headers: 16 KiB."""

BODIES = 4
"""All request bodies in memory have at most this many times the size of the largest one."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of the service; each but ``keep_alive`` is an option of ``zoo serve``.

    Args:
        max_batch: Maximum number of images computed together.
        max_wait: Seconds to wait for more images before a batch that is not full is computed. Under load, requests
            wait while the batch before is computed, so that batches fill without it.
        max_body: Maximum number of bytes of a request's body, also once it is decompressed (413).
        max_images: Maximum number of images in a request (413).
        queue: Maximum number of images waiting or being computed (503).
        connections: Maximum number of open connections (503).
        keep_alive: Seconds that a connection stays open without a request.
        read_timeout: Seconds in which a request must arrive (408) once its first byte has, and an answer must be taken.
        timeout: Seconds in which a request must be answered once it has arrived (504), and in which requests under way
            are answered when the service is stopped.
    """

    max_batch: int = 64
    max_wait: float = 0.0
    max_body: int = 32 << 20
    max_images: int = 256
    queue: int = 1024
    connections: int = 256
    keep_alive: int = 15
    read_timeout: float = 30.0
    timeout: float = 30.0
