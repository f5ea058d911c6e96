"""docs/benchmarks.md, from what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from .contenders import STOCK, Epoch
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
    if any(contender.is_racing for contender in contenders):
        parts += [_MARK.format(mark=mark), _mark_table(contenders, mark, fast)]
    if targets:
        parts += [_TARGETS, _target_table(targets)]
    parts.append(_ELSEWHERE)
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


_HEAD = """\
# Benchmarks

Made in {minutes:.0f} minutes, in a checkout with `pip install -e ".[dev,bench]"`, by

```
{command}
```

Figures are of one machine on one day; compare ratios.

| | |
|---|---|
| day | {day} |
| processor | {processor} |
| accelerator | {device} |
| versions | {versions} |
| Keras's backend | {backend} |
| best matrix product | {rates} |
"""
_EPOCH = """\
## An epoch

The reference network on the same {images:,} images at batch size 64. Each contender is a process of its own; they take
turns, an epoch each. Medians of {rounds} after one that compiles, and from the least to the most. "Share" is of the
best matrix product in that type: a training image takes {work:.0f} million operations. "Peak" is the process's memory.
"Pool first" means pooling before LeakyReLU, which is the same function.

PyTorch's loops hold the data as tensors, channels_last, with the fused Adam and no loader. Nothing is tuned
but what the names say.
"""
_WHY = """\
Stock `Model.fit` may take longer by the clock than its processors work. Keras puts data into a `tf.data` pipeline with
automatic tuning; at the end of an epoch the pipeline is taken down, and that waits until the tuner's thread wakes up.
Trainer `fit` hands over a pipeline that is not tuned: the same bits, without the wait.
"""
_MARK = """\
## To {mark:.2%} test accuracy

The published accuracy of the reference. Contenders that differ in speed alone go on, a turn each, until their
test accuracy is there for the first time: one seed each, so the number of epochs is a matter of luck (this page reads
the test images for it; zoo itself reads them once, at the end). The recipe's learning rate has to come down before it
is any good, so its time is that of a whole training, and its CPU seconds are those of the whole command.

The recipe has another batch size, schedule, precision and no dropout, which any program could have; what the trainers
themselves contribute is in the table above.
"""
_TARGETS = """\
## Whole commands

In turn, in processes of their own, medians. The plain script is what one would write without zoo: it reads the same
files, trains with stock `Model.fit` and `ModelCheckpoint`, loads what it saved and tests it
(`tests/benchmarks/plain_script.py`).
"""
_ELSEWHERE = """\
## On a GPU

`KERAS_BACKEND=jax python -m tests.benchmarks.compare`, with JAX and PyTorch for that GPU installed. The first call
compiles; JAX's persistent cache, which trainer `resident` switches on there, saves that in later processes.
"""


def _epoch_table(machine: Machine, rounds: int, contenders: Sequence[Contender]) -> str:
    stock = next((each for each in contenders if each.name == STOCK and len(each.epochs) > rounds), None)
    base = None if stock is None else _medians(stock.epochs, rounds)
    rows = [
        "| | seconds | CPU seconds | times as fast as stock | by CPU seconds | share | peak |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in contenders:
        if len(each.epochs) <= rounds:
            rows.append(f"| {each.name} | failed after {len(each.epochs)}: {_cell(each.failure)} | | | | | |")
            continue
        wall, cpu = _medians(each.epochs, rounds)
        counted = [epoch.wall for epoch in each.epochs[1 : rounds + 1]]
        rate = machine.rates["bfloat16" if "bfloat16" in each.name else "float32"]
        times = ("", "") if base is None else (f"{base[0] / wall:.2f}", f"{base[1] / cpu:.2f}")
        share, peak = machine.work * _IMAGES / wall / rate, each.epochs[rounds].peak / 1e6
        rows.append(
            f"| {each.name} | {wall:.2f} ({min(counted):.2f} to {max(counted):.2f}) | {cpu:.2f} | {times[0]} "
            f"| {times[1]} | {share:.0%} | {peak:.0f} MB |"
        )
    return "\n".join(rows)


def _medians(epochs: Sequence[Epoch], rounds: int) -> tuple[float, float]:
    counted = epochs[1 : rounds + 1]
    return statistics.median(epoch.wall for epoch in counted), statistics.median(epoch.cpu for epoch in counted)


def _mark_table(contenders: Sequence[Contender], mark: float, fast: Sequence[Whole | str]) -> str:
    rows = ["| | epochs | seconds of training | CPU seconds | test accuracy then |", "|---|---|---|---|---|"]
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
    for seed, run in enumerate(fast):
        name = f"recipe `fashion-cnn-fast`, seed {seed}"
        if isinstance(run, str):
            rows.append(f"| {name} | failed: {_cell(run)} | | | |")
        else:
            below = "" if run.accuracy >= mark else ", below the mark"
            rows.append(f"| {name} | whole | {run.training:.0f} | {run.cpu:.0f} | {run.accuracy:.4f}{below} |")
    return "\n".join(rows)


def _target_table(targets: Sequence[Target | str]) -> str:
    rows = ["| | ours | beside | theirs | ratio | at most | |", "|---|---|---|---|---|---|---|"]
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
