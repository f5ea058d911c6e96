"""Metrics of the service, in the format of Prometheus."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

if TYPE_CHECKING:
    from collections.abc import Iterable

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable with the folder through which processes share their metrics, read when this is imported."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_IMAGES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class _Shared:
    """The metrics of all processes that share a folder."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def collect(self) -> Iterable[Any]:
        files = [
            str(file) for file in self._folder.glob("*.db") if file.stat().st_size
        ]  # a process has just begun others
        found: Iterable[Any] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]  # it has no types
        return found


class ServiceMetrics:
    """Counters and histograms of one service, in a registry of its own, or shared with other processes."""

    def __init__(self) -> None:
        """Create them at zero."""
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "zoo_serve_requests", "Requests.", ["route", "method", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "zoo_serve_request_seconds",
            "Seconds from the head of a request to the end of its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._images = Counter("zoo_serve_images", "Images computed.", registry=self._registry)
        self._batches = Histogram(
            "zoo_serve_batch_images", "Images computed together.", buckets=_IMAGES, registry=self._registry
        )
        self._compute = Histogram(
            "zoo_serve_compute_seconds", "Seconds to compute a batch.", buckets=_SECONDS, registry=self._registry
        )
        self._refused = Counter(
            "zoo_serve_refused_connections",
            "Connections refused or ended without a request.",
            ["reason"],
            registry=self._registry,
        )
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}  # a look-up by labels takes longer
        self._queue = Gauge(
            "zoo_serve_queue_images",
            "Images waiting or being computed.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._waiting = 0  # images
        self._is_shared = SHARED_FOLDER in os.environ
        if not self._is_shared:
            self._queue.set_function(lambda: self._waiting)  # to set it takes longer

    def count_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        known = self._children.get((route, method, status))
        if known is None:
            known = self._requests.labels(route, method, str(status)), self._seconds.labels(route)
            self._children[route, method, status] = known
        known[0].inc()
        known[1].observe(seconds)

    def count_batch(self, images: int, seconds: float) -> None:
        """Count a computed batch. May be called in any thread."""
        self._images.inc(images)
        self._batches.observe(images)
        self._compute.observe(seconds)

    def count_refused(self, reason: str) -> None:
        """Count a connection that brought no valid request."""
        self._refused.labels(reason).inc()

    def set_queue(self, images: int) -> None:
        """Set the number of images waiting or being computed."""
        self._waiting = images
        if self._is_shared:
            self._queue.set(images)

    def as_text(self) -> bytes:
        """Return all metrics in the text format: of all processes, if they share them."""
        registry = self._registry
        if folder := os.environ.get(SHARED_FOLDER):
            registry = CollectorRegistry()
            registry.register(_Shared(folder))
        return generate_latest(registry)
