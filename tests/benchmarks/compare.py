"""Our trainers beside stock Keras and PyTorch, and our commands beside the least that could do the same.

Usage: python -m tests.benchmarks.compare [--rounds 3] [--out docs/reference/benchmarks.md]

Needs the extra [bench], an idle machine and about three quarters of an hour on two cores. Contenders take turns, an
epoch each, in processes of their own, so that a machine that becomes slower becomes so for all; one that fails is
shown as failed. With KERAS_BACKEND=jax and a GPU, everything runs there.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click

from zoo.utils import hardware

from .contenders import CONTENDERS, EPOCHS, ONEDNN, STOCK, Epoch, serve
from .machine import Machine
from .page import Contender, Whole, render
from .whole import TARGETS, ZOO, Target, run_process

MARK = 0.9202  # test accuracy of the published reference
TO_MARK = (STOCK, "PyTorch eager, float32", "PyTorch eager, bfloat16", "zoo resident, float32")
LIMIT = 1800.0  # seconds that an epoch may take, with compilation


class Worker:
    """A contender in a process of its own."""

    def __init__(self, name: str) -> None:
        """Start the process; it does nothing until it is asked."""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(name, theirs), daemon=True)
        self._process.start()
        theirs.close()  # so that the end of the process is the end of the pipe
        self.name = name
        self.epochs: list[Epoch] = []
        self.failure: str | None = None

    def epoch(self) -> None:
        """Let it train an epoch, and keep what that took."""
        if self.failure is not None:
            return
        answer = self._ask(len(self.epochs))
        if isinstance(answer, Epoch):
            self.epochs.append(answer)
            said = (
                f"{answer.wall:7.2f} s  user {answer.user:7.2f} s  system {answer.system:6.2f} s  "
                f"faults {answer.faults:10,}  test accuracy {answer.accuracy:.4f}"
            )
        else:
            said = self.failure = str(answer)
        click.echo(f"epoch {len(self.epochs):2d}  {self.name:<40}{said}")

    def _ask(self, number: int) -> Any:
        try:
            self._pipe.send(number)
            if self._pipe.poll(LIMIT):
                return self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(10)
            return f"its process ended with {self._process.exitcode}"
        return f"no answer in {LIMIT:.0f} s"

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
        self._process.kill()
        self._process.join()


@contextmanager
def working(names: list[str]) -> Iterator[list[Worker]]:
    """Start workers; whatever happens, none is left behind."""
    with ExitStack() as stack:
        workers = []
        for name in names:
            workers.append(Worker(name))
            stack.callback(workers[-1].end)
        yield workers


def take_turns(names: list[str], rounds: int, *, to_mark: bool) -> list[Worker]:
    """Let contenders train an epoch each in turn, and some of them on until they reach the mark."""
    with working(names) as workers:
        for number in range(rounds + 1):  # the first compiles
            begin = number % len(workers)  # nobody always follows the same one
            for worker in workers[begin:] + workers[:begin]:
                worker.epoch()
        racing = [worker for worker in workers if to_mark and worker.name in TO_MARK]
        for worker in workers:
            if worker not in racing:
                worker.end()
        while any(not worker.has_arrived for worker in racing):
            for worker in racing:
                if not worker.has_arrived:
                    worker.epoch()
    return workers


def measure_targets() -> list[Target | str]:
    """Return each target as measured, or why it could not be."""
    measured: list[Target | str] = []
    for target in TARGETS:
        try:
            measured.append(target())
        except Exception as error:  # told, and shown on the page
            measured.append(f"{target.__name__}: {error}")
        click.echo(measured[-1])
    return measured


def train_fast(seeds: int, precisions: tuple[str, ...]) -> list[Whole | str]:
    """Run recipe fashion-cnn-fast with some seeds in each precision."""
    done: list[Whole | str] = []
    for seed in range(seeds):  # the precisions take turns
        for precision in precisions:
            with tempfile.TemporaryDirectory() as folder:
                command = [ZOO, "run", "fashion-cnn-fast", "--seed", str(seed), "--out", f"{folder}/run"]
                command += ["--set", f"trainer.precision={precision}", "--quiet", "--json"]
                try:
                    process = run_process(command)
                    run = json.loads(process.out)
                    done.append(
                        Whole(
                            seed=seed,
                            precision=precision,
                            training=run["seconds"]["train"],
                            cpu=process.cpu,
                            accuracy=run["test"]["accuracy"],
                        )
                    )
                except Exception as error:  # told, and shown on the page
                    done.append(f"{error}")
            click.echo(f"fashion-cnn-fast, seed {seed}, {precision}: {done[-1]}")
    return done


@click.command(help=__doc__)
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(min=1), help="Epochs that count.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write a page there.")
@click.option("--only", multiple=True, help="Only contenders with this in their names, and nothing else.")
@click.option("--skip", multiple=True, help="No contenders with this in their names.")
@click.option("--to-mark/--no-mark", default=True, help="Train on to the reference's accuracy, or do not.")
@click.option("--targets/--no-targets", "with_targets", default=True, help="Measure whole commands too, or do not.")
def main(
    rounds: int, out: Path | None, only: tuple[str, ...], skip: tuple[str, ...], to_mark: bool, with_targets: bool
) -> None:
    """Measure everything and write the page."""
    started = time.perf_counter()
    machine = Machine.measured()
    click.echo(machine.title)
    targets = measure_targets() if with_targets and not only else []
    names = [
        name
        for name in CONTENDERS
        if (not only or any(part in name for part in only))
        and not any(part in name for part in skip)
        and (machine.has_bfloat16 or "bfloat16" not in name)
        and (hardware.tensorflow_lacks_onednn() or ONEDNN not in name)
    ]
    if not names:
        raise click.BadParameter(f"no contender has this in its name: {', '.join(CONTENDERS)}", param_hint="--only")
    workers = take_turns(names, rounds, to_mark=to_mark)
    shown = ("KERAS_BACKEND", *machine.variables)
    variables = [f"{name}={os.environ[name]} " for name in shown if name in os.environ]
    page = render(
        machine=machine,
        command="".join(variables) + shlex.join(["python", "-m", "tests.benchmarks.compare", *sys.argv[1:]]),
        rounds=rounds,
        contenders=[
            Contender(
                name=worker.name,
                epochs=worker.epochs,
                failure=worker.failure,
                is_racing=to_mark and worker.name in TO_MARK,
            )
            for worker in workers
        ],
        mark=MARK,
        fast=[] if only else train_fast(3, ("float32", "mixed_bfloat16") if machine.has_bfloat16 else ("float32",)),
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
