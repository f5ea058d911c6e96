"""docs/benchmarks.md, from what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import dedent

from .contenders import STOCK, Epoch
from .machine import Machine
from .whole import Target

_IMAGES = 55_000


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A whole run of a recipe: wall seconds of training, CPU seconds of the command, test accuracy."""

    training: float
    cpu: float
    accuracy: float


def render(
    *,
    machine: Machine,
    rounds: int,
    epochs: Mapping[str, Sequence[Epoch] | str],
    racing: Sequence[str],
    mark: float,
    fast: Sequence[Whole],
    targets: Sequence[Target],
    minutes: float,
) -> str:
    """Return the page.

    Args:
        machine: What was measured on.
        rounds: Epochs of each contender that count, after one that does not.
        epochs: Those of each contender, or why it failed.
        racing: Who trained on until they reached the mark.
        mark: The test accuracy to reach.
        fast: Runs of recipe ``fashion-cnn-fast``, by seed.
        targets: Whole commands beside the least that could do the same.
        minutes: What all of it took.
    """
    packages = ", ".join(f"{name} {number}" for name, number in machine.packages.items())
    parts = [
        f"""\
        # Benchmarks

        Made in {minutes:.0f} minutes by `python -m tests.benchmarks.compare --out docs/benchmarks.md`, in a checkout
        with `pip install -e ".[dev,bench]"`. Figures are of one machine on one day; compare ratios.

        | | |
        |---|---|
        | day | {machine.day} |
        | processor | {machine.processors} x {machine.processor}, {machine.memory / 2**30:.0f} GiB |
        | accelerator | {machine.device} |
        | versions | Python {machine.python}, {packages} |
        | Keras's backend | {machine.backend} |
        | best matrix product | float32 {_giga(machine.rates["float32"])}, bfloat16 {_giga(machine.rates["bfloat16"])} |
        """,
        f"""\
        ## An epoch

        The reference network on the same {_IMAGES:,} images at batch size 64, float32 unless it says bfloat16. Each
        contender is a process of its own; they take turns, an epoch each. Medians of {rounds} after one that compiles.
        "Share" is of the best matrix product in that type: a training image takes {machine.work / 1e6:.0f} million
        operations. "Peak" is the process's memory. "Pool first" means pooling before LeakyReLU, which is the
        same function. PyTorch's loops hold the data as tensors, channels_last, with the fused Adam and no loader.
        """,
        "\n".join(_epoch_rows(machine, rounds, epochs)),
        f"""\
        ## To {mark:.2%} test accuracy

        The published accuracy of the reference. Contenders that differ in speed alone go on, a turn each, until their
        test accuracy is there (this page reads the test images for it; zoo itself reads them once, at the end). The
        recipe's learning rate has to come down before it is any good, so its time is that of a whole training,
        and its CPU seconds are those of the whole command.
        """,
        "\n".join(_mark_rows(racing, mark, epochs, fast)),
        """\
        ## Whole commands

        Beside the least that could do the same, in turn, in processes of their own, medians. The plain script reads the
        same files, trains with stock `Model.fit` and `ModelCheckpoint`, loads what it saved and tests it
        (`tests/benchmarks/plain_script.py`).
        """,
        "\n".join(_target_rows(targets)),
        """\
        ## Why stock `Model.fit` takes longer by the clock than its processors work

        Keras puts data into a `tf.data` pipeline with automatic tuning. At the end of an epoch the pipeline is taken
        down, which waits for the tuner's thread, and that thread sleeps ever longer while nothing needs tuning. Trainer
        `fit` hands over a pipeline that is not tuned: the same bits, without the wait. Compare the columns "CPU".

        ## Elsewhere

        On a GPU: `KERAS_BACKEND=jax python -m tests.benchmarks.compare`, with JAX and PyTorch for that GPU installed.
        The first call compiles for some ten seconds; JAX's persistent cache, which trainer `resident` switches on
        there, saves that in later processes.
        """,
    ]
    return "\n".join(dedent(part).rstrip("\n") + "\n" for part in parts)


def _epoch_rows(machine: Machine, rounds: int, epochs: Mapping[str, Sequence[Epoch] | str]) -> list[str]:
    stock = epochs.get(STOCK)
    base = None if stock is None or isinstance(stock, str) else _medians(stock, rounds)
    rows = [
        "| | seconds | CPU seconds | times as fast as stock | by CPU seconds | share | peak |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, several in epochs.items():
        if isinstance(several, str):
            rows.append(f"| {name} | failed: {several.replace('|', '/')} | | | | | |")
            continue
        wall, cpu = _medians(several, rounds)
        rate = machine.rates["bfloat16" if "bfloat16" in name else "float32"]
        times = ("", "") if base is None else (f"{base[0] / wall:.2f}", f"{base[1] / cpu:.2f}")
        share, peak = machine.work * _IMAGES / wall / rate, several[rounds].peak / 1e6
        rows.append(f"| {name} | {wall:.2f} | {cpu:.2f} | {times[0]} | {times[1]} | {share:.0%} | {peak:.0f} MB |")
    return rows


def _medians(epochs: Sequence[Epoch], rounds: int) -> tuple[float, float]:
    counted = epochs[1 : rounds + 1]
    return statistics.median(epoch.wall for epoch in counted), statistics.median(epoch.cpu for epoch in counted)


def _mark_rows(
    racing: Sequence[str],
    mark: float,
    epochs: Mapping[str, Sequence[Epoch] | str],
    fast: Sequence[Whole],
) -> list[str]:
    rows = ["| | epochs | seconds of training | CPU seconds | test accuracy then |", "|---|---|---|---|---|"]
    for name in racing:
        several = epochs[name]
        if isinstance(several, str):
            rows.append(f"| {name} | failed | | | |")
            continue
        arrived = next((i for i, epoch in enumerate(several, 1) if epoch.accuracy >= mark), None)
        counted = several[:arrived]
        wall, cpu = sum(epoch.wall for epoch in counted), sum(epoch.cpu for epoch in counted)
        said = str(arrived) if arrived else f"not in {len(several)}"
        rows.append(f"| {name} | {said} | {wall:.0f} | {cpu:.0f} | {counted[-1].accuracy:.4f} |")
    rows += [
        f"| recipe `fashion-cnn-fast`, seed {seed} | 4 | {run.training:.0f} | {run.cpu:.0f} | {run.accuracy:.4f} |"
        for seed, run in enumerate(fast)
    ]
    return rows


def _target_rows(targets: Sequence[Target]) -> list[str]:
    rows = ["| | ours | beside | theirs | ratio | at most | |", "|---|---|---|---|---|---|---|"]
    rows += [
        f"| {target.what} | {target.ours:.3g} {target.unit} | {target.beside} | {target.theirs:.3g} {target.unit} "
        f"| {target.ratio:.2f} | {target.limit:g} | {'met' if target.ratio <= target.limit else 'missed'} |"
        for target in targets
    ]
    return rows


def _giga(rate: float) -> str:
    return f"{rate / 1e9:,.0f} GFLOP/s"
