"""Whole commands beside the least that could do the same, interleaved, each in processes of its own."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ZOO = str(Path(sysconfig.get_path("scripts")) / "zoo")
HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LIMIT = 1800.0  # seconds that a command may take


@dataclass(frozen=True, kw_only=True)
class Target:
    """Something measured, beside the least that it could be, and how many times that it may be.

    Args:
        what: What is measured.
        beside: What it is measured beside.
        ours: Median of ours.
        theirs: Median of theirs.
        unit: Of both.
        limit: Most that ``ours / theirs`` may be.
    """

    what: str
    beside: str
    ours: float
    theirs: float
    unit: str
    limit: float

    @property
    def ratio(self) -> float:
        """Ours divided by theirs."""
        return self.ours / self.theirs


@dataclass(frozen=True, kw_only=True)
class Process:
    """What a process took.

    Args:
        seconds: By the clock.
        user: Seconds of all processors in its own code.
        system: Seconds of all processors in the kernel.
        faults: Pages that the kernel had to supply: minor page faults.
        peak: Most bytes of memory.
        out: Standard output.
    """

    seconds: float
    user: float
    system: float
    faults: int
    peak: int
    out: str

    @property
    def cpu(self) -> float:
        """Seconds of all processors."""
        return self.user + self.system


def start_up_of_help(rounds: int = 20) -> Target:
    """`zoo --help` beside the import of its two smallest dependencies."""
    return _start_up("--help", rounds)


def start_up_of_list(rounds: int = 20) -> Target:
    """`zoo list` beside the same."""
    return _start_up("list", rounds)


def first_step(rounds: int = 5) -> Target:
    """From the command to the end of the first training step, beside a plain Keras script."""

    def ours(folder: Path) -> float:
        plugin = HERE / "end_after_one_step.py"
        command = [ZOO, "--plugin", str(plugin), "run", "fashion-cnn", "--out", str(folder / "run"), "--quiet"]
        return run_process(command).seconds

    medians = _medians({"ours": ours, "theirs": lambda folder: _script(folder, 0).seconds}, rounds)
    return Target(what="`zoo run fashion-cnn`, first step", beside="plain script", **medians, unit="s", limit=1.2)


def memory(rounds: int = 1) -> Target:
    """Peak memory of a run of one epoch, beside a plain Keras script that does the same."""

    def ours(folder: Path) -> float:
        command = [ZOO, "run", "fashion-cnn", "--epochs", "1", "--out", str(folder / "run"), "--quiet"]
        return run_process(command).peak / 1e6

    medians = _medians({"ours": ours, "theirs": lambda folder: _script(folder, 1).peak / 1e6}, rounds)
    return Target(what="`zoo run fashion-cnn`, peak memory", beside="plain script", **medians, unit="MB", limit=1.0)


def command_test(rounds: int = 5) -> Target:
    """`zoo test fashion-cnn` after the imports, beside a bare compiled loop over the same images."""

    def ours(folder: Path) -> float:
        return _seconds_of("load_and_test")

    medians = _medians({"ours": ours, "theirs": lambda folder: _seconds_of("bare_loop")}, rounds)
    return Target(what="`zoo test fashion-cnn`, after import", beside="bare loop", **medians, unit="s", limit=1.3)


def one_image(rounds: int = 3) -> Target:
    """One image through a loaded model, beside the bare compiled call."""
    several = [_python("one_image") for _ in range(rounds)]
    medians = {key: statistics.median(each[key] for each in several) * 1e3 for key in ("ours", "theirs")}
    return Target(what="one image through `zoo.load(...)`", beside="bare call", **medians, unit="ms", limit=2.0)


TARGETS: tuple[Callable[[], Target], ...] = (
    start_up_of_help,
    start_up_of_list,
    first_step,
    memory,
    command_test,
    one_image,
)


def _start_up(argument: str, rounds: int) -> Target:
    commands = {"ours": [ZOO, argument], "theirs": [sys.executable, "-c", "import click, pluggy"]}

    def seconds(command: list[str]) -> Callable[[Path], float]:
        return lambda folder: run_process(command).seconds * 1e3

    medians = _medians({name: seconds(command) for name, command in commands.items()}, rounds)
    return Target(what=f"`zoo {argument}`", beside="`import click, pluggy`", **medians, unit="ms", limit=2.0)


def _medians(contenders: Mapping[str, Callable[[Path], float]], rounds: int) -> dict[str, float]:
    """Measure in turn, each time with a fresh folder; the first round warms up."""
    measured: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds + 1):
        for name, measure in contenders.items():
            folder = Path(tempfile.mkdtemp())
            try:
                measured[name].append(measure(folder))
            finally:
                shutil.rmtree(folder)
    return {name: statistics.median(several[1:]) for name, several in measured.items()}


def _script(folder: Path, epochs: int) -> Process:
    return run_process([sys.executable, "-m", "tests.benchmarks.plain_script", str(folder), str(epochs)])


def _seconds_of(name: str) -> float:
    return float(_python(name))


def _python(name: str) -> Any:
    """Run a function of `in_process` in a process of its own and return what it does."""
    return json.loads(run_process([sys.executable, "-m", "tests.benchmarks.in_process", name]).out.splitlines()[-1])


def run_process(command: list[str], variables: Mapping[str, str] | None = None) -> Process:
    """Run a command to its end.

    Args:
        command: What to run.
        variables: Of the environment, besides this process's.

    Raises:
        RuntimeError: It fails.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        # compiled code is kept, as in an installation
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environ |= variables or {}
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=ROOT, env=environ)
        timer = threading.Timer(LIMIT, process.kill)
        timer.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        finally:
            timer.cancel()
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        for file in (out, err):
            file.seek(0)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {err.read()[-2000:]}")
        return Process(
            seconds=seconds,
            user=usage.ru_utime,
            system=usage.ru_stime,
            faults=usage.ru_minflt,
            peak=usage.ru_maxrss * 1024,
            out=out.read(),
        )
