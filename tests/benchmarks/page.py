"""docs/reference/benchmarks.md, from what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from .contenders import EPOCHS, STOCK, Epoch
from .machine import Machine
from .whole import Target

_IMAGES = 55_000


@dataclass(frozen=True, kw_only=True)
class Contender:
    """What a contender came to.

    Args:
        name: Who it is.
        epochs: What each epoch took.
        failure: Why it went no further, if it failed.
        is_racing: Whether it trained on until it reached the mark.
    """

    name: str
    epochs: Sequence[Epoch]
    failure: str | None
    is_racing: bool


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A whole run of a recipe: wall seconds of training, CPU seconds of the command, test accuracy."""

    seed: int
    precision: str
    training: float
    cpu: float
    accuracy: float


def render(
    *,
    machine: Machine,
    command: str,
    rounds: int,
    contenders: Sequence[Contender],
    mark: float,
    fast: Sequence[Whole | str],
    targets: Sequence[Target | str],
    minutes: float,
) -> str:
    """Return the page.

    Args:
        machine: What was measured on.
        command: What was typed.
        rounds: Epochs of each contender that count, after one that does not.
        contenders: What each came to.
        mark: The test accuracy to reach.
        fast: Runs of recipe ``fashion-cnn-fast``, by seed, or why one failed.
        targets: Whole commands beside the least that could do the same, or why one could not be measured.
        minutes: What all of it took.
    """
    parts = [
        _HEAD.format(
            command=command,
            minutes=minutes,
            day=machine.day,
            processor=f"{machine.processors} x {machine.processor}, {machine.memory / 2**30:.0f} GiB",
            sets=_sets(machine),
            device=machine.device,
            versions=", ".join(
                [f"Python {machine.python}", *(f"{name} {number}" for name, number in machine.packages.items())]
            ),
            backend=machine.backend,
            rates=", ".join(f"{kind} {rate / 1e9:,.0f} GFLOP/s" for kind, rate in machine.rates.items()),
        ),
        _EPOCH.format(images=_IMAGES, rounds=rounds, work=machine.work / 1e6),
        _epoch_table(machine, rounds, contenders),
    ]
    if machine.backend == "tensorflow":
        parts.append(_WHY)
    if not machine.has_bfloat16:
        parts.append(_NO_BFLOAT16)
    if fast:
        parts += [_FAST.format(mark=mark, epochs=EPOCHS), _fast_table(contenders, rounds, mark, fast)]
    if any(contender.is_racing for contender in contenders):
        parts += [_MARK.format(mark=mark), _mark_table(contenders, mark)]
    if targets:
        parts += [_TARGETS, _target_table(targets)]
    parts.append(_ELSEWHERE)
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


