"""Statistics of latencies: whether they have settled, and their summary over rounds."""

from __future__ import annotations

from statistics import median, quantiles
from typing import TYPE_CHECKING

from zoo_bench.records import Latency

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo_bench.messages import Timed

_CALLS = range(2, 11)  # how many calls are compared with as many before: those of about a second
_TOLERANCE = 0.05


def has_settled(seconds: Sequence[float]) -> bool:
    """Return whether calls have stopped getting faster or slower.

    The median of the last calls is compared with that of as many before: of ten calls, or of those of about a second
    if calls take longer, but of two at least.

    Args:
        seconds: The duration of each call so far, in seconds.
    """
    if len(seconds) < 2 * _CALLS[0]:
        return False
    count = min(_CALLS[-1], max(_CALLS[0], int(1 / max(1e-9, median(seconds)))))
    if len(seconds) < 2 * count:
        return False
    before, now = median(seconds[-2 * count : -count]), median(seconds[-count:])
    return abs(now - before) <= _TOLERANCE * max(now, before)


def percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile of values, 1 to 99, interpolated linearly between the two nearest."""
    if len(values) == 1:
        return values[0]
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def summarize(rounds: Sequence[Timed]) -> Latency:
    """Summarize what the rounds measured for one batch size.

    The fastest round counts: other programs only make a round slower, and the fastest ones of two benchmarks are closer
    to each other than the rest.
    """
    medians = [median(each.milliseconds) for each in rounds]
    fastest = rounds[medians.index(min(medians))].milliseconds
    return Latency(
        batch_size=rounds[0].batch_size,
        median_ms=min(medians),
        p90_ms=percentile(fastest, 90),
        p99_ms=percentile(fastest, 99),
        images_per_second=1000 * rounds[0].batch_size / min(medians),
        spread=(max(medians) - min(medians)) / min(medians),
        round_medians_ms=medians,
        calls=sum(len(each.milliseconds) for each in rounds),
        is_settled=all(each.is_settled for each in rounds),
    )
