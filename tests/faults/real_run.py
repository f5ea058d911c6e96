"""A real run in a process of its own, for tests in which something happens to it, and what it comes to."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zoo
from tests.support.small_recipe import make_registry

ROOT = Path(__file__).parents[2]
EPOCHS = 6
LONGEST = 120.0  # seconds that no call of it may take


def command(out: Path) -> list[str]:
    """Return a call that starts a run, goes on with one that was stopped, or shows one that is done."""
    options = ["--epochs", str(EPOCHS), "--checkpoint-every", "3", "--resume", "--out", str(out)]
    return [sys.executable, "-m", "tests.support.small_zoo", "run", "small", *options]


def finish(out: Path) -> None:
    """Do what such a call does, in this process, which has loaded Keras already; a warning would be an error."""
    zoo.run("small", epochs=EPOCHS, checkpoint_every=3, resume=True, out=out, registry=make_registry())


@dataclass(frozen=True)
class Outcome:
    """All of a run that another must come to as well."""

    model: str
    best_epoch: int
    metrics: list[Any]
    test: Any


def outcome(out: Path) -> Outcome:
    record = json.loads((out / "run.json").read_bytes())
    metrics = [(epoch["epoch"], epoch["train"], epoch["validation"]) for epoch in record["history"]]
    return Outcome(record["model_sha256"], record["best_epoch"], metrics, record["test"])
