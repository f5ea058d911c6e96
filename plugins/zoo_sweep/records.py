"""The types of ``sweep.json``."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from zoo import Metrics  # noqa: TC001  # msgspec looks it up
from zoo.runs import Count, Duration, Name, Number, Text

FILE = "sweep.json"
FORMAT = 1
"""Version of the format, the same as that of zoo's run folders."""

MOST = 2_000
"""Maximum number of trials in a sweep, because the record is rewritten whenever a trial starts or ends."""

MOST_EPOCHS = 300_000
"""Maximum number of epochs over all trials: each has a line in the record, of which at most 16 MiB are read."""

Mode = Literal["max", "min"]
_OWN = ("loss", "accuracy")  # metrics that every trial has
Setting = bool | int | float | Text | None | list[bool | int | float | Text | None]
Status = Literal["waiting", "running", "trained", "pruned", "failed", "lost"]
Prune = Literal["median", "halving", "none"]
Seed = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
Values = Annotated[list[Text], msgspec.Meta(min_length=1)]
# a name that cannot lead out of the sweep folder
Folder = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{3,5}-[A-Za-z0-9._=+-]{1,200}\Z")]


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A record that refuses unknown keys."""


class TrialRecord(_Record, frozen=True, kw_only=True):
    """One training of a sweep.

    Args:
        number: Its number, from 1, in the order in which trials are tried.
        configuration: Number of its configuration, from 1. Trials that differ only in their seeds and folds share one.
        folder: Name of its run folder, in the sweep folder.
        label: The values that distinguish it from other configurations, without the seed.
        recipe: Name of the recipe.
        settings: Changes to the recipe's settings, as text for ``--set``.
        changed: The same changes, each value with the type of its setting.
        seed: Its seed.
        fold: Number of the fold that it validates on, from 1; None without cross-validation.
        epochs: Number of epochs that it trains.
        status: ``waiting``, ``running`` or ``trained``; ``pruned``: stopped early by the search; ``failed``: ended with
            an ``error``; ``lost``: its processes were killed too often.
        error: The reason why it failed, was lost or could not be tested.
        values: Validation metric that the sweep chooses by, after each epoch.
        best_epoch: The epoch that was kept.
        validation: Validation metrics of that epoch.
        test: Test metrics; only for trials of the best configuration.
        seconds: Seconds of training, including validation.
    """

    number: Annotated[int, msgspec.Meta(ge=1, le=MOST)]
    configuration: Annotated[int, msgspec.Meta(ge=1, le=MOST)]
    folder: Folder
    label: Text
    recipe: Name
    settings: dict[Name, Text]
    changed: dict[Name, Setting] = {}  # missing in sweeps of older releases
    seed: Seed
    fold: Annotated[int, msgspec.Meta(ge=1)] | None = None
    epochs: Count
    status: Status = "waiting"
    error: Text | None = None
    values: list[Number] = []
    best_epoch: Count | None = None
    validation: Metrics | None = None
    test: Metrics | None = None
    seconds: Duration = 0.0

    @property
    def repetition(self) -> str:
        """What distinguishes it from other trials of its configuration: ``"seed 0"``, ``"seed 0, fold 2"``."""
        return f"seed {self.seed}" + (f", fold {self.fold}" if self.fold is not None else "")


class RangeRecord(_Record, frozen=True, kw_only=True):
    """A range, including both ends, from which a search draws a setting."""

    low: Number
    high: Number
    is_log: bool
    is_integer: bool


class SearchRecord(_Record, frozen=True, kw_only=True):
    """A search with Optuna: the number of trials, the ranges and choices it draws from, and the pruner."""

    trials: Annotated[int, msgspec.Meta(ge=1, le=MOST)]
    ranges: dict[Name, RangeRecord]
    choices: dict[Name, Values]
    prune: Prune


class SweepSpec(_Record, frozen=True, kw_only=True):
    """The options that the trials of a sweep share, and those that vary; values as for ``zoo run``."""

    recipes: Annotated[list[Name], msgspec.Meta(min_length=1)]
    dataset: Name | None = None
    model: Name | None = None
    trainer: Name | None = None
    optimizer: Name | None = None
    schedule: Name | None = None
    loss: Name | None = None
    augmentations: list[Name] | None = None
    metrics: list[Name] | None = None
    callbacks: list[Name] | None = None
    monitor: Name | None = None
    epochs: Count | None = None
    batch_size: Count | None = None
    settings: dict[Name, Values] = {}
    seeds: Annotated[list[Seed], msgspec.Meta(min_length=1)] | None = None
    folds: Annotated[int, msgspec.Meta(ge=2, le=MOST)] | None = None
    checkpoint_every: Count | None = None
    track: list[Name] = []
    init: Text | None = None
    init_partial: bool = False
    search: SearchRecord | None = None


class SweepRecord(_Record, frozen=True, kw_only=True):
    """The content of ``sweep.json``.

    Args:
        format: Version of the format.
        started: Start of the sweep, in UTC.
        spec: The options that the trials share, and those that vary.
        choose_by: Validation metric that chooses the best configuration.
        mode: Whether its largest or smallest value is best; None in sweeps of older releases, by loss or accuracy.
        trials: The trials so far.
        best: Number of the best configuration; None before all trials have ended, or if there is none.
        tested_before: Numbers of configurations that were the best, and were tested, before another trial was trained.
    """

    format: int
    started: Name
    spec: SweepSpec
    choose_by: Name
    mode: Mode | None = None
    trials: list[TrialRecord] = []
    best: Count | None = None
    tested_before: list[Count] = []

    @property
    def is_minimized(self) -> bool:
        """Whether the smallest value of ``choose_by`` is best."""
        return self.mode == "min" if self.mode is not None else self.choose_by == "loss"


def fault_of(record: SweepRecord) -> str | None:
    """Return an inconsistency in a record whose values all have valid types, or None."""
    trials = record.trials
    if [trial.number for trial in trials] != [*range(1, len(trials) + 1)]:
        return "its trials are not numbered from 1"
    if len({trial.folder for trial in trials}) < len(trials):
        return "two of its trials have the same folder"
    if record.best is not None and record.best not in {trial.configuration for trial in trials}:
        return "its best configuration is not one of those tried"
    if not {*record.tested_before} <= {trial.configuration for trial in trials}:
        return "a tested configuration is not one of those tried"
    if fault := next(filter(None, (_fault_of_trial(trial, record.spec.folds or 0) for trial in trials)), None):
        return fault
    if record.mode is None and record.choose_by not in _OWN:
        return f"it does not tell whether the largest or smallest {record.choose_by!r:.100} is best"
    if any(
        metrics is not None and record.choose_by not in (*_OWN, *metrics.others)
        for metrics in (trial.validation for trial in trials)
    ):
        return f"one of its trials does not have the metric {record.choose_by!r:.100} that chooses the best"
    return None if record.spec.search is None else _fault_of_search(record.spec, record.spec.search, trials)


def _fault_of_trial(trial: TrialRecord, folds: int) -> str | None:
    if (trial.fold or 0) > folds:
        return f"trial {trial.number} validates on a fold that does not exist"
    if trial.best_epoch is not None and trial.best_epoch > trial.epochs:
        return f"the best epoch of trial {trial.number} is not one of its epochs"
    if any(metrics is not None and metrics.loss < 0 for metrics in (trial.validation, trial.test)):
        return f"a loss of trial {trial.number} is negative"
    return None


def _fault_of_search(spec: SweepSpec, search: SearchRecord, trials: list[TrialRecord]) -> str | None:
    if len(spec.recipes) > 1 or len(spec.seeds or [0]) > 1 or any(len(values) > 1 for values in spec.settings.values()):
        return "it is a search, but has more than one recipe, seed or value of a setting"
    if len(trials) > search.trials:
        return "it is a search, but has more trials than requested"
    for name, found in search.ranges.items():
        if found.low >= found.high or (found.is_log and found.low <= 0):
            return f"the range of {name!r:.100} is empty, or is logarithmic and does not start above 0"
        if found.is_integer and not (found.low.is_integer() and found.high.is_integer()):
            return f"the range of {name!r:.100} is for an integer setting, but its ends are not integers"
    for trial in trials:
        if any(not _is_within(trial.settings.get(name), found) for name, found in search.ranges.items()) or any(
            trial.settings.get(name) not in values for name, values in search.choices.items()
        ):
            return f"trial {trial.number} has a value that the search cannot propose"
    return None


def _is_within(text: str | None, found: RangeRecord) -> bool:
    try:
        return text is not None and found.low <= float(text) <= found.high
    except ValueError:
        return False
