"""Creating the trials of a sweep, with as many checks as possible before the first one starts."""

from __future__ import annotations

import itertools
import math
import re
from typing import TYPE_CHECKING, Any

import msgspec

from zoo import RunConfig, SettingError, prepare
from zoo_sweep.records import MOST, MOST_EPOCHS, RangeRecord, SweepSpec, TrialRecord

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from zoo import Registry
    from zoo.runs import RecipeRecord

SHARED = (
    "dataset", "model", "trainer", "optimizer", "schedule", "loss", "augmentations", "metrics", "callbacks", "monitor",
    "epochs", "batch_size", "init", "init_partial",
)  # fmt: skip
"""Arguments of `zoo.train` that all trials share, by the names of their fields in `SweepSpec`."""

_LONGEST = 80  # characters of a label in a folder name


def grid(
    spec: SweepSpec, registry: Registry, data_dir: Path | None = None
) -> tuple[list[TrialRecord], list[RunConfig]]:
    """Return a trial and a resolved run configuration for every combination of recipes, values, seeds and folds.

    Raises:
        ZooError: A name, setting or value is invalid, two combinations are the same, or there are too many.
    """
    seeds: list[int | None] = [*spec.seeds] if spec.seeds else [None]
    folds: list[int | None] = [*range(1, spec.folds + 1)] if spec.folds else [None]
    count = len(spec.recipes) * math.prod(map(len, spec.settings.values())) * len(seeds) * len(folds)
    if count > MOST:
        raise SettingError(
            f"A sweep has at most {MOST:,} trials. Give fewer values, seeds or folds. Received: {count:,} combinations"
        )
    trials: list[TrialRecord] = []
    configs: list[RunConfig] = []
    labels: dict[bytes, str] = {}
    combinations = itertools.product(spec.recipes, *spec.settings.values())
    for configuration, (recipe, *values) in enumerate(combinations, start=1):
        settings = dict(zip(spec.settings, values, strict=True))
        label = label_of(spec, recipe, settings)
        for seed, fold in itertools.product(seeds, folds):
            config = resolve(spec, registry, recipe, with_fold(spec, settings, fold), seed, data_dir)
            record = config.to_record()
            trials.append(trial_of(spec, len(trials) + 1, configuration, record, recipe, settings))
            configs.append(config)
        key = msgspec.json.encode(msgspec.structs.replace(record, seed=0, fold=None))
        if key in labels:
            raise SettingError(f"Two combinations are the same. Leave one out. Received: {labels[key]!r} and {label!r}")
        labels[key] = label
    _check_epochs(sum(config.recipe.epochs for config in configs))
    return trials, configs


def _check_epochs(count: int) -> None:
    if count > MOST_EPOCHS:
        raise SettingError(
            f"The trials of a sweep have at most {MOST_EPOCHS:,} epochs in total. Give fewer trials or epochs. "
            f"Received: {count:,} epochs"
        )


def resolve(
    spec: SweepSpec,
    registry: Registry,
    recipe: str,
    settings: Mapping[str, str],
    seed: int | None,
    data_dir: Path | None = None,
) -> RunConfig:
    """Return the run configuration of a trial, without checking its data.

    Raises:
        ZooError: A name, setting or value is invalid.
    """
    return prepare(
        recipe,
        registry=registry,
        seed=seed,
        settings=settings,
        data_dir=data_dir,
        check_data=False,
        **changes_of(spec),
    )


def with_fold(spec: SweepSpec, settings: Mapping[str, str], fold: int | None) -> dict[str, str]:
    """Return the settings of a trial, including the fold that it validates on, if there is one."""
    return dict(settings) if fold is None else {**settings, "fold": f"{fold},{spec.folds}"}


def changes_of(spec: SweepSpec) -> Any:
    """Return the changes to the recipe that all trials share, other than settings and seed."""
    return {name: value for name in SHARED if (value := getattr(spec, name)) is not None}