_HEAD = """\
# Benchmarks

Generated in {minutes:.0f} minutes, in a checkout with `pip install -e ".[dev,bench]"`, by

```
{command}
```

The results are from one machine on one day: compare ratios, not seconds.

| | |
|---|---|
| date | {day} |
| processor | {processor} |
| instruction sets | {sets} |
| accelerator | {device} |
| versions | {versions} |
| Keras backend | {backend} |
| best matrix product | {rates} |
"""
_EPOCH = """\
## One epoch

Each contender trains the reference network on the same {images:,} images at batch size 64, in its own process. The
contenders take turns, one epoch each.

| column | meaning |
|---|---|
| seconds | median of {rounds} epochs, with minimum and maximum, after one that includes compilation |
| user, system | CPU seconds of an epoch, in the process itself and in the kernel |
| faults | pages that the kernel had to supply in an epoch (minor page faults) |
| speedup, CPU speedup | how many times as fast as stock Keras, by seconds and by CPU seconds |
| share | of the speed of the best matrix product in that type; a training image takes {work:.0f} million operations |
| peak | peak memory of the process |

| name | meaning |
|---|---|
| PyTorch | a loop over tensors in `channels_last` format, without a data loader, and with the fused Adam |
| pool first | max pooling before LeakyReLU, which computes the same function |
| memory kept | the process keeps freed memory, as zoo's processes do ([Speed](../guides/speed.md#memory)) |
| oneDNN | TensorFlow is told to use oneDNN, as zoo does on CPUs where TensorFlow does not use it by default |

Apart from what the names say, nothing is tuned.
"""
_WHY = """\
Stock `Model.fit` can take more wall-clock time than its CPU time explains. Keras puts the data into a `tf.data`
pipeline with autotuning. At the end of an epoch, the pipeline is shut down, which waits until the autotuning thread
wakes up. Trainer `fit` passes a pipeline without autotuning: the results are bit-identical, without the wait.
"""
_MARK = """\
## To {mark:.2%} test accuracy

This is the published accuracy of the reference network. Contenders that differ only in speed take turns training until
they first reach this test accuracy. Each trains with one seed, so the number of epochs is partly luck. The benchmark
reads the test images after each epoch to measure this; zoo itself reads them once, at the end.
"""
_NO_BFLOAT16 = """\
This CPU has no bfloat16 instructions, or may not use them, so contenders in bfloat16 are omitted.
"""
_FAST = """\
## Recipe `fashion-cnn-fast` and {epochs} epochs of stock Keras

The recipe trains the same network with another optimizer, batch size and schedule, and without dropout, which any
program could do. The table above shows what the trainers themselves contribute. By default, the recipe uses the faster
precision; here, it runs in each precision that is fast on this CPU. Seconds cover training with validation, including
compilation; CPU seconds cover the whole command. For stock Keras, both are {epochs} times the median epoch, without
validation or compilation. The published test accuracy of the reference network is {mark:.2%}.
"""
_TARGETS = """\
## Whole commands

The commands take turns, each in its own process; the table shows medians. The plain script
(`tests/benchmarks/plain_script.py`) is the program that you would write without zoo: it reads the same files, trains
with stock `Model.fit` and `ModelCheckpoint`, loads the saved model and tests it.
"""
_ELSEWHERE = """\
## On a GPU

Install JAX and PyTorch for your GPU, then run `KERAS_BACKEND=jax python -m tests.benchmarks.compare`. The first call
compiles; later processes reuse JAX's persistent compilation cache, which trainer `resident` enables on GPUs.
"""


