"""Predictions of a loaded model for image files: in batches, decoded by multiple threads."""

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

_MOST = 500  # images per batch; as many as the trainers predict together, so that rounding is the same
_BATCH_BYTES = 1 << 26  # bytes of pixels per batch
_LONGEST_NAME = 4096


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """A model's prediction for a file: the most likely classes with their probabilities, most likely first."""

    file: str
    inverted: bool
    classes: tuple[tuple[str, float], ...]


@dataclass(kw_only=True)
class Outcome:
    """Predictions in order, and one line for each file that could not be read."""

    predictions: list[Prediction] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)


def check_takes_files(run: Run) -> None:
    """Raise `DataError` unless a run's model takes gray or color images, as image files have."""
    height, width, channels = run.record.data.input_shape
    if channels not in (1, 3):
        raise DataError(
            "This model cannot predict image files, which have one or three channels. Predict arrays with "
            f"zoo.load(...).predict. Received: input_shape={(height, width, channels)}"
        )


def batch_size(shape: tuple[int, int, int]) -> int:
    """Return the number of images per batch: 64 MiB of pixels, but at least 1 and at most 500 images.

    Args:
        shape: Height, width and channels of an image.
    """
    return max(1, min(_MOST, _BATCH_BYTES // math.prod(shape)))


def predict_files(
    loaded: LoadedModel, sources: Sources, top: int, invert: Invert, on_read: Callable[[int], object]
) -> Outcome:
    """Predict image files in batches.

    Args:
        loaded: The model.
        sources: The files.
        top: Number of classes to return for each file.
        invert: As for `zoo_images.preparing.prepare`.
        on_read: Callback to call with 1 after each file, whether or not it could be read.
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
        raise DataError("standard input is closed. Pipe an image into it, or pass a file.")
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    check_size(data, "standard input")
    first = data[:_LONGEST_NAME].splitlines()[0]
    if b"\0" not in first and os.path.isfile(os.fsdecode(first)):
        raise DataError(
            "standard input contains file names, but - reads an image. Pass the names as arguments, for example with "
            "xargs."
        )
    return data
