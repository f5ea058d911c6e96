"""Checks of datasets."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from zoo.data import loading
from zoo.data.examples import Subset, batches
from zoo.errors import ZooError
from zoo.recipes.components import default_component
from zoo.testing.common import LIMIT, Checks, Subject, require, settings

if TYPE_CHECKING:
    from zoo.interfaces import Examples, Split

_MOST_CHANNELS = 4  # of an image


def _load(subject: Subject) -> Split:
    component = default_component(subject.registered)
    loading.check_data_dir(component, subject.data_dir)  # as `zoo run` does before loading
    return loading.load_split(component, subject.data_dir)


def needs_data_dir(subject: Subject) -> bool:
    """Return whether a dataset declares that it has no data of its own, and False if reading that fails.

    A check that loads the dataset then reports the error.
    """
    with contextlib.suppress(ZooError):
        return loading.needs_data_dir(default_component(subject.registered))
    return False


def gives(subject: Subject) -> None:
    """Require valid images, labels and class names, in the requested order."""
    import numpy as np

    split = _load(subject)  # loading and reading check shapes, types, labels and class names
    pixels = set()
    for part in ("train", "validation", "test"):
        examples: Examples | None = getattr(split, part)
        if examples is None:
            continue
        # spread over the split: examples are often sorted by class
        spread = np.unique(np.linspace(0, len(examples) - 1, min(len(examples), 5 * LIMIT)).astype(np.intp))
        for images, _ in batches(Subset(examples, spread), LIMIT):
            pixels.update(np.unique(images).tolist())
    require(
        max(pixels) > 1,
        f"{subject.title}: no pixel is brighter than 1: return uint8 images from 0 to 255, not scaled.",
    )
    height, _, channels = loading.input_shape(split)
    require(
        not height <= _MOST_CHANNELS < channels,
        f"{subject.title}: its images seem to be channels-first: return (n, height, width, channels). "
        f"Received: shape={loading.input_shape(split)}",
    )
    some = np.arange(min(len(split.train), 3))
    images, backwards = split.train[some][0], split.train[some[::-1]][0]
    require(
        (images == backwards[::-1]).all(),
        f"{subject.title}: examples requested in reverse order are not returned in that order: return them in the "
        "order of the indices.",
    )


def gives_the_same(subject: Subject) -> None:
    """Require the same data when the dataset is loaded twice."""
    import numpy as np

    first, again = (_load(subject) for _ in range(2))
    for part in ("train", "validation", "test"):
        pair = [getattr(split, part) for split in (first, again)]
        if pair[0] is None:
            continue
        indices = np.arange(min(len(pair[0]), LIMIT))
        same = len(pair[0]) == len(pair[1]) and all(
            (one == other).all() for one, other in zip(pair[0][indices], pair[1][indices], strict=True)
        )
        require(
            same,
            f"{subject.title}: loaded twice, its {part} examples differ: sort directory listings, and seed all "
            "randomness.",
        )


DATASET: Checks = {
    "settings have types and valid defaults": settings,
    "loads valid images, labels and class names": gives,
    "loads the same data each time": gives_the_same,
}
"""The checks of a dataset, by requirement."""
