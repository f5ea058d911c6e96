"""Messages between a benchmark and the process that measures a model."""

from __future__ import annotations

import msgspec


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What a process has to do.

    Args:
        source: Run folder, recipe or exported file to load.
        is_exported: Whether it is an exported file.
        plugin_files: Python files to load as plugins.
        batch_sizes: Numbers of images per call, in order.
        seconds: Seconds for which to measure each of them.
        cpus: Numbers of the CPUs that the process may use; a runtime gets as many threads.
        started: When the process was started, by `time.monotonic`.
        test: Whether to measure the test accuracy.
        data_dir: Folder or file of the dataset.
    """

    source: str
    is_exported: bool
    plugin_files: list[str]
    batch_sizes: list[int]
    seconds: float
    cpus: list[int]
    started: float = 0.0
    test: bool
    data_dir: str | None


class Loaded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The model has made its first prediction.

    Args:
        seconds: Seconds since the process was started.
        accelerator: Name of the accelerator that Keras computes on; empty if there is none, None if unknown.
        packages: Versions of the imported runtimes.
    """

    seconds: float
    accelerator: str | None
    packages: dict[str, str]


class Timed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A batch size was measured.

    Args:
        batch_size: Number of images per call.
        milliseconds: Duration of each call.
        is_settled: Whether the latency settled before.
    """

    batch_size: int
    milliseconds: list[float]
    is_settled: bool


class Peak(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """All batch sizes were measured; the largest resident memory so far, in bytes."""

    memory_bytes: int


class Evaluated(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The test accuracy was measured."""

    accuracy: float


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something failed, for this reason."""

    error: str


class Done(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """There is nothing left to do."""


Message = Loaded | Timed | Peak | Evaluated | Failed | Done
