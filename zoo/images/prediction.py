"""Predictions of a model for image files: in batches, decoded by multiple threads."""

from __future__ import annotations

import math
import os
import sys
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from zoo.errors import DataError, SettingError, ZooWarning
from zoo.images.decoding import warnings_are_errors
from zoo.images.inputs import STANDARD_INPUT, WINDOWS_LINES, expand
from zoo.images.natural_sort import shown
from zoo.images.preparing import prepare
from zoo.images.reading import MAX_BYTES, check_size, read
from zoo.images.workers import WORKERS, in_order

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from zoo.images.inputs import Sources
    from zoo.images.preparing import Invert, Prepared
    from zoo.interfaces import ImageInput

_MOST = 500  # images per batch; as many as the trainers predict together, so that rounding is the same
_BATCH_BYTES = 1 << 26  # bytes of pixels per batch
_LONGEST_NAME = 4096


class Classifier(Protocol):
    """What predicts: a `zoo.LoadedModel`."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the columns that `predict` returns."""
        ...

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the images that `predict` takes."""
        ...

    @property
    def image_input(self) -> ImageInput:
        """The preprocessing of image files."""
        ...

    def predict(self, images: NDArray[np.uint8], /) -> NDArray[np.floating[Any]]:
        """Return probabilities ``(n, num_classes)`` for images ``(n, height, width, channels)`` uint8."""
        ...


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """A model's prediction for a file.

    Args:
        file: Name of the file.
        inverted: Whether the image was inverted.
        classes: The most likely classes with their probabilities, most likely first.
        has_uneven_background: As for `zoo.images.Prepared`.
    """

    file: str
    inverted: bool
    classes: tuple[tuple[str, float], ...]
    has_uneven_background: bool = False


@dataclass(kw_only=True)
class Outcome:
    """Predictions in order, and one line for each file that could not be read."""

    predictions: list[Prediction] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)


def check_takes_files(shape: tuple[int, int, int]) -> None:
    """Raise `DataError` unless a model takes gray or color images, as image files have.

    Args:
        shape: Height, width and channels of the images that it takes.
    """
    if shape[-1] not in (1, 3):
        raise DataError(
            "This model cannot predict image files, which have one or three channels. Predict arrays with "
            f"zoo.load(...).predict. Received: input_shape={shape}"
        )


def batch_size(shape: tuple[int, int, int]) -> int:
    """Return the number of images per batch: 64 MiB of pixels, but at least 1 and at most 500 images.

    Args:
        shape: Height, width and channels of an image.
    """
    return max(1, min(_MOST, _BATCH_BYTES // math.prod(shape)))


def predict_files(
    model: Classifier, sources: Sources, top: int | None, invert: Invert, on_read: Callable[[int], object]
) -> Outcome:
    """Predict image files in batches.

    Args:
        model: The model.
        sources: The files.
        top: Number of classes to return for each file; None for all.
        invert: As for `prepare`.
        on_read: Callback to call with 1 after each file, whether or not it could be read.
    """
    shape = model.input_shape
    batch = batch_size(shape)

    def read_one(name: str) -> Prepared | str:
        try:
            data, source = (
                (_standard_input(), "standard input") if name == STANDARD_INPUT else (read(name)[0], shown(name))
            )
            return prepare(data, source, shape, model.image_input, invert)
        except DataError as error:
            return str(error)

    import numpy as np

    outcome = Outcome(bad=list(sources.bad))
    with warnings_are_errors(), ThreadPoolExecutor(WORKERS) as pool:
        for start in range(0, len(sources.files), batch):
            names: list[str] = []
            prepared: list[Prepared] = []
            part = sources.files[start : start + batch]
            for name, found in zip(part, in_order(pool, read_one, part, ahead=batch), strict=True):
                on_read(1)
                if isinstance(found, str):
                    outcome.bad.append(found)
                    continue
                names.append(name)
                prepared.append(found)
            if not prepared:
                continue
            probabilities = model.predict(np.stack([each.pixels for each in prepared]))
            for each in zip(names, prepared, probabilities, strict=True):
                outcome.predictions.append(_prediction(*each, model.class_names, top))
    return outcome


def predict_all(
    model: Classifier, files: str | Path | Iterable[str | Path], top: int | None, invert: Invert, skip_bad: bool
) -> list[Prediction]:
    """Return a prediction for each image file; see `zoo.LoadedModel.predict_files`."""
    check_takes_files(model.input_shape)
    names = [files] if isinstance(files, str | os.PathLike) else list(files) if isinstance(files, Iterable) else [files]
    for name in names:
        if not isinstance(name, str | os.PathLike):
            raise SettingError(
                "'files' must be names of image files; predict takes arrays. "
                f"Received: {type(name).__name__} {name!r:.100}",
                name="files",
                value=name,
            )
    if top is not None and (type(top) is not int or top < 1):
        raise SettingError(
            f"'top' must be an integer of at least 1, or None. Received: top={top!r:.100}", name="top", value=top
        )
    if invert not in ("auto", "yes", "no"):
        raise SettingError(
            f"'invert' must be 'auto', 'yes' or 'no'. Received: invert={invert!r:.100}", name="invert", value=invert
        )
    if type(skip_bad) is not bool:
        raise SettingError(
            f"'skip_bad' must be True or False. Received: skip_bad={skip_bad!r:.100}", name="skip_bad", value=skip_bad
        )
    outcome = predict_files(model, expand([os.fspath(name) for name in names]), top, invert, lambda _: None)
    for fault in outcome.bad:
        if not skip_bad:
            raise DataError(f"{fault} Or skip such files with skip_bad=True.")
        warnings.warn(fault, ZooWarning, stacklevel=3)
    return outcome.predictions


def _prediction(
    name: str, prepared: Prepared, probabilities: NDArray[np.floating], class_names: tuple[str, ...], top: int | None
) -> Prediction:
    import numpy as np

    order = np.argsort(-probabilities, kind="stable")[:top]
    classes = tuple((class_names[i], float(probabilities[i])) for i in order)
    return Prediction(
        file=name,
        inverted=prepared.inverted,
        classes=classes,
        has_uneven_background=prepared.has_uneven_background,
    )


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise DataError("standard input is closed. Pipe an image into it, or pass a file.")
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    check_size(data, "standard input")
    first = data[:_LONGEST_NAME].splitlines()[0]
    if b"\0" not in first and os.path.isfile(os.fsdecode(first)):
        if data[len(first) : len(first) + 2] == b"\r\n":
            raise DataError(
                f"standard input contains file names, but - reads an image. Also, {WINDOWS_LINES} Then pass the names "
                "as arguments, for example with xargs."
            )
        raise DataError(
            "standard input contains file names, but - reads an image. Pass the names as arguments, for example with "
            "xargs."
        )
    return data
