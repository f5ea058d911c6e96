"""Benchmark models: in rounds, each of which measures every model once, one after the other, in new processes."""

from __future__ import annotations

import os
import platform
from collections import defaultdict
from collections.abc import Collection
from dataclasses import replace
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING

import msgspec

from zoo.errors import SettingError
from zoo.utils import processor_name
from zoo_bench.measuring import measure_once
from zoo_bench.messages import Job
from zoo_bench.records import Machine, Report, Result
from zoo_bench.statistics import summarize
from zoo_bench.subjects import find_subjects

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from zoo import Registry
    from zoo_bench.measuring import Measured
    from zoo_bench.messages import Timed
    from zoo_bench.subjects import Subject

BATCH_SIZES = (1, 8, 64)
"""Default numbers of images per call."""

SECONDS = 2.0
"""Default number of seconds for which each batch size is measured in each round."""

ROUNDS = 3
"""Default number of rounds."""


def benchmark(
    *models: str | Path,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    seconds: float = SECONDS,
    rounds: int = ROUNDS,
    threads: int | None = None,
    data_dir: str | Path | None = None,
    plugin_files: Sequence[str | Path] = (),
    progress: Callable[[str], None] | None = None,
    registry: Registry | None = None,
) -> Report:
    """Measure the latency, memory and size of models, as ``zoo bench`` does.

    A model that cannot be loaded or measured is a result with an error; the others are still measured.

    Args:
        models: Runs, recipes that ship with trained weights, and exported files. A run or recipe stands for its own
            model and all of its exported files.
        batch_sizes: Numbers of images per call.
        seconds: Seconds for which to measure each batch size in each round.
        rounds: Number of rounds.
        threads: Number of CPUs, and of threads of an exported file's runtime, that a model may use. All usable CPUs by
            default.
        data_dir: Folder or file of the dataset, to measure the test accuracy of each model. By default, the accuracy is
            the recorded one, if there is one.
        plugin_files: Python files to load as plugins in the processes that measure. Objects that were added to
            ``registry`` in code do not exist there.
        progress: Called with a line of text before each measurement.
        registry: As for `zoo.run`.

    Raises:
        SettingError: An argument is not allowed.
        ZooError: There is no such run, recipe or file.
    """
    from zoo import load_registry

    cpus = sorted(os.sched_getaffinity(0))
    _check(batch_sizes, seconds, rounds, threads, len(cpus))
    if registry is None:
        registry = load_registry(files=plugin_files)
    subjects = find_subjects(models, registry)
    if data_dir is not None:  # then no recorded accuracy is one on this data
        subjects = [replace(each, accuracy=None) for each in subjects]
    chosen = cpus[: threads or len(cpus)]
    template = Job(
        source="",
        is_exported=False,
        plugin_files=[os.fspath(file) for file in plugin_files],
        batch_sizes=list(batch_sizes),
        seconds=seconds,
        cpus=chosen,
        test=data_dir is not None,
        data_dir=None if data_dir is None else os.fspath(data_dir),
    )
    load = os.getloadavg()[0]
    measured = measure_in_rounds(subjects, template, rounds, progress or _say_nothing, measure_once)
    return Report(
        machine=_machine(len(cpus), len(chosen), load, [each for several in measured for each in several]),
        rounds=rounds,
        seconds=seconds,
        results=[summarize_subject(*pair) for pair in zip(subjects, measured, strict=True)],
    )


def measure_in_rounds(
    subjects: Sequence[Subject],
    template: Job,
    rounds: int,
    progress: Callable[[str], None],
    measure: Callable[[Job], Measured],
) -> list[list[Measured]]:
    """Measure every subject once per round, in order, so that a drift of the machine's speed affects all alike.

    Args:
        subjects: The models.
        template: The job of each, without its source. The accuracy is measured in the first round only.
        rounds: Number of rounds. A subject that fails is left out of the later ones.
        progress: Called with a line of text before each measurement.
        measure: Carries out a job.

    Returns:
        For each subject, what each round measured.
    """
    found: list[list[Measured]] = [[] for _ in subjects]
    for number in range(1, rounds + 1):
        for subject, several in zip(subjects, found, strict=True):
            if several and several[-1].error is not None:
                continue
            progress(f"round {number} of {rounds}: {subject.name}, {subject.format}")
            job = msgspec.structs.replace(
                template,
                source=subject.source,
                is_exported=subject.is_exported,
                test=template.test and number == 1,
            )
            several.append(measure(job))
    return found


def summarize_subject(subject: Subject, rounds: Sequence[Measured]) -> Result:
    """Return the result of a subject from what each round measured."""
    timed: dict[int, list[Timed]] = defaultdict(list)
    for each in rounds:
        for one in each.timed:
            timed[one.batch_size].append(one)
    loads = [each.loaded.seconds for each in rounds if each.loaded is not None]
    peaks = [each.peak.memory_bytes for each in rounds if each.peak is not None]
    tested = next((each.evaluated.accuracy for each in rounds if each.evaluated is not None), None)
    accuracy = subject.accuracy if tested is None else tested
    return Result(
        name=subject.name,
        source=subject.source,
        format=subject.format,
        accuracy=accuracy,
        accuracy_source=None if accuracy is None else "recorded" if tested is None else "measured",
        size_bytes=subject.size_bytes,
        load_seconds=median(loads) if loads else None,
        peak_memory_bytes=max(peaks, default=None),
        latency=[summarize(several) for several in timed.values()],
        error=next((each.error for each in rounds if each.error is not None), None),
    )


def _machine(cpus: int, threads: int, load: float, measured: Sequence[Measured]) -> Machine:
    loaded = [each.loaded for each in measured if each.loaded is not None]
    packages = {name: number for each in loaded for name, number in each.packages.items()}
    return Machine(
        processor=processor_name(),
        cpus=cpus,
        threads=threads,
        accelerator=next((each.accelerator for each in loaded if each.accelerator is not None), None),
        platform=f"{platform.system()} {platform.machine()}",
        load_average=load,
        packages={
            "python": platform.python_version(),
            "keras-zoo": version("keras-zoo"),
            **dict(sorted(packages.items())),
        },
    )


def _check(batch_sizes: Sequence[int], seconds: float, rounds: int, threads: int | None, cpus: int) -> None:
    """Raise `SettingError` if an argument is not allowed."""
    checks = {
        "batch_sizes": (
            batch_sizes,
            isinstance(batch_sizes, Collection)
            and all(type(size) is int and size > 0 for size in batch_sizes)
            and len(set(batch_sizes)) == len(batch_sizes) > 0,
            "must be different integers of at least 1",
        ),
        "seconds": (
            seconds,
            isinstance(seconds, int | float) and 0 < seconds <= 3600,
            "must be a number of seconds above 0, up to 3600",
        ),
        "rounds": (rounds, type(rounds) is int and rounds > 0, "must be an integer of at least 1"),
        "threads": (
            threads,
            threads is None or (type(threads) is int and 0 < threads <= cpus),
            f"must be an integer from 1 to {cpus}, the number of CPUs that zoo may use here",
        ),
    }
    for name, (value, is_allowed, what) in checks.items():
        if not is_allowed:
            raise SettingError(f"{name!r} {what}. Received: {name}={value!r:.200}", name=name, value=value)


def _say_nothing(_: str) -> None:
    """Show no progress."""
