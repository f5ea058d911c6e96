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
Setting = bool | int | float | str | None | list[bool | int | float | str | None]
Status = Literal["waiting", "running", "trained", "pruned", "failed", "lost"]
Prune = Literal["median", "halving", "none"]
Count = Annotated[int, msgspec.Meta(ge=0)]
Seed = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
Values = Annotated[list[str], msgspec.Meta(min_length=1)]
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
        changed: The same, each value of the type that its setting has.
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
    changed: dict[str, Setting] = {}  # sweeps of an older release have none
    seed: Seed
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
    choices: dict[str, Values]
    prune: Prune


class SweepSpec(_Record, frozen=True, kw_only=True):
    """What the trials of a sweep have in common and vary, as ``zoo run`` takes it."""

    recipes: Annotated[list[str], msgspec.Meta(min_length=1)]
    dataset: str | None = None
    model: str | None = None
    trainer: str | None = None
    epochs: int | None = None
    batch_size: int | None = None
    settings: dict[str, Values] = {}
    seeds: Annotated[list[Seed], msgspec.Meta(min_length=1)] | None = None
    checkpoint_every: int | None = None
    track: list[str] = []
    search: SearchRecord | None = None


class SweepRecord(_Record, frozen=True, kw_only=True):
    """All of ``sweep.json``.

    Args:
        format: Version of the layout.
        started: When, in UTC.
        spec: What the trials have in common and vary.
        choose_by: Validation metric that the best configuration is chosen by.
        trials: Those that there are so far.
        best: Number of the best configuration, None before all are done, or if there is none.
        tested_before: Numbers of configurations that were the best, and tested, before a trial more was trained.
    """

    format: int
    started: str
    spec: SweepSpec
    choose_by: Measure
    trials: list[TrialRecord] = []
    best: Count | None = None
    tested_before: list[Count] = []


def fault_of(record: SweepRecord) -> str | None:
    """Return what is wrong with a record whose every value is of its type, None if nothing is."""
    trials = record.trials
    if [trial.number for trial in trials] != [*range(1, len(trials) + 1)]:
        return "its trials are not numbered from 1"
    if len({trial.folder for trial in trials}) < len(trials):
        return "two of its trials have the same folder"
    if record.best is not None and record.best not in {trial.configuration for trial in trials}:
        return "its best configuration is none of those that were tried"
    if not {*record.tested_before} <= {trial.configuration for trial in trials}:
        return "a configuration that was tested is none of those that were tried"
    return None if record.spec.search is None else _fault_of_search(record.spec, record.spec.search, trials)


def _fault_of_search(spec: SweepSpec, search: SearchRecord, trials: list[TrialRecord]) -> str | None:
    if len(spec.recipes) > 1 or len(spec.seeds or [0]) > 1 or any(len(values) > 1 for values in spec.settings.values()):
        return "it is a search with more than one recipe, seed or value of a setting"
    if len(trials) > search.trials:
        return "it is a search with more trials than were asked for"
    for name, found in search.ranges.items():
        if found.low >= found.high or (found.is_log and found.low <= 0):
            return f"the range of {name!r:.100} is empty, or logarithmic and not above 0"
        if found.is_integer and not (found.low.is_integer() and found.high.is_integer()):
            return f"the range of {name!r:.100} is of whole numbers and does not begin and end with one"
    for trial in trials:
        if any(not _is_within(trial.settings.get(name), found) for name, found in search.ranges.items()) or any(
            trial.settings.get(name) not in values for name, values in search.choices.items()
        ):
            return f"trial {trial.number} has a value that the search could not propose"
    return None


def _is_within(text: str | None, found: RangeRecord) -> bool:
    try:
        return text is not None and found.low <= float(text) <= found.high
    except ValueError:
        return False
