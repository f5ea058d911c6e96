"""Create and load datasets; errors in a dataset are reported as errors of its plugin."""

from __future__ import annotations

import contextlib
import math
import os
import stat
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.data.examples import CheckedExamples
from zoo.errors import DataError, PluginError
from zoo.interfaces import Dataset, ImageInput, Split
from zoo.recipes.components import instantiate
from zoo.runs.data_records import MOST_VALUES
from zoo.utils.plugin_errors import plugin_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoo.recipes.components import Component

_ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".tbz2", ".bz2", ".txz", ".xz", ".zst", ".7z", ".rar")


def load_split(
    component: Component, data_dir: str | Path | None, image_shape: tuple[int, int, int] | None = None
) -> Split:
    """Load a dataset and return its split. Examples are validated whenever they are read.

    Args:
        component: The dataset.
        data_dir: The folder to read, or the file if the dataset accepts files; None for the dataset's own data.
        image_shape: Height, width and channels that all images must have; None for those of the first training image.

    Raises:
        DataError: The folder or file does not exist, or the data is malformed.
        PluginError: The dataset raised another error, or did not return a `Split`.
    """
    with plugin_errors(component.title, "load"):
        with _named_errors(component):
            split = _dataset_for(component, data_dir).load(None if data_dir is None else Path(data_dir))
        if not isinstance(split, Split):
            raise PluginError(
                f"The load method of {component.title} must return a zoo.Split. Received: {split!r:.200}",
                plugin=component.plugin,
            )
        return _checked(split, component, image_shape)


@contextlib.contextmanager
def _named_errors(component: Component) -> Iterator[None]:
    """Name a dataset in the errors of its ``load``: as an attribute, and in messages that name no file."""
    try:
        yield
    except DataError as error:
        error.dataset = _name_of(component)
        if error.path is not None:
            raise
        raise error.with_message(f"The {component.title} failed to load: {error}") from error


def _name_of(component: Component) -> str:
    return f"{component.plugin}/{component.name}"


def make_dataset(component: Component) -> Dataset:
    """Create a dataset without loading it.

    Raises:
        PluginError: It cannot be created, or is not a `Dataset`.
    """
    dataset: Dataset = instantiate(component, Dataset, "must return a zoo.Dataset")
    return dataset


def image_input_of(component: Component) -> ImageInput:
    """Return the preprocessing of a dataset's images: its ``image_input``, or the default.

    Raises:
        PluginError: The dataset cannot be created, or its ``image_input`` has the wrong type.
    """
    found = _attribute(component, make_dataset(component), "image_input")
    found = ImageInput() if found is None else found
    if not isinstance(found, ImageInput):
        raise PluginError(
            f"The image_input of {component.title} must be a zoo.ImageInput. Received: image_input={found!r:.200}",
            plugin=component.plugin,
        )
    return found


def needs_data_dir(component: Component) -> bool:
    """Return whether a dataset declares that it has no data of its own.

    Raises:
        PluginError: It cannot be created, or its ``needs_data_dir`` has the wrong type.
    """
    return _bool_attribute(component, make_dataset(component), "needs_data_dir")


def check_data_dir(component: Component, data_dir: str | Path | None) -> None:
    """Check ``data_dir`` before loading, including with the dataset's own ``check_data_dir``.

    Args:
        component: The dataset.
        data_dir: As for `load_split`.

    Raises:
        DataError: The folder or file does not exist, is required but not given, or has a problem that the dataset
            detects.
        PluginError: The dataset cannot be created, one of its attributes has the wrong type, or its check fails.
    """
    dataset = _dataset_for(component, data_dir)
    if data_dir is None and _bool_attribute(component, dataset, "needs_data_dir"):
        what = "folder or file" if _bool_attribute(component, dataset, "takes_file") else "folder"
        raise DataError(f"The {component.title} includes no data. Pass the {what} to read with --data-dir PATH.")
    with plugin_errors(component.title, "check data_dir"):
        dataset.check_data_dir(None if data_dir is None else Path(data_dir))


