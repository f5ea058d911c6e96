"""Image files, predicted by a loaded model: many at a time, decoded by several threads."""

from __future__ import annotations

import math
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from zoo import DataError
from zoo_images.decoding import warnings_are_errors
from zoo_images.inputs import STANDARD_INPUT
from zoo_images.natural_sort import shown
from zoo_images.preparing import prepare
from zoo_images.reading import MAX_BYTES, check_size, read
from zoo_images.workers import COUNT

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from zoo import LoadedModel, Run
    from zoo_images.inputs import Sources
    from zoo_images.preparing import Invert

_MOST = 500  # images predicted at a time; as many as the trainers take together, so that nothing is rounded otherwise
_BATCH_BYTES = 1 << 26  # of pixels
_LONGEST_NAME = 4096


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a model says of a file: the likeliest classes with their probabilities, the likeliest first."""

    file: str
    inverted: bool
    classes: tuple[tuple[str, float], ...]


@dataclass(kw_only=True)
class Outcome:
    """The predictions, in order, and a line for each file that could not be read."""

    predictions: list[Prediction] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)


def check_takes_files(run: Run) -> None:
    """Raise `DataError` unless a run's model is for images that can be made from files: gray or in colors."""
    height, width, channels = run.record.data.input_shape
    if channels not in (1, 3):
        raise DataError(
            "Image files become images of one channel or three, and this model is for others: predict arrays with "
            f"zoo.load(...).predict. Received: input_shape={(height, width, channels)}"
        )


def batch_size(shape: tuple[int, int, int]) -> int:
    """Return how many images are predicted at a time: 64 MiB of pixels, but one at least and 500 at most.

    Args:
        shape: Height, width and channels of an image.
    """
    return max(1, min(_MOST, _BATCH_BYTES // math.prod(shape)))


def predict_files(
    loaded: LoadedModel, sources: Sources, top: int, invert: Invert, on_read: Callable[[int], object]
) -> Outcome:
    """Predict image files, in one pass of batches.

    Args:
        loaded: The model.
        sources: The files.
        top: How many classes to give for each.
        invert: As for `zoo_images.preparing.prepare`.
        on_read: Is called with 1 for each file that was read, or could not be.
    """
    height, width, channels = loaded.run.record.data.input_shape
    batch = batch_size((height, width, channels))

    def read_one(name: str) -> tuple[NDArray[np.uint8], bool] | str:
        try:
            data, source = (
                (_standard_input(), "standard input") if name == STANDARD_INPUT else (read(name)[0], shown(name))
            )
            return prepare(data, source, (height, width, channels), loaded.image_input, invert)
        except DataError as error:
            return str(error)

    outcome = Outcome(bad=list(sources.bad))
    with warnings_are_errors(), ThreadPoolExecutor(COUNT) as pool:
        for start in range(0, len(sources.files), batch):
            names, images, inverted = [], [], []
            part = sources.files[start : start + batch]
            for name, found in zip(part, pool.map(read_one, part), strict=True):
                on_read(1)
                if isinstance(found, str):
                    outcome.bad.append(found)
                    continue
                names.append(name)
                images.append(found[0])
                inverted.append(found[1])
            if not images:
                continue
            probabilities = loaded.predict(np.stack(images))
            for each in zip(names, inverted, probabilities, strict=True):
                outcome.predictions.append(_prediction(*each, loaded.class_names, top))
    return outcome


def _prediction(
    name: str, inverted: bool, probabilities: NDArray[np.floating], class_names: tuple[str, ...], top: int
) -> Prediction:
    order = np.argsort(-probabilities, kind="stable")[:top]
    classes = tuple((class_names[i], float(probabilities[i])) for i in order)
    return Prediction(file=name, inverted=inverted, classes=classes)


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise DataError("standard input is closed.")
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    check_size(data, "standard input")
    first = data[:_LONGEST_NAME].splitlines()[0]
    if b"\0" not in first and os.path.isfile(os.fsdecode(first)):
        raise DataError(
            "standard input holds names of files, and - stands for an image itself: give the names as arguments, "
            "with xargs for example."
        )
    return data
