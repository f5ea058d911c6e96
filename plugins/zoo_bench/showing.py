"""The report of a benchmark as a table and as CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from zoo.cli.toolkit import table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoo_bench.records import Latency, Machine, Report, Result

_HEAD = (
    "model", "format", "accuracy", "batch", "ms", "90 %", "99 %", "spread", "images/s", "load s", "peak MB", "size MB"
)  # fmt: skip
_CSV = (
    "name", "source", "format", "accuracy", "accuracy_source", "size_bytes", "load_seconds", "peak_memory_bytes",
    "batch_size", "median_ms", "p90_ms", "p99_ms", "images_per_second", "spread", "calls", "is_settled", "error",
    "threads", "processor", "accelerator",
)  # fmt: skip

_BUSY = 0.2  # spread above which the rounds are said to differ


def as_table(report: Report) -> str:
    """Return a report as text."""
    rows = [_cells(result, latency) for result, latency in _rows(report)]
    head = [*_HEAD, "error"] if report.has_faults else [*_HEAD]
    shown = table([head, *(row[: len(head)] for row in rows)], numbers=range(2, len(_HEAD)))
    return "\n\n".join((shown, "\n".join(_notes(report))))


def as_csv(report: Report) -> str:
    """Return a report as CSV: a line per model and batch size."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _CSV, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    machine = _fields(report.machine)
    for result, latency in _rows(report):
        writer.writerow({**machine, **_fields(result), **({} if latency is None else _fields(latency))})
    return text.getvalue()


def _fields(record: Result | Latency | Machine) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__struct_fields__}


def _rows(report: Report) -> Iterator[tuple[Result, Latency | None]]:
    """Iterate over the rows: one per batch size, or one without a latency."""
    for result in report.results:
        rows: list[Latency | None] = [*result.latency]
        for latency in rows or [None]:
            yield result, latency


def _cells(result: Result, latency: Latency | None) -> list[str]:
    times = ["-"] * 6
    if latency is not None:
        times = [
            str(latency.batch_size),
            milliseconds(latency.median_ms),
            milliseconds(latency.p90_ms),
            milliseconds(latency.p99_ms),
            f"{100 * latency.spread:.0f} %",
            f"{latency.images_per_second:,.0f}",
        ]
    return [
        result.name,
        result.format,
        "-" if result.accuracy is None else f"{result.accuracy:.4f}",
        *times,
        "-" if result.load_seconds is None else f"{result.load_seconds:.2f}",
        "-" if result.peak_memory_bytes is None else f"{result.peak_memory_bytes / 1e6:,.0f}",
        f"{result.size_bytes / 1e6:.2f}",
        result.error or "",
    ]


def milliseconds(value: float) -> str:
    """Return milliseconds with three significant digits."""
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}" if value >= 1 else f"{value:.3f}"


def _notes(report: Report) -> Iterator[str]:
    """Iterate over lines on the machine and on what was measured."""
    machine = report.machine
    cpus = f"{machine.cpus} CPU{'s' if machine.cpus > 1 else ''} ({machine.processor or 'unknown'})"
    threads = f"{machine.threads} thread{'s' if machine.threads > 1 else ''}"
    accelerator = machine.accelerator or ("no accelerator" if machine.accelerator == "" else "")  # None if unknown
    load = f"load average {machine.load_average:.1f} before"
    yield ", ".join(filter(None, (cpus, f"{threads} per model", accelerator, machine.platform, load)))
    yield ", ".join(f"{name} {number}" for name, number in machine.packages.items())
    calls = f"{report.rounds} round{'s' if report.rounds > 1 else ''}, {report.seconds:g} s per batch size and round"
    yield f"{calls}; ms is the median call of the fastest round, spread the range of the rounds' medians"
    if any(each.spread > _BUSY for result in report.results for each in result.latency):
        yield (
            f"Rounds differ by more than {100 * _BUSY:.0f} %: other programs may use this machine. "
            "End them, or measure more rounds (--rounds)."
        )
    restless = [(result, each) for result in report.results for each in result.latency if not each.is_settled]
    for result, each in restless:
        yield f"The latency of {result.name}, {result.format}, did not settle at batch size {each.batch_size}."
