"""Our trainers beside stock Keras and PyTorch, and our commands beside the least that could do the same.

Usage: python -m tests.benchmarks.compare [--rounds 3] [--out docs/benchmarks.md]

Needs the extra [bench], an idle machine and about three quarters of an hour on two cores. Contenders take turns, an
epoch each, in processes of their own, so that a machine that becomes slower becomes so for all; one that fails is
shown as failed. With KERAS_BACKEND=jax and a GPU, everything runs there.
"""

from __future__ import annotations

import json
import multiprocessing
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import click

from .contenders import CONTENDERS, EPOCHS, STOCK, Epoch, serve
from .machine import Machine
from .page import Whole, render
from .whole import TARGETS, ZOO, run_process

MARK = 0.9202  # test accuracy of the published reference
TO_MARK = (STOCK, "PyTorch eager, bfloat16", "zoo fit, float32", "zoo resident, float32")


class Worker:
    """A contender in a process of its own."""

    def __init__(self, name: str) -> None:
        """Start the process; it does nothing until it is asked."""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(name, theirs), daemon=True)
        self._process.start()
        self.name = name
        self.epochs: list[Epoch] = []
        self.failure: str | None = None

    def epoch(self) -> None:
        """Let it train an epoch, and keep what that took."""
        if self.failure is not None:
            return
        pipe: Connection = self._pipe
        pipe.send(len(self.epochs))
        try:
            answer = pipe.recv()
        except EOFError:
            answer = "the process ended"
        if isinstance(answer, Epoch):
            self.epochs.append(answer)
            said = f"{answer.wall:7.2f} s  CPU {answer.cpu:7.2f} s  test accuracy {answer.accuracy:.4f}"
        else:
            said = self.failure = answer
        click.echo(f"epoch {len(self.epochs):2d}  {self.name:<36}{said}")

    @property
    def has_arrived(self) -> bool:
        """Whether it has reached the mark, or will not."""
        return (
            self.failure is not None
            or len(self.epochs) >= EPOCHS
            or any(epoch.accuracy >= MARK for epoch in self.epochs)
        )

    def end(self) -> None:
        """End the process."""
        if self._process.is_alive():
            self._pipe.send(None)
            self._process.join()


def train_fast(seeds: int = 3) -> list[Whole]:
    """Run recipe fashion-cnn-fast with some seeds."""
    done = []
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            command = [
                ZOO,
                "run",
                "fashion-cnn-fast",
                "--seed",
                str(seed),
                "--out",
                f"{folder}/run",
                "--quiet",
                "--json",
            ]
            process = run_process(command)
        run = json.loads(process.out)
        done.append(Whole(training=run["seconds"]["train"], cpu=process.cpu, accuracy=run["test"]["accuracy"]))
        click.echo(f"fashion-cnn-fast, seed {seed}: {done[-1]}")
    return done


def take_turns(names: list[str], rounds: int, *, to_mark: bool) -> list[Worker]:
    """Let contenders train an epoch each in turn, and some of them on until they reach the mark."""
    workers = [Worker(name) for name in names]
    for _ in range(rounds + 1):  # the first compiles
        for worker in workers:
            worker.epoch()
    racing = [worker for worker in workers if to_mark and worker.name in TO_MARK]
    for worker in workers:
        if worker not in racing:
            worker.end()
    while any(not worker.has_arrived for worker in racing):
        for worker in racing:
            if not worker.has_arrived:
                worker.epoch()
    for worker in racing:
        worker.end()
    return workers


@click.command(help=__doc__)
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(min=1), help="Epochs that count.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write a page there.")
@click.option("--only", multiple=True, help="Only contenders with this in their names. May be repeated.")
@click.option("--to-mark/--no-mark", default=True, help="Train on to the reference's accuracy, or do not.")
def main(rounds: int, out: Path | None, only: tuple[str, ...], to_mark: bool) -> None:
    """Measure everything and write the page."""
    started = time.perf_counter()
    machine = Machine.measured()
    click.echo(machine.title)
    targets = [target() for target in TARGETS]
    for target in targets:
        click.echo(f"{target.what}: {target.ratio:.2f} times {target.beside}, at most {target.limit}")
    names = [name for name in CONTENDERS if not only or any(part in name for part in only)]
    workers = take_turns(names, rounds, to_mark=to_mark)
    page = render(
        machine=machine,
        rounds=rounds,
        epochs={worker.name: worker.epochs or worker.failure or "no epoch" for worker in workers},
        racing=[name for name in names if to_mark and name in TO_MARK],
        mark=MARK,
        fast=train_fast(),
        targets=targets,
        minutes=(time.perf_counter() - started) / 60,
    )
    if out is None:
        click.echo(page)
    else:
        out.write_text(page)
        click.echo(f"written: {out}")


if __name__ == "__main__":
    main()
