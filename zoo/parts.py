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


_WEIGHT_TYPES = frozenset(
    [
        "bool",
        *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
        "float16",
        "float32",
        "float64",
    ]
)


def load_split(part: Part, data_dir: str | Path | None) -> Split:
    """Return the split that a data set loads.

    Raises:
        DataError: The folder does not exist, or the data are not what they should be.
        PluginError: It fails otherwise, or loads something else.
    """
    if data_dir is not None and not Path(data_dir).is_dir():
        raise DataError(f"There is no such folder to read the data from. Received: data_dir={str(data_dir)!r}")
    with blaming(part.title, "load"):
        dataset = part.make()
        if not isinstance(dataset, Dataset):
            raise PluginError(f"The {part.title} has no method load. Received: {dataset!r:.200}")
        split = dataset.load(None if data_dir is None else Path(data_dir))
    if not isinstance(split, Split):
        raise PluginError(f"The {part.title} did not load a Split. Received: {split!r:.200}")
    return split


def input_shape(split: Split, part: Part) -> tuple[int, int, int]:
    """Return height, width and channels of a split's training images, the split checked as far as that costs nothing.

    Raises:
        DataError: A part of it is empty, there are no classes, or the images are not uint8.
    """
    import numpy as np

    for name in ("train", "validation", "test"):
        examples = getattr(split, name)
        if examples is not None and not len(examples):
            raise DataError(f"The {part.title} has no {name} images. Received: len({name})=0")
    if not split.class_names:
        raise DataError(f"The {part.title} has no classes. Received: class_names={split.class_names!r}")
    images, _ = split.train[np.arange(1)]
    if images.ndim != 4 or images.dtype != "uint8":
        raise DataError(
            f"The {part.title} must give images (n, height, width, channels) of uint8. "
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

    with blaming(part.title, f"build for images {input_shape} and {num_classes} classes"):
        model = part.make(input_shape, num_classes)
    shape = getattr(model, "output_shape", None)  # absent where a model does not know its input yet
    if not isinstance(model, keras.Model) or shape != (None, num_classes):
        received = f"output_shape={shape}" if isinstance(model, keras.Model) else f"{model!r:.200}"
        raise PluginError(
            f"The {part.title} must build a keras.Model that begins with keras.Input(input_shape) and has outputs "
            f"(None, {num_classes}). Received: {received}"
        )
    for weight in model.weights:
        if (dtype := keras.backend.standardize_dtype(weight.dtype)) not in _WEIGHT_TYPES:
            raise PluginError(
                f"The {part.title} has a weight of a type that artifacts do not hold: keep weights float32, and "
                f"compute in bfloat16 with the dtype policy 'mixed_bfloat16'. Received: dtype={dtype!r}"
            )
    return model


def make_trainer(part: Part) -> Trainer:
    """Return a trainer.

    Raises:
        PluginError: It cannot be made, or is none.
    """
    with blaming(part.title, "start"):
        trainer = part.make()
    if not isinstance(trainer, Trainer):
        raise PluginError(f"The {part.title} lacks start or predict. Received: {trainer!r:.200}")
    return trainer


@contextlib.contextmanager
def blaming(who: str, verb: str) -> Iterator[None]:
    """Turn whatever the code of ``"model mine/net"`` raises into an error that names it."""
    try:
        yield
    except ZooError:
        raise
    except Exception as error:
        raise PluginError(f"The {who} failed to {verb}: {one_line(error)}") from error


def one_line(error: BaseException) -> str:
    """Return an exception's type and message, on one line that is not too long."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text if len(text) <= 300 else text[:299] + '…'}"
