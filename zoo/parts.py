"""The parts of a plan, made: data loaded, model built, trainer ready; each checked, each fault told as its plugin's."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import DataError, PluginError, ZooError
from zoo.interfaces import Dataset, Split, Trainer

if TYPE_CHECKING:
    from collections.abc import Iterator

    import keras

    from zoo.plan import Part


def load_split(part: Part, data_dir: str | Path | None) -> Split:
    """Return the split that a data set loads.

    Raises:
        DataError: The folder does not exist, or the data are not what they should be.
        PluginError: It fails otherwise, or loads something else.
    """
    if data_dir is not None and not Path(data_dir).is_dir():
        raise DataError(f"There is no such folder to read the data from. Received: data_dir={str(data_dir)!r}")
    with blaming(part, "load"):
        dataset = part.make()
        if not isinstance(dataset, Dataset):
            raise PluginError(f"Data set {part.plugin}/{part.name} has no method load. Received: {dataset!r:.200}")
        split = dataset.load(None if data_dir is None else Path(data_dir))
    if not isinstance(split, Split):
        raise PluginError(f"Data set {part.plugin}/{part.name} did not load a Split. Received: {split!r:.200}")
    return split


def input_shape(split: Split, part: Part) -> tuple[int, int, int]:
    """Return height, width and channels of a split's images.

    Raises:
        DataError: There are none, or they are not uint8 images.
    """
    import numpy as np

    if not len(split.train):
        raise DataError(f"Data set {part.plugin}/{part.name} has no training images.")
    images, _ = split.train[np.arange(1)]
    if images.ndim != 4 or images.dtype != "uint8":
        raise DataError(
            f"Data set {part.plugin}/{part.name} must give images (n, height, width, channels) of uint8. "
            f"Received: images.shape={images.shape}, images.dtype={images.dtype}"
        )
    height, width, channels = images.shape[1:]
    return int(height), int(width), int(channels)


def build_model(part: Part, input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Return the model that a part builds, its output checked.

    Raises:
        PluginError: It cannot be built, or does not map images to ``(batch, num_classes)``.
    """
    import keras

    with blaming(part, f"build for images {input_shape} and {num_classes} classes"):
        model = part.make(input_shape, num_classes)
    if not isinstance(model, keras.Model) or model.output_shape != (None, num_classes):
        received = getattr(model, "output_shape", None) or type(model).__name__
        raise PluginError(
            f"Model {part.plugin}/{part.name} must build a keras.Model with outputs (None, {num_classes}). "
            f"Received: {received}"
        )
    return model


def make_trainer(part: Part) -> Trainer:
    """Return a trainer.

    Raises:
        PluginError: It cannot be made, or is none.
    """
    with blaming(part, "start"):
        trainer = part.make()
    if not isinstance(trainer, Trainer):
        raise PluginError(f"Trainer {part.plugin}/{part.name} lacks start or predict. Received: {trainer!r:.200}")
    return trainer


@contextlib.contextmanager
def blaming(part: Part, verb: str) -> Iterator[None]:
    """Turn whatever a plugin's code raises into an error that names the plugin."""
    try:
        yield
    except ZooError:
        raise
    except Exception as error:
        raise PluginError(f"{part.plugin}/{part.name} failed to {verb}: {one_line(error)}") from error


def one_line(error: BaseException) -> str:
    """Return an exception's type and message, on one line that is not too long."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text if len(text) <= 300 else text[:299] + '…'}"
