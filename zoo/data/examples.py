"""Images with labels: in memory, as a view of others, in batches, and brought to a model's range."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.errors import DataError
from zoo.utils.plugin_errors import plugin_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from zoo.interfaces import Examples


class ArrayExamples:
    """Examples held in memory.

    Args:
        images: ``(n, height, width, channels)``, uint8.
        labels: ``(n,)``, integers from 0.

    Raises:
        DataError: The arrays have other shapes or types, or lengths that differ.
    """

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.integer[Any]]) -> None:
        """Hold the arrays, without a copy."""
        import numpy as np

        images, labels = np.asarray(images), np.asarray(labels)
        if images.ndim != 4 or images.dtype != "uint8":
            raise DataError(
                "Images are an array (n, height, width, channels) of uint8. "
                f"Received: images.shape={images.shape}, images.dtype={images.dtype}"
            )
        if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
            raise DataError(
                f"Labels are an array ({len(images)},) of integers, one for each image. "
                f"Received: labels.shape={labels.shape}, labels.dtype={labels.dtype}"
            )
        self.images = images
        self.labels = labels

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.labels)

    def __getitem__(self, indices: NDArray[np.intp], /) -> tuple[NDArray[np.uint8], NDArray[np.integer[Any]]]:
        """Return images ``(n, height, width, channels)`` uint8 and labels ``(n,)``."""
        return self.images[indices], self.labels[indices]


class Subset:
    """Some of other examples, in an order of its own.

    Args:
        examples: What to take from.
        indices: Which ones, ``(n,)`` integers.
    """

    def __init__(self, examples: Examples, indices: NDArray[np.intp]) -> None:
        """Hold the examples and the indices; nothing is read yet."""
        self.examples = examples
        self.indices = indices

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.indices)

    def __getitem__(self, indices: NDArray[np.intp], /) -> tuple[NDArray[np.uint8], NDArray[np.integer[Any]]]:
        """Return images ``(n, height, width, channels)`` uint8 and labels ``(n,)``."""
        return self.examples[self.indices[indices]]


class CheckedExamples:
    """Others' examples, each answer of theirs checked before it is believed.

    Args:
        examples: What to ask.
        title: What to call them in messages: ``"training images of dataset mine/it"``.
        shape: Height, width and channels that every image must have; None if the first ones decide.
    """

    def __init__(self, examples: Examples, title: str, shape: tuple[int, int, int] | None = None) -> None:
        """Hold the examples; nothing is read yet."""
        self._examples = examples
        self._title = title
        self.shape = shape

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self._examples)

    def __getitem__(self, indices: NDArray[np.intp], /) -> tuple[NDArray[np.uint8], NDArray[np.integer[Any]]]:
        """Return images ``(n, height, width, channels)`` uint8 and labels ``(n,)``.

        Raises:
            DataError: There are more or fewer than asked for, or they have other shapes or types.
            PluginError: The examples fail otherwise.
        """
        import numpy as np

        with plugin_errors(self._title, "be read"):
            images, labels = self._examples[indices]
            images, labels = np.asarray(images), np.asarray(labels)
        fault = None
        if images.ndim != 4 or images.dtype != "uint8" or 0 in images.shape[1:]:
            fault = "must be arrays (n, height, width, channels) of uint8, no size 0"
        elif labels.shape != (len(indices),) or len(images) != len(indices):
            fault = f"must be as many as asked for, {len(indices)} images and labels"
        elif labels.dtype.kind not in "iu":
            fault = "must have integer labels"
        elif self.shape is not None and images.shape[1:] != self.shape:
            fault = (
                f"must have the size {self.shape}, height, width and channels, as those that the model is trained on"
            )
        if fault:
            raise DataError(
                f"The {self._title} {fault}. Received: images.shape={images.shape}, images.dtype={images.dtype}, "
                f"labels.shape={labels.shape}, labels.dtype={labels.dtype}"
            )
        return images, labels


def check_labels(labels: NDArray[np.integer[Any]], num_classes: int) -> None:
    """Raise `DataError` unless labels are from 0 to ``num_classes - 1``."""
    if labels.min() < 0 or labels.max() >= num_classes:
        raise DataError(
            f"Labels are from 0 to {num_classes - 1}. Received: labels from {labels.min()} to {labels.max()}"
        )


def batches(examples: Examples, batch_size: int) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.integer[Any]]]]:
    """Iterate over examples in order, in batches."""
    import numpy as np

    for start in range(0, len(examples), batch_size):
        yield examples[np.arange(start, min(start + batch_size, len(examples)))]


def scale_pixels(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return images as models receive them: float32, pixels divided by 255."""
    import numpy as np

    return images.astype(np.float32) / np.float32(255)
