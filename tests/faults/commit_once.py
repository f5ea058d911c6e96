"""A small program for strace: one piece of work on a run folder, between two calls of ``getsid`` that mark it.

It ends as the command line does: 0, or 1 with a line on standard error for what zoo says on purpose.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from zoo.errors import ZooError
from zoo.runs.checkpoints import Checkpoint, Checkpoints, describe
from zoo.runs.record_io import FORMAT
from zoo.runs.records import CheckpointRecord, EpochRecord, Metrics
from zoo.utils import files

RUN = "faulty"
LIMITS = (4 << 20, 4 << 20)
MARK = "getsid"


def checkpoint(number: int) -> Checkpoint:
    """Return a checkpoint that is unlike that of any other number; the third one is written in two pieces."""
    seen = Metrics(loss=1.0 / number, accuracy=0.5)
    training = bytes([number]) * ((1 << 20) + 17 if number == 3 else 4096 + number)
    best = bytes([128 + number]) * (1024 + number)
    record = CheckpointRecord(
        format=FORMAT,
        run=RUN,
        epoch=number,
        step=0,
        seconds=0.0,
        stopped=False,
        history=[
            EpochRecord(epoch=epoch, train=seen, validation=seen, seconds=float(number))
            for epoch in range(1, number + 1)
        ],
        best_epoch=number,
        callbacks={},
        training=describe(training),
        best=describe(best),
    )
    return Checkpoint(record=record, training=training, best=best)


def record(number: int) -> bytes:
    """Return what could be a ``run.json``."""
    return f'{{"number": {number}}}\n'.encode() * 300


def _commit(folder: Path) -> None:
    checkpoints = Checkpoints(folder, RUN)
    checkpoints.newest(LIMITS, lambda it, _: it, on_skip=print)  # as a run that goes on does
    third = checkpoint(3)
    os.getsid(0)
    checkpoints.commit(third)
    os.getsid(0)


def _write(folder: Path) -> None:
    new = record(3)
    os.getsid(0)
    files.write_file(folder / "run.json", new)
    os.getsid(0)


if __name__ == "__main__":
    try:
        {"commit": _commit, "write": _write}[sys.argv[1]](Path(sys.argv[2]))
    except ZooError as error:
        sys.exit(f"Error: {error}")
    except MemoryError:
        sys.exit("Error: out of memory")
