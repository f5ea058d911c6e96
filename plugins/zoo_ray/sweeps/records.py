"""The typed content of ``sweep.json``."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from zoo import Metrics  # noqa: TC001  # msgspec looks it up

FILE = "sweep.json"
FORMAT = 1
"""Version of the layout, which is that of zoo's run folders."""

MOST = 2_000
"""The most trials of a sweep: its record is written anew when one of them begins or ends."""

MOST_EPOCHS = 300_000
"""The most epochs of all trials together: each has a line in the record, which is read up to 16 MiB."""

Measure = Literal["loss", "accuracy"]
Status = Literal["waiting", "running", "trained", "pruned", "failed", "lost"]
Prune = Literal["median", "halving", "none"]
Count = Annotated[int, msgspec.Meta(ge=0)]
# a name that cannot lead out of the folder of the sweep
Folder = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{3,5}-[A-Za-z0-9._=+-]{1,200}\Z")]


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A record that refuses keys it does not know."""


class TrialRecord(_Record, frozen=True, kw_only=True):
    """One training of a sweep.

    Args:
        number: From 1, in the order in which they are tried.
        configuration: Number of what is tried, from 1: trials that differ in their seeds alone have the same.
        folder: Name of its run folder, in that of the sweep.
        label: What it differs in from the others, without its seed.
        recipe: Name of the recipe.
        settings: What is changed of the recipe's settings, as ``--set`` takes it.
        seed: Its seed.
        epochs: How many it is to have.
        status: ``waiting``, ``running``, ``trained``; ``pruned``: it was hopeless; ``failed``: by itself, with an
            ``error``; ``lost``: the processes that worked on it were killed, again and again.
        error: Why it failed, or was lost.
        values: Validation metric that the sweep chooses by, after each epoch.
        best_epoch: The epoch that was kept.
        validation: Metrics of that epoch.
        test: Test metrics, of trials of the best configuration alone.
        seconds: Of training, with its validation.
    """

    number: Annotated[int, msgspec.Meta(ge=1, le=MOST)]
    configuration: Annotated[int, msgspec.Meta(ge=1, le=MOST)]
    folder: Folder
    label: str
    recipe: str
    settings: dict[str, str]
    seed: Count
    epochs: Count
    status: Status = "waiting"
    error: str | None = None
    values: list[float] = []
    best_epoch: Count | None = None
    validation: Metrics | None = None
    test: Metrics | None = None
    seconds: float = 0.0


class RangeRecord(_Record, frozen=True, kw_only=True):
    """A range that a search draws a setting from: both ends belong to it."""

    low: float
    high: float
    is_log: bool
    is_integer: bool


class SearchRecord(_Record, frozen=True, kw_only=True):
    """A search with Optuna: how many trials, what it draws from, and how it stops hopeless trials."""

    trials: Annotated[int, msgspec.Meta(ge=1, le=MOST)]
    ranges: dict[str, RangeRecord]
    choices: dict[str, list[str]]
    prune: Prune


class AskedRecord(_Record, frozen=True, kw_only=True):
    """What was asked of all trials of a sweep, as ``zoo run`` takes it."""

    recipes: Annotated[list[str], msgspec.Meta(min_length=1)]
    dataset: str | None = None
    model: str | None = None
    trainer: str | None = None
    epochs: int | None = None
    batch_size: int | None = None
    settings: dict[str, list[str]] = {}
    seeds: list[int] | None = None
    checkpoint_every: int | None = None
    track: list[str] = []
    search: SearchRecord | None = None


class SweepRecord(_Record, frozen=True, kw_only=True):
    """All of ``sweep.json``.

    Args:
        format: Version of the layout.
        started: When, in UTC.
        asked: What was asked for.
        choose_by: Validation metric that the best configuration is chosen by.
        trials: Those that there are so far.
        best: Number of the best configuration, None before all are done, or if there is none.
        tested_before: Numbers of configurations that were the best, and tested, before a trial more was trained.
    """

    format: int
    started: str
    asked: AskedRecord
    choose_by: Measure
    trials: list[TrialRecord] = []
    best: Count | None = None
    tested_before: list[Count] = []