def _dataset_for(component: Component, data_dir: str | Path | None) -> Dataset:
    """Create a dataset and check that it can read ``data_dir``.

    Raises:
        DataError: ``data_dir`` does not exist, or is not a folder (or a file, if the dataset accepts files).
        PluginError: The dataset cannot be created.
    """
    dataset = make_dataset(component)
    if data_dir is None:
        return dataset
    takes_file = _bool_attribute(component, dataset, "takes_file")
    what = "a folder or a file" if takes_file else "a folder"
    try:
        mode = os.stat(data_dir).st_mode
    except (OSError, ValueError) as error:
        fault = f"the path cannot be accessed: {getattr(error, 'strerror', None) or error}"
    else:
        if stat.S_ISDIR(mode) or (takes_file and stat.S_ISREG(mode)):
            return dataset
        fault = "the path is not one"
        if stat.S_ISREG(mode) and str(data_dir).casefold().endswith(_ARCHIVES):
            raise DataError(
                f"The {component.title} reads {what}, not an archive. Unpack it, and pass the folder that it contains. "
                f"Received: data_dir={str(data_dir)!r}",
                path=data_dir,
            )
    raise DataError(
        f"The {component.title} reads {what}, but {fault}. Check the path. Received: data_dir={str(data_dir)!r}",
        path=data_dir,
    )


def _bool_attribute(component: Component, dataset: Dataset, name: str) -> bool:
    """Return a boolean attribute of a dataset."""
    found = _attribute(component, dataset, name)
    if not isinstance(found, bool):
        raise PluginError(
            f"The {name} of {component.title} must be True or False. Received: {found!r:.200}", plugin=component.plugin
        )
    return found


def _attribute(component: Component, dataset: Dataset, name: str) -> object:
    with plugin_errors(component.title, f"return its {name}"):
        return getattr(dataset, name)


def _checked(split: Split, component: Component, shape: tuple[int, int, int] | None) -> Split:
    import numpy as np

    title, dataset = component.title, _name_of(component)
    names = tuple(split.class_names) if isinstance(split.class_names, tuple | list) else ()
    if split.sampling not in ("natural", "balanced"):
        raise DataError(
            f"The sampling of {title} must be 'natural' or 'balanced'. Received: sampling={split.sampling!r:.100}",
            dataset=dataset,
        )
    if len(names) < 2 or len(set(names)) < len(names) or not all(isinstance(name, str) and name for name in names):
        raise DataError(
            f"The {title} must name at least two classes, in a tuple of distinct, non-empty strings. "
            f"Received: class_names={split.class_names!r:.200}",
            dataset=dataset,
        )
    for name in ("train", "validation", "test"):
        examples = getattr(split, name)
        if not (name == "validation" and examples is None) and not len(examples):
            images = "training" if name == "train" else name
            raise DataError(
                f"The {title} has no {images} images. Provide at least one. Received: len({name})=0",
                dataset=dataset,
                split=name,
            )
    for attribute in ("train_ids", "validation_ids", "test_ids", "train_groups", "validation_groups"):
        name, _, what = attribute.partition("_")
        examples = getattr(split, name)
        found, count = len(getattr(split, attribute)), 0 if examples is None else len(examples)
        if found not in (0, count):
            raise DataError(
                f"The {title} must have {'an id' if what == 'ids' else 'a group'} for each "
                f"{'training' if name == 'train' else name} image, or none at all. "
                f"Received: len({attribute})={found}, len({name})={count}",
                dataset=dataset,
                split=name,
            )
    if len(split.skipped_reasons) not in (0, len(split.skipped_files)):
        raise DataError(
            f"The {title} must have a reason for each skipped file, or none at all. Received: "
            f"len(skipped_reasons)={len(split.skipped_reasons)}, len(skipped_files)={len(split.skipped_files)}",
            dataset=dataset,
        )
    checked = partial(CheckedExamples, dataset=dataset, num_classes=len(names))
    train, validation = checked(split.train, split="train", shape=shape), split.validation
    if shape is None:
        shape = train.shape = train[np.arange(1)][0].shape[1:]
    if math.prod(shape) > MOST_VALUES:
        raise DataError(
            f"The images of {title} are too large: at most {MOST_VALUES:,} values. Received: shape={shape}",
            dataset=dataset,
        )
    return Split(
        train=train,
        test=checked(split.test, split="test", shape=shape),
        validation=None if validation is None else checked(validation, split="validation", shape=shape),
        class_names=names,
        digests=dict(split.digests),
        skipped_files=tuple(split.skipped_files),
        skipped_reasons=tuple(split.skipped_reasons),
        train_ids=tuple(split.train_ids),
        validation_ids=tuple(split.validation_ids),
        test_ids=tuple(split.test_ids),
        train_groups=tuple(split.train_groups),
        validation_groups=tuple(split.validation_groups),
        sampling=split.sampling,
        settings=dict(split.settings),
    )


def input_shape(split: Split) -> tuple[int, int, int]:
    """Return the height, width and channels of a split's images."""
    import numpy as np

    height, width, channels = split.train[np.arange(1)][0].shape[1:]
    return int(height), int(width), int(channels)