def _epoch_table(machine: Machine, rounds: int, contenders: Sequence[Contender]) -> str:
    stock = next((each for each in contenders if each.name == STOCK and len(each.epochs) > rounds), None)
    base = None if stock is None else {name: _median(stock.epochs, rounds, name) for name in ("wall", "cpu")}
    rows = [
        "| | seconds | user | system | faults | speedup | CPU speedup | share | peak |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for each in contenders:
        if len(each.epochs) <= rounds:
            rows.append(f"| {each.name} | failed after {len(each.epochs)}: {_cell(each.failure)} | | | | | | | |")
            continue
        wall, user, system, cpu = (_median(each.epochs, rounds, name) for name in ("wall", "user", "system", "cpu"))
        counted = [epoch.wall for epoch in each.epochs[1 : rounds + 1]]
        rate = machine.rates["bfloat16" if "bfloat16" in each.name else "float32"]
        times = ("", "") if base is None else (f"{base['wall'] / wall:.2f}", f"{base['cpu'] / cpu:.2f}")
        share, peak = machine.work * _IMAGES / wall / rate, each.epochs[rounds].peak / 1e6
        rows.append(
            f"| {each.name} | {wall:.2f} ({min(counted):.2f} to {max(counted):.2f}) | {user:.2f} | {system:.2f} "
            f"| {_median(each.epochs, rounds, 'faults'):,.0f} | {times[0]} | {times[1]} | {share:.0%} | {peak:.0f} MB |"
        )
    return "\n".join(rows)


def _median(epochs: Sequence[Epoch], rounds: int, name: str) -> float:
    """Return the median of the epochs that count."""
    return float(statistics.median(getattr(epoch, name) for epoch in epochs[1 : rounds + 1]))


def _mark_table(contenders: Sequence[Contender], mark: float) -> str:
    rows = ["| | epochs | training seconds | CPU seconds | test accuracy |", "|---|---|---|---|---|"]
    for each in contenders:
        if not each.is_racing:
            continue
        arrived = next((i for i, epoch in enumerate(each.epochs, 1) if epoch.accuracy >= mark), None)
        counted = each.epochs[:arrived]
        wall, cpu = sum(epoch.wall for epoch in counted), sum(epoch.cpu for epoch in counted)
        if each.failure is not None and arrived is None:
            rows.append(f"| {each.name} | failed after {len(each.epochs)}: {_cell(each.failure)} | | | |")
        else:
            said = str(arrived) if arrived else f"not in {len(each.epochs)}"
            rows.append(f"| {each.name} | {said} | {wall:.0f} | {cpu:.0f} | {counted[-1].accuracy:.4f} |")
    return "\n".join(rows)


def _fast_table(contenders: Sequence[Contender], rounds: int, mark: float, fast: Sequence[Whole | str]) -> str:
    stock = next((each for each in contenders if each.name == STOCK and len(each.epochs) > rounds), None)
    base = None if stock is None else EPOCHS * _median(stock.epochs, rounds, "wall")
    rows = ["| | seconds | CPU seconds | speedup | test accuracy |", "|---|---|---|---|---|"]
    if stock is not None:
        cpu = EPOCHS * _median(stock.epochs, rounds, "cpu")
        rows.append(f"| {STOCK}, {EPOCHS} epochs | {base:.0f} | {cpu:.0f} | 1 | |")
    for run in fast:
        if isinstance(run, str):
            rows.append(f"| recipe `fashion-cnn-fast` | failed: {_cell(run)} | | | |")
        else:
            below = "" if run.accuracy >= mark else ", below the reference"
            rows.append(
                f"| recipe `fashion-cnn-fast`, {run.precision}, seed {run.seed} | {run.training:.1f} | {run.cpu:.0f} "
                f"| {_sooner(base, run.training)} | {run.accuracy:.4f}{below} |"
            )
    done = [run for run in fast if not isinstance(run, str)]
    for precision in dict.fromkeys(run.precision for run in done):
        seconds, cpu, accuracy = (
            statistics.mean(getattr(run, name) for run in done if run.precision == precision)
            for name in ("training", "cpu", "accuracy")
        )
        rows.append(
            f"| its mean in {precision} | {seconds:.1f} | {cpu:.0f} | {_sooner(base, seconds)} | {accuracy:.4f} |"
        )
    return "\n".join(rows)


def _sooner(base: float | None, seconds: float) -> str:
    return "" if base is None else f"{base / seconds:.1f}"


def _sets(machine: Machine) -> str:
    limits = ", ".join(f"{name}={value}" for name, value in machine.variables.items())
    return (" ".join(machine.instruction_sets) or "unknown") + (f"; with {limits}" if limits else "")


def _target_table(targets: Sequence[Target | str]) -> str:
    rows = ["| | zoo | baseline | baseline result | ratio | limit | |", "|---|---|---|---|---|---|---|"]
    for target in targets:
        if isinstance(target, str):
            rows.append(f"| failed: {_cell(target)} | | | | | | |")
        else:
            rows.append(
                f"| {target.what} | {target.ours:.4g} {target.unit} | {target.beside} "
                f"| {target.theirs:.4g} {target.unit} | {target.ratio:.2f} | {target.limit:g} "
                f"| {'met' if target.ratio <= target.limit else 'missed'} |"
            )
    return "\n".join(rows)


def _cell(text: object) -> str:
    return " ".join(str(text).replace("|", "/").split())[:300]
