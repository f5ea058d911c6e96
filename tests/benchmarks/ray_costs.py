"""What the engines of plugin ``ray`` cost: trainer ``ray`` a run and a step, a sweep a trial; worked out to a thousand.

``python -m tests.benchmarks.ray_costs --out docs/ray-costs.md`` trains the reference network for a few steps with
trainer ``resident``, in one process, and with trainer ``ray``, sweeps over trainings of a second, and writes the page.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from zoo_fashion.dataset import FashionMnist
from zoo_fashion.model import build
from zoo_keras.resident import Resident
from zoo_ray.trainer import RayTrainer

from zoo import ArrayExamples, Trainer, TrainingConfig

from . import sweep_costs
from .machine import Machine
from .sweep_costs import SweepCost

BATCH = 64
GRADIENTS = 4 * 356_234  # bytes that each worker sends and gets in a step: one float32 a parameter
NETWORKS = {"1 Gbit/s": (1e9 / 8, 100e-6), "10 Gbit/s": (10e9 / 8, 50e-6), "100 Gbit/s": (100e9 / 8, 10e-6)}
"""Bytes a second of a link and seconds that a message takes besides, of three kinds of network: assumed."""

WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
TRIALS = 1000
TRAININGS = {"30 s": 30.0, "10 min": 600.0, "2 h": 7200.0}
"""Seconds that a trial of a sweep may take."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a training took.

    Args:
        start: Seconds from the start of the trainer to the end of the first step.
        step: Median seconds of a step in the epochs after the first.
        end: Seconds to end what was started.
    """

    start: float
    step: float
    end: float


def measured(trainer: Trainer, images: int, epochs: int) -> Cost:
    """Train the reference network on so many images, once to warm up and then so many epochs."""
    train = FashionMnist().load(None).train
    examples = ArrayExamples(*train[np.arange(images)])
    builder = partial(build, (28, 28, 1), 10, dropout=0.0)
    keras.utils.set_random_seed(0)
    settings = TrainingConfig(epochs=epochs + 2, batch_size=BATCH, seed=0, build=builder)
    began = time.perf_counter()
    training = trainer.start(builder(), examples, settings)
    try:
        first: list[float] = []
        training.run_epoch(0, lambda step, _: first.append(time.perf_counter() - began))
        seconds = [_seconds(partial(training.run_epoch, epoch, lambda *_: None)) for epoch in range(1, epochs + 1)]
    finally:
        end = _seconds(getattr(training, "close", lambda: None))
    return Cost(start=first[0], step=statistics.median(seconds) / math.ceil(images / BATCH), end=end)


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _table(*rows: list[str]) -> list[str]:
    """Return the lines of a table, the first of whose rows is its head."""
    head, *body = (f"| {' | '.join(cells)} |" for cells in rows)
    return [head, "|---" * len(rows[0]) + "|", *body]


def step_seconds(workers: int, batch: int, image: float, engine: float, network: tuple[float, float]) -> float:
    """Return the seconds of a step: each worker's share of the batch, the engine, a ring's all-reduce.

    Args:
        workers: How many.
        batch: Images, of all workers together.
        image: Seconds that a worker takes for one.
        engine: Seconds that the engine takes besides.
        network: Bytes a second, and seconds a message.
    """
    speed, latency = network
    moved = 2 * (workers - 1) / workers * GRADIENTS / speed
    return math.ceil(batch / workers) * image + engine + moved + 2 * (workers - 1) * latency


def page(costs: dict[str, Cost], sweeps: dict[str, SweepCost], alone_trial: float, title: str) -> str:
    """Return the page of figures.

    Args:
        costs: Of each contender.
        sweeps: Of each way to sweep.
        alone_trial: Seconds of such a trial as a command of its own.
        title: The machine.
    """
    alone, one, two = (costs[name] for name in ("resident, 1 thread", "ray, 1 worker", "ray, 2 workers"))
    image, engine = alone.step / BATCH, max(0.0, one.step - alone.step)
    lines = [
        "# What trainer ray and sweeps cost",
        "",
        "Made by `python -m tests.benchmarks.ray_costs --out docs/ray-costs.md`. The formula and what it assumes:",
        "[More than one machine](more-than-one-machine.md#what-it-costs).",
        "",
        f"On {title}.",
        "",
        f"The reference network, a batch of {BATCH} for all workers together, no dropout, one thread a worker. Start:",
        "until the first step is done, without the import of Keras in the run's own process.",
        "",
        *_table(
            ["", "start, s", "a step, ms", "end, s"],
            *([name, f"{cost.start:.1f}", f"{1e3 * cost.step:.2f}", f"{cost.end:.1f}"] for name, cost in costs.items()),
        ),
        "",
        f"The engine takes {one.start + one.end - alone.start - alone.end:.1f} s a run, {1e3 * engine:.2f} ms a step.",
        f"Two workers are {alone.step / two.step:.2f} times as fast as one process with one thread.",
        "",
        "## Worked out",
        "",
        f"Times as fast as one process, with c = {1e3 * image:.3f} ms an image and e = {1e3 * engine:.2f} ms a step.",
        f"Left, a batch of {BATCH} in all, as zoo trains; right, {BATCH} for each worker, which is another training.",
        "",
        *_table(
            ["workers", *(f"{name}, in all" for name in NETWORKS), *(f"{name}, each" for name in NETWORKS)],
            *(_speed_ups(workers, image, engine) for workers in WORKERS),
        ),
        "",
        *_sweep_lines(sweeps, alone_trial),
    ]
    return "\n".join(lines) + "\n"


def _speed_ups(workers: int, image: float, engine: float) -> list[str]:
    """Return a row: how many workers, and times as fast as one process, with a batch in all and then with one each."""
    cells = [f"{workers:,}"]
    for batch in (BATCH, BATCH * workers):
        for network in NETWORKS.values():
            speed_up = batch * image / step_seconds(workers, batch, image, engine, network)
            cells.append(f"{speed_up:.1f}" if batch >= workers else "-")
    return cells


def sweep_seconds(workers: int, trials: int, training: float, cost: SweepCost) -> float:
    """Return the seconds of a sweep over workers that each train one trial at a time.

    Args:
        workers: How many.
        trials: How many.
        training: Seconds of one, as a command of its own.
        cost: What the engine takes besides: ``trial`` seconds for each, ``whole`` seconds in all.
    """
    return math.ceil(trials / workers) * (training + cost.trial) + cost.whole


def _sweep_lines(sweeps: dict[str, SweepCost], alone: float) -> list[str]:
    few, many = sweep_costs.FEW, sweep_costs.MANY
    ray = sweeps[sweep_costs.ON_RAY]
    engine = SweepCost(trial=max(0.0, ray.trial - alone), whole=ray.whole)
    return [
        "## A sweep",
        "",
        f"Trials of `zoo train {' '.join(sweep_costs.TRIAL)}`, which takes {alone:.1f} s as a command of its own,",
        f"most of them the import of Keras. From sweeps of {few} and of {many} trials: what one more trial takes, and",
        "the rest, which is the start and the end of the sweep and the test of its best.",
        "",
        *_table(
            ["`zoo sweep`", "a trial, s", "more than the command alone, s", "the rest, s"],
            *(
                [options, f"{cost.trial:.2f}", f"{cost.trial - alone:+.2f}", f"{cost.whole:.1f}"]
                for options, cost in sweeps.items()
            ),
        ),
        "",
        f"Worked out for {TRIALS:,} trials, each worker with the figures of {sweep_costs.ON_RAY}: times as fast",
        "as the same commands one after another. It is assumed that every worker is a machine like this one, and that",
        "the head keeps up with them.",
        "",
        *_table(
            ["workers", *(f"{name} each" for name in TRAININGS)],
            *([f"{workers:,}", *_sweep_speed_ups(workers, engine)] for workers in WORKERS),
        ),
    ]


def _sweep_speed_ups(workers: int, engine: SweepCost) -> list[str]:
    return [
        f"{TRIALS * training / sweep_seconds(workers, TRIALS, training, engine):.1f}" for training in TRAININGS.values()
    ]


CONTENDERS: dict[str, tuple[Callable[[], Trainer], int]] = {
    "resident, 1 thread": (Resident, 1),
    "resident, 2 threads": (Resident, 2),
    "ray, 1 worker": (partial(RayTrainer, workers=1, threads=1), 2),
    "ray, 2 workers": (partial(RayTrainer, workers=2, threads=1), 2),
}
"""What makes each trainer, and how many threads the run's own process computes with."""


def in_new_process(name: str, images: int, epochs: int) -> Cost:
    """Return what a contender took in a process of its own, since TensorFlow's threads are set once."""
    threads = str(CONTENDERS[name][1])
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.benchmarks.ray_costs",
            f"--images={images}",
            f"--epochs={epochs}",
            f"--only={name}",
        ],
        env={**os.environ, "TF_NUM_INTRAOP_THREADS": threads, "TF_NUM_INTEROP_THREADS": threads},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=6400)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3, help="how often each sweep is run; the median counts")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", choices=CONTENDERS, help="measure one, in this process")
    given = parser.parse_args()
    if given.only:
        print(json.dumps(asdict(measured(CONTENDERS[given.only][0](), given.images, given.epochs))))
        return
    costs = {name: in_new_process(name, given.images, given.epochs) for name in CONTENDERS}
    sweeps = {name: sweep_costs.sweep(options, given.rounds) for name, options in sweep_costs.WAYS.items()}
    text = page(costs, sweeps, sweep_costs.train_alone(given.rounds), Machine.measured().title)
    if given.out:
        given.out.write_text(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