def trial_of(
    spec: SweepSpec,
    number: int,
    configuration: int,
    record: RecipeRecord,
    recipe: str,
    settings: Mapping[str, str],
) -> TrialRecord:
    """Return a waiting trial."""
    label = label_of(spec, recipe, settings)
    name = re.sub(r"[^A-Za-z0-9._=+-]+", "-", label)[:_LONGEST]
    if spec.seeds is not None and len(spec.seeds) > 1:
        name += f"-seed={record.seed}"
    if record.fold is not None:
        name += f"-fold={record.fold[0]}"
    return TrialRecord(
        number=number,
        configuration=configuration,
        folder=f"{number:03d}-{name}",
        label=label,
        recipe=recipe,
        settings=dict(settings),
        changed={name: _value_of(record, name) for name in settings},
        seed=record.seed,
        fold=record.fold[0] if record.fold is not None else None,
        epochs=record.epochs,
    )


def label_of(spec: SweepSpec, recipe: str, settings: Mapping[str, str]) -> str:
    """Return the values that distinguish a configuration from the others: ``"learning_rate=0.003 dropout=0.1"``."""
    varied = [name for name, values in spec.settings.items() if len(values) > 1]
    if spec.search is not None:
        varied = [*spec.search.ranges, *spec.search.choices]
    last = [name.rpartition(".")[2] for name in varied]
    shown = dict(zip(varied, last, strict=True)) if len(set(last)) == len(last) else {name: name for name in varied}
    parts = [f"{short}={_rounded(settings[name])}" for name, short in shown.items()]
    return " ".join(parts if len(spec.recipes) == 1 and parts else [recipe, *parts])


def check_search(
    spec: SweepSpec, registry: Registry, data_dir: Path | None = None
) -> tuple[SweepSpec, list[RunConfig]]:
    """Check a search by resolving a trial for both ends of every range and for every choice.

    Returns:
        The specification, in which ranges of integer settings are marked, and the resolved run configurations.

    Raises:
        ZooError: A name, setting or value is invalid, or a range is given for a setting that is not a number.
    """
    if spec.search is None:
        raise TypeError("The sweep is not a search.")
    (recipe,) = spec.recipes
    search, seed = spec.search, spec.seeds[0] if spec.seeds else None
    fixed = {name: values[0] for name, values in spec.settings.items()}
    fixed |= {name: values[0] for name, values in search.choices.items()}
    configs = [resolve(spec, registry, recipe, fixed, seed, data_dir)]
    ranges = {}
    for name, found in search.ranges.items():
        # an integral end is written as an integer, so that resolving shows whether the setting accepts it
        ends = [
            resolve(spec, registry, recipe, {**fixed, name: plain(end)}, seed, data_dir)
            for end in (found.low, found.high)
        ]
        configs += ends
        values = [_value_of(config.to_record(), name) for config in ends]
        if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            raise SettingError(
                f"Setting {name!r} cannot have a range, because its values are not numbers. Use --choose. "
                f"Received: {name}='{plain(found.low)}..{plain(found.high)}'"
            )
        is_integer = all(isinstance(value, int) for value in values)
        ranges[name] = msgspec.structs.replace(found, is_integer=is_integer)
    for name, several in search.choices.items():
        for value in several:
            configs.append(resolve(spec, registry, recipe, {**fixed, name: value}, seed, data_dir))
    _check_epochs(max(config.recipe.epochs for config in configs) * search.trials)
    return msgspec.structs.replace(spec, search=msgspec.structs.replace(search, ranges=ranges)), configs


def plain(number: float) -> str:
    """Return a number as text for ``--set`` that reads back as exactly the same number."""
    return str(int(number)) if number == int(number) and abs(number) < 2**53 else repr(number)


def range_of(low: str, high: str, is_log: bool) -> RangeRecord:
    """Return a range, not yet marked as one of integers."""
    return RangeRecord(low=float(low), high=float(high), is_log=is_log, is_integer=False)


def _value_of(record: RecipeRecord, name: str) -> Any:
    """Return the value of a setting, or the names of the components that one chooses: ``"keras/adam"``."""
    settings = record.settings()
    return settings[name] if name in settings else record.choices().get(name, "none")


def _rounded(text: str) -> str:
    """Return a value rounded for display, because drawn numbers have many digits."""
    try:
        return f"{float(text):.4g}" if len(text) > 8 else text
    except ValueError:
        return text
