"""The report of a benchmark: the machine, and the results of each model."""

from __future__ import annotations

from typing import Literal

import msgspec


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """How long ``predict`` takes for a batch of images, in milliseconds.

    Args:
        batch_size: Number of images per call.
        median_ms: Median of the round with the lowest median.
        p90_ms: 90th percentile of that round.
        p99_ms: 99th percentile of that round.
        images_per_second: ``batch_size`` divided by the median.
        spread: Difference between the slowest and the fastest round's median, as a fraction of ``median_ms``.
        round_medians_ms: Each round's median.
        calls: Number of timed calls, all rounds together.
        is_settled: Whether the latency settled before it was measured, in every round.
    """

    batch_size: int
    median_ms: float
    p90_ms: float
    p99_ms: float
    images_per_second: float
    spread: float
    round_medians_ms: list[float]
    calls: int
    is_settled: bool


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The results of one model.

    Args:
        name: The run, recipe or file, as it was given; that of the file, if a run has two of one format.
        source: Run folder, recipe or file that was loaded.
        format: ``"keras"``, or the name of the exporter; with ``" int8"`` if it computes with 8-bit integers.
        accuracy: Test accuracy, 0 to 1; None if unknown.
        accuracy_source: Whether the accuracy was recorded earlier or measured now; None if unknown.
        size_bytes: Size of the weights file or of the exported files.
        load_seconds: Seconds from the start of the process to its first prediction, of one image; median over the
            rounds.
        peak_memory_bytes: Largest resident memory (``VmHWM``) of the process, with Python, zoo and the runtime, up to
            the end of the largest batch; the highest of all rounds. Memory of an accelerator is not included.
        latency: Latency by batch size, in the order given.
        error: Why the model could not be measured, or not completely.
    """

    name: str
    source: str
    format: str
    accuracy: float | None
    accuracy_source: Literal["recorded", "measured"] | None
    size_bytes: int
    load_seconds: float | None
    peak_memory_bytes: int | None
    latency: list[Latency]
    error: str | None


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What a benchmark ran on.

    Args:
        processor: Name of the CPU; empty if unknown.
        cpus: Number of CPUs that zoo could use.
        threads: Number of CPUs, and of threads of an exported file's runtime, that each model could use.
        accelerator: Name of the GPU or TPU that Keras computed on; empty if there is none, None if unknown or if no
            Keras model was measured.
        platform: Operating system and architecture.
        load_average: Mean number of running processes in the minute before the benchmark; idle machines have about 0.
        packages: Versions of Python, zoo and the runtimes.
    """

    processor: str
    cpus: int
    threads: int
    accelerator: str | None
    platform: str
    load_average: float
    packages: dict[str, str]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The report of a benchmark.

    Args:
        machine: What it ran on.
        rounds: Number of rounds. Each round measures every model once, each in a new process.
        seconds: Seconds for which each batch size was measured in each round.
        results: The results, in the order in which the models were given.
    """

    machine: Machine
    rounds: int
    seconds: float
    results: list[Result]

    @property
    def has_faults(self) -> bool:
        """Whether a model could not be measured completely."""
        return any(result.error is not None for result in self.results)
