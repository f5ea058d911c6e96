"""What is asked for turned into trials, checked as far as can be before any of them starts."""

from __future__ import annotations

import itertools
import math
import re
from typing import TYPE_CHECKING, Any

import msgspec

from zoo import RunConfig, SettingError, prepare
from zoo_sweep.records import MOST, MOST_EPOCHS, Measure, RangeRecord, SweepSpec, TrialRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from zoo import Registry
    from zoo.runs import RecipeRecord

_LONGEST = 80  # characters of a label in the name of a folder


def grid(
    spec: SweepSpec, registry: Registry, data_dir: Path | None = None
) -> tuple[list[TrialRecord], list[RunConfig]]:
    """Return every combination of recipes, values and seeds, and what each of them is when all is resolved.

    Raises:
        ZooError: A name, setting or value is wrong; two combinations are the same; or there are too many.
    """
    seeds: list[int | None] = [*spec.seeds] if spec.seeds else [None]
    count = len(spec.recipes) * math.prod(map(len, spec.settings.values())) * len(seeds)
    if count > MOST:
        raise SettingError(f"A sweep has at most {MOST:,} trials: give fewer values. Received: {count:,} combinations")
    trials: list[TrialRecord] = []
    configs: list[RunConfig] = []
    labels: dict[bytes, str] = {}
    combinations = itertools.product(spec.recipes, *spec.settings.values())
    for configuration, (recipe, *values) in enumerate(combinations, start=1):
        settings = dict(zip(spec.settings, values, strict=True))
        label = label_of(spec, recipe, settings)
        for seed in seeds:
            config = resolve(spec, registry, recipe, settings, seed, data_dir)
            record = config.to_record()
            trials.append(trial_of(spec, len(trials) + 1, configuration, record, recipe, settings))
            configs.append(config)
        key = msgspec.json.encode(msgspec.structs.replace(record, seed=0))
        if key in labels:
            raise SettingError(f"Two of the combinations are the same: {labels[key]!r} and {label!r}. Leave one out.")
        labels[key] = label
    _check_epochs(sum(config.recipe.epochs for config in configs))
    return trials, configs


def _check_epochs(count: int) -> None:
    if count > MOST_EPOCHS:
        raise SettingError(
            f"The trials of a sweep have at most {MOST_EPOCHS:,} epochs together: give fewer trials or epochs. "
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
    """Return the prepared run of a trial; its data are not looked for.

    Raises:
        ZooError: A name, setting or value is wrong.
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


def changes_of(spec: SweepSpec) -> Any:
    """Return what is changed of the recipe in all trials, besides settings and seed."""
    names = ("dataset", "model", "trainer", "epochs", "batch_size")
    return {name: value for name in names if (value := getattr(spec, name)) is not None}


def trial_of(
    spec: SweepSpec,
    number: int,
    configuration: int,
    record: RecipeRecord,
    recipe: str,
    settings: Mapping[str, str],
) -> TrialRecord:
    """Return a trial that waits."""
    label = label_of(spec, recipe, settings)
    name = re.sub(r"[^A-Za-z0-9._=+-]+", "-", label)[:_LONGEST]
    if spec.seeds is not None and len(spec.seeds) > 1:
        name += f"-seed={record.seed}"
    return TrialRecord(
        number=number,
        configuration=configuration,
        folder=f"{number:03d}-{name}",
        label=label,
        recipe=recipe,
        settings=dict(settings),
        changed={name: _value_of(record, name) for name in settings},
        seed=record.seed,
        epochs=record.epochs,
    )


def label_of(spec: SweepSpec, recipe: str, settings: Mapping[str, str]) -> str:
    """Return what a configuration differs in from the others: ``"learning_rate=0.003 dropout=0.1"``."""
    varied = [name for name, values in spec.settings.items() if len(values) > 1]
    if spec.search is not None:
        varied = [*spec.search.ranges, *spec.search.choices]
    last = [name.rpartition(".")[2] for name in varied]
    shown = dict(zip(varied, last, strict=True)) if len(set(last)) == len(last) else {name: name for name in varied}
    parts = [f"{short}={_rounded(settings[name])}" for name, short in shown.items()]
    return " ".join(parts if len(spec.recipes) == 1 and parts else [recipe, *parts])


def measure_of(configs: Iterable[RunConfig], given: Measure | None) -> Measure:
    """Return the validation metric to choose by: the given one, or the one by which all trials choose their epoch.

    Raises:
        SettingError: None is given, and not all trials choose by the same.
    """
    if given is not None:
        return given
    measures = {config.recipe.monitor for config in configs}
    if len(measures) > 1:
        raise SettingError(
            "The trials choose their best epochs by different metrics: say what to choose among them by, with "
            "--choose-by. Received: monitor=" + " and ".join(sorted(measures))
        )
    return measures.pop()


def check_search(
    spec: SweepSpec, registry: Registry, data_dir: Path | None = None
) -> tuple[SweepSpec, list[RunConfig]]:
    """Return what is asked for with ranges of whole numbers told from others, and what was tried: ends and choices.

    Raises:
        ZooError: A name, setting or value is wrong, or a range is of a setting that is no number.
    """
    if spec.search is None:
        raise TypeError("There is nothing to search.")
    (recipe,) = spec.recipes
    search, seed = spec.search, spec.seeds[0] if spec.seeds else None
    fixed = {name: values[0] for name, values in spec.settings.items()}
    fixed |= {name: values[0] for name, values in search.choices.items()}
    configs = [resolve(spec, registry, recipe, fixed, seed, data_dir)]
    ranges = {}
    for name, found in search.ranges.items():
        # a whole number is written as one: zoo then says whether the setting takes it
        ends = [
            resolve(spec, registry, recipe, {**fixed, name: plain(end)}, seed, data_dir)
            for end in (found.low, found.high)
        ]
        configs += ends
        values = [_value_of(config.to_record(), name) for config in ends]
        if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            raise SettingError(
                f"A range is of numbers, and setting {name!r} takes others: use --choose. "
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
    """Return a number as ``--set`` takes it, so that reading it gives the same number again."""
    return str(int(number)) if number == int(number) and abs(number) < 2**53 else repr(number)


def range_of(low: str, high: str, is_log: bool) -> RangeRecord:
    """Return a range of which it is not known yet whether it is one of whole numbers."""
    return RangeRecord(low=float(low), high=float(high), is_log=is_log, is_integer=False)


def _value_of(record: RecipeRecord, name: str) -> Any:
    part, _, setting = name.rpartition(".")
    return getattr(record, part).settings[setting] if part else getattr(record, name)


def _rounded(text: str) -> str:
    """Return a value short enough to be shown: numbers that were drawn have many digits."""
    try:
        return f"{float(text):.4g}" if len(text) > 8 else text
    except ValueError:
        return text
