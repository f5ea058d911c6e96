"""How often the machine takes a CPU from a program that never waits: no service can answer in that time.

``python -m tests.benchmarks.stalls`` reads the clock on each CPU, all at once, for ten seconds. Gaps of more than a
millisecond are other programs, the kernel and, in a virtual machine, its host. The machine must be otherwise idle.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

from zoo.utils import processors_allowed

_LONG = 1e-3  # seconds
_START = 2.0  # seconds until all processes watch


@dataclass(frozen=True, kw_only=True)
class Stalls:
    """Gaps of more than a millisecond in a program that never waits, over all CPUs.

    Args:
        cpus: Number of CPUs.
        seconds: How long each of them was watched.
        count: Number of gaps.
        share: Share of the time that they took.
        longest_ms: The longest one, in milliseconds.
    """

    cpus: int
    seconds: float
    count: int
    share: float
    longest_ms: float

    def __str__(self) -> str:
        """Return a summary of one line."""
        return (
            f"In {self.seconds:.0f} s on {self.cpus} CPUs, programs that never wait were held up {self.count} times "
            f"for more than {_LONG * 1e3:.0f} ms: {self.share:.2%} of the time, {self.longest_ms:.1f} ms at most."
        )


def measure(seconds: float = 10.0) -> Stalls:
    """Watch as many CPUs as this process may use, all at once, each from a process of its own."""
    cpus = sorted(os.sched_getaffinity(0))[: processors_allowed()]
    watch = [sys.executable, "-m", "tests.benchmarks.stalls", str(seconds), str(time.perf_counter() + _START)]
    watchers = [subprocess.Popen([*watch, str(cpu)], stdout=subprocess.PIPE, text=True) for cpu in cpus]
    said = [watcher.communicate()[0] for watcher in watchers]
    gaps = [gap for each in said for gap in json.loads(each)]
    return Stalls(
        cpus=len(cpus),
        seconds=seconds,
        count=len(gaps),
        share=sum(gaps) / (seconds * len(cpus)),
        longest_ms=1e3 * max(gaps, default=0.0),
    )


def _watch(seconds: float, start: float, cpu: int) -> list[float]:
    """Return the seconds of each long gap on a CPU, from a start that all processes share."""
    os.sched_setaffinity(0, {cpu})
    gc.disable()
    gaps: list[float] = []
    last = time.perf_counter()
    while last < start + seconds:
        now = time.perf_counter()
        if last > start and now - last > _LONG:
            gaps.append(now - last)
        last = now
    return gaps


if __name__ == "__main__":
    if sys.argv[2:]:
        print(json.dumps(_watch(float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))))
    else:
        found = measure(*map(float, sys.argv[1:]))
        print(found)
        print(json.dumps(asdict(found)))
