"""A look at a dataset: what is read, in which order, and what is made of it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from zoo import load_data
from zoo.cli.toolkit import import_keras, setting_text
from zoo.data import cut_validation, digest_of_split, prepare_dataset
from zoo.errors import ZooWarning
from zoo.runs import read_out_of_fold
from zoo.utils import printable
from zoo_data.advice import advise
from zoo_data.copies import find_copies
from zoo_data.labels import check_run, labels_of_predictions, labels_of_run
from zoo_data.parts import TEST, TRAIN, VALIDATION, parts_of, with_ids
from zoo_data.records import ClassCounts, DataReport, SkippedFile
from zoo_data.scanning import scan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zoo import Registry, Run, Split
    from zoo.interfaces import Progress
    from zoo_data.parts import Part
    from zoo_data.scanning import Scan

_SKIP_BAD = "dataset.skip_bad"


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a dataset comes from, checked before anything is read.

    Args:
        dataset: Qualified name of the dataset.
        settings: Its settings.
        validation: Number of training images to hold out if the dataset has no validation images.
        data_dir: The folder or file to read; None for the dataset's own data.
        load: Loads it.
        run: The run whose data it is; None if a dataset or a recipe was named.
    """

    dataset: str
    settings: Mapping[str, Any]
    validation: int
    data_dir: Path | None
    load: Callable[[], Split]
    run: Run | None = None


def source_of_run(run: Run, data_dir: Path | None, registry: Registry) -> Source:
    """Return the data of a run, with the validation images that it held out.

    Of one fold of a cross-validation, it is the dataset with its own parts: all folds have the same images.
    """
    recipe = run.record.recipe
    return Source(
        dataset=f"{recipe.dataset.plugin}/{recipe.dataset.name}",
        settings=recipe.dataset.settings,
        validation=0 if recipe.fold else recipe.validation,
        data_dir=data_dir,
        load=lambda: load_data(run, data_dir=data_dir, registry=registry),
        run=run,
    )


def source_of_name(
    name: str, dataset: str | None, settings: Mapping[str, Any], data_dir: Path | None, registry: Registry
) -> Source:
    """Return the data of a dataset or of a recipe. Files that cannot be used are skipped and listed.

    Raises:
        ZooError: As for `zoo.data.prepare_dataset` and for the check of the data.
    """
    config = prepare_dataset(name, dataset=dataset, settings=settings, data_dir=data_dir, registry=registry)
    if config.settings.get("skip_bad") is False and _SKIP_BAD not in settings:
        settings = {**settings, _SKIP_BAD: True}
        config = prepare_dataset(name, dataset=dataset, settings=settings, data_dir=data_dir, registry=registry)
    config.check()
    return Source(
        dataset=config.name,
        settings=config.settings,
        validation=config.validation,
        data_dir=data_dir,
        load=config.load,
    )


def inspect(
    source: Source,
    *,
    registry: Registry,
    progress: Progress,
    check_labels: bool = False,
    predictions: Path | None = None,
) -> tuple[DataReport, list[Part], NDArray[np.int64]]:
    """Read a dataset and return what is found, with its parts and the labels of its training images.

    Args:
        source: The dataset.
        registry: As for `zoo.run`.
        progress: Notified of each stage.
        check_labels: Whether to look for wrong labels with the model of the source's run.
        predictions: File with out-of-fold predictions to look for wrong labels with. No images are then held out.

    Raises:
        ZooError: The data cannot be read, or the predictions are not of this data.
    """
    if check_labels and source.run is not None:
        check_run(source.run)
    progress.stage("loading the data")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ZooWarning)
        loaded = source.load()
    whole = with_ids(loaded)
    held_out = predictions is None and whole.validation is None and source.validation > 0
    split = cut_validation(whole, source.validation) if held_out else whole
    parts = parts_of(split)
    own = [part for part in parts if part.name != TEST]
    given = None
    if predictions is not None:  # before the images, so that a wrong path is an error at once
        images = sum(len(part.examples) for part in own)
        count, data = len(split.class_names), digest_of_split(loaded)
        given = read_out_of_fold(predictions, images=images, classes=count, data=data)
    progress.stage(f"reading {sum(len(part.examples) for part in parts):,} images")
    scanned = scan(parts)
    progress.stage("looking for copies")
    copies = find_copies(scanned, parts, split.class_names)
    labels = None
    if given is not None and predictions is not None:
        found = scanned.labels[scanned.part_of < len(own)]
        labels = labels_of_predictions(given, predictions, own, found, split.class_names)
    elif check_labels and source.run is not None:
        progress.stage("loading Keras and predicting the validation images")
        import_keras()
        labels = labels_of_run(source.run, parts, split.class_names, registry)
    classes = _classes(scanned, parts, split.class_names)
    trained = [each.train for each in classes]
    report = DataReport(
        dataset=source.dataset,
        data_dir=None if source.data_dir is None else str(source.data_dir),
        settings={name: setting_text(value) for name, value in source.settings.items()},
        shape=list(scanned.shape),
        held_out=held_out,
        parts={part.name: len(part.examples) for part in parts},
        classes=classes,
        imbalance=max(trained) / min(trained) if min(trained) else None,
        pixels=scanned.pixels,
        skipped=_skipped(split),
        warnings=_texts(caught, split),
        copies=copies,
        labels=labels,
        advice=[],
    )
    for each in caught:
        if not issubclass(each.category, ZooWarning):
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    return replace(report, advice=advise(report)), parts, scanned.labels[scanned.part_of == 0]


def _classes(scanned: Scan, parts: Sequence[Part], names: Sequence[str]) -> list[ClassCounts]:
    import numpy as np

    counts = {
        part.name: np.bincount(scanned.labels[scanned.part_of == i], minlength=len(names)).tolist()
        for i, part in enumerate(parts)
    }
    nothing = [0] * len(names)
    train = counts[TRAIN]
    return [
        ClassCounts(
            name=name,
            train=train[i],
            validation=counts.get(VALIDATION, nothing)[i],
            test=counts[TEST][i],
            weight=sum(train) / (len(names) * train[i]) if train[i] else None,
        )
        for i, name in enumerate(names)
    ]


def _texts(caught: Sequence[warnings.WarningMessage], split: Split) -> list[str]:
    """Return what the dataset warned of, without what the list of skipped files says."""
    texts = [printable(str(each.message)) for each in caught if issubclass(each.category, ZooWarning)]
    return [text for text in texts if not any(printable(name) in text for name in split.skipped_files[:1])]


def _skipped(split: Split) -> list[SkippedFile]:
    reasons = split.skipped_reasons or ("",) * len(split.skipped_files)
    return [
        SkippedFile(name=printable(name), reason=printable(reason))
        for name, reason in zip(split.skipped_files, reasons, strict=True)
    ]
