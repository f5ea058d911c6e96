"""What a sweep costs a trial, in processes of this machine and as tasks of Ray."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from .whole import ZOO

TRIAL = ("mlp", "--dataset", "digits", "--epochs", "1")
"""A training of a second or so, in a process that takes longer to start."""

ON_RAY = "`--address local --jobs 1`"
WAYS: dict[str, tuple[str, ...]] = {
    "one after another": (),
    "`--jobs 2`": ("--jobs", "2"),
    ON_RAY: ("--address", "local", "--jobs", "1"),
    "`--address local --jobs 2`": ("--address", "local", "--jobs", "2"),
}
"""The options of each kind of sweep."""

FEW, MANY = 2, 8
"""Trials of the two sweeps that are compared; both divide by the jobs."""


@dataclass(frozen=True, kw_only=True)
class SweepCost:
    """What a sweep took.

    Args:
        whole: Seconds besides the trials: its start, its end, the test of the best.
        trial: Seconds that one more trial takes.
    """

    whole: float
    trial: float


def train_alone(rounds: int) -> float:
    """Return the median seconds of the same training as a command of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return statistics.median(_call("train", *TRIAL, "--out", f"{folder}/{number}") for number in range(rounds))


def sweep(options: tuple[str, ...], rounds: int) -> SweepCost:
    """Return what a sweep takes, from sweeps of few and of many trials: the difference is the trials' alone."""
    few = statistics.median(_seconds_of_sweep(FEW, options) for _ in range(rounds))
    many = statistics.median(_seconds_of_sweep(MANY, options) for _ in range(rounds))
    trial = (many - few) / (MANY - FEW)
    return SweepCost(whole=few - FEW * trial, trial=trial)


def _seconds_of_sweep(trials: int, options: tuple[str, ...]) -> float:
    rates = ",".join(f"{number}e-3" for number in range(1, trials + 1))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "sweep"
        return _call("sweep", *TRIAL, "--set", f"optimizer.learning_rate={rates}", "--out", str(out), *options)


def _call(*arguments: str) -> float:
    began = time.perf_counter()
    subprocess.run([ZOO, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began
