"""Images with labels: in memory, as subsets, in batches, and scaled for models."""

from __future__ import annotations

import functools
import os
from collections import deque
from typing import TYPE_CHECKING, Any

from zoo.errors import DataError
from zoo.utils.hardware import processors_allowed
from zoo.utils.plugin_errors import plugin_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np
    from numpy.typing import NDArray

    from zoo.interfaces import Examples


_READ = 5_000  # examples read at a time for their labels
_READ_BYTES = 64 << 20  # of their images
_ALIGNMENT = 64  # bytes
_SCALED = 1 << 20  # values that a thread scales at a time
_MOST_THREADS = 8  # that scale: with more, memory is the limit


class ArrayExamples:
    """Examples held in memory.

    Args:
        images: ``(n, height, width, channels)``, uint8.
        labels: ``(n,)``, integers from 0.

    Raises:
        DataError: The shapes, types or lengths of the arrays are wrong.
    """

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.integer[Any]]) -> None:
        """Keep references to the arrays, without copying."""
        import numpy as np

        images, labels = np.asarray(images), np.asarray(labels)
        if images.ndim != 4 or images.dtype != "uint8":
            raise DataError(
                "Images must be a uint8 array of shape (n, height, width, channels). "
                f"Received: images.shape={images.shape}, images.dtype={images.dtype}"
            )
        if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
            raise DataError(
                f"Labels must be an integer array of shape ({len(images)},), one label per image. "
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
    """A selection of examples, in any order.

    Args:
        examples: The examples to select from.
        indices: Indices of the selected examples, integers of shape ``(n,)``.
    """

    def __init__(self, examples: Examples, indices: NDArray[np.intp]) -> None:
        """Keep the examples and the indices; read nothing yet."""
        self.examples = examples
        self.indices = indices

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.indices)

    def __getitem__(self, indices: NDArray[np.intp], /) -> tuple[NDArray[np.uint8], NDArray[np.integer[Any]]]:
        """Return images ``(n, height, width, channels)`` uint8 and labels ``(n,)``."""
        return self.examples[self.indices[indices]]


class Joined:
    """The examples of several sources, one after another.

    Args:
        sources: The sources.
    """

    def __init__(self, *sources: Examples) -> None:
        """Keep the sources; read nothing yet."""
        self.sources = sources

    def __len__(self) -> int:
        """Return the number of examples."""
        return sum(map(len, self.sources))

    def __getitem__(self, indices: NDArray[np.intp], /) -> tuple[NDArray[np.uint8], NDArray[np.integer[Any]]]:
        """Return images ``(n, height, width, channels)`` uint8 and labels ``(n,)``."""
        import numpy as np

        first, places, images, labels = 0, [], [], []
        for source in self.sources:
            place = np.flatnonzero((indices >= first) & (indices < first + len(source)))
            if len(place):
                found = source[indices[place] - first]
                places.append(place)
                images.append(found[0])
                labels.append(found[1])
            first += len(source)
        if len(places) == 1:
            return images[0], labels[0]
        order = np.argsort(np.concatenate(places))
        return np.concatenate(images)[order], np.concatenate(labels)[order]


class CheckedExamples:
    """A plugin's examples, with every batch that they return validated.

    Args:
        examples: The plugin's examples.
        dataset: Qualified name of their dataset: ``"mine/it"``.
        split: Their split: ``"train"``, ``"validation"`` or ``"test"``.
        num_classes: Number of classes.
        shape: Height, width and channels that every image must have; None to accept any.

    Raises:
        DataError: They are `ArrayExamples`, and a label is not a class. Others are not read yet.
    """

    def __init__(
        self,
        examples: Examples,
        *,
        dataset: str,
        split: str,
        num_classes: int,
        shape: tuple[int, int, int] | None = None,
    ) -> None:
        """Keep the examples."""
        self.examples = examples
        self._dataset, self._split = dataset, split
        self._title = f"{'training' if split == 'train' else split} images of dataset {dataset}"
        self._num_classes = num_classes
        self.shape = shape
        if type(examples) is ArrayExamples:
            self._check_classes(examples.labels)

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.examples)

    def __getitem__(self, indices: NDArray[np.intp], /) -> tuple[NDArray[np.uint8], NDArray[np.integer[Any]]]:
        """Return images ``(n, height, width, channels)`` uint8 and labels ``(n,)``.

        Raises:
            DataError: The number of images or labels, their shapes or their types are wrong, or a label is not a class.
            PluginError: The examples raised another error.
        """
        import numpy as np

        with plugin_errors(self._title, "load"):
            images, labels = self.examples[indices]
            images, labels = np.asarray(images), np.asarray(labels)
        fault = None
        if images.ndim != 4 or images.dtype != "uint8" or 0 in images.shape[1:]:
            fault = "must be uint8 arrays of shape (n, height, width, channels), with no dimension of 0"
        elif labels.shape != (len(indices),) or len(images) != len(indices):
            fault = f"must contain one image and one label for each of the {len(indices)} requested indices"
        elif labels.dtype.kind not in "iu":
            fault = "must have integer labels"
        elif self.shape is not None and images.shape[1:] != self.shape:
            fault = f"must have the height, width and channels of the images that the model is trained on, {self.shape}"
        if fault:
            raise self._error(
                f"{fault}. Received: images.shape={images.shape}, images.dtype={images.dtype}, "
                f"labels.shape={labels.shape}, labels.dtype={labels.dtype}"
            )
        self._check_classes(labels)
        return images, labels

    def _check_classes(self, labels: NDArray[np.integer[Any]]) -> None:
        if labels.size and not 0 <= labels.min() <= labels.max() < self._num_classes:
            raise self._error(
                f"must have labels from 0 to {self._num_classes - 1}, one for each class. "
                f"Received: labels from {labels.min()} to {labels.max()}"
            )

    def _error(self, fault: str) -> DataError:
        return DataError(f"The {self._title} {fault}", dataset=self._dataset, split=self._split)


def check_labels(labels: NDArray[np.integer[Any]], num_classes: int) -> None:
    """Raise `DataError` unless all labels are from 0 to ``num_classes - 1``."""
    if labels.min() < 0 or labels.max() >= num_classes:
        raise DataError(
            f"Labels must be from 0 to {num_classes - 1}. Received: labels from {labels.min()} to {labels.max()}"
        )


def labels_of(examples: Examples, num_classes: int) -> NDArray[np.integer[Any]]:
    """Return the labels of all examples, ``(n,)``; images are read only if the labels cannot be had otherwise.

    An ``examples`` object of a plugin may have an attribute ``labels``, an array ``(n,)``, which is then used.

    Raises:
        DataError: A label is not from 0 to ``num_classes - 1``.
    """
    import numpy as np

    found = _stored_labels(examples)
    if found is None or found.shape != (len(examples),) or found.dtype.kind not in "iu":
        first, _ = examples[np.arange(min(1, len(examples)))]
        step = max(1, min(_READ, _READ_BYTES // max(1, first.nbytes)))
        found = np.concatenate([labels for _, labels in batches(examples, step)])
    check_labels(found, num_classes)
    return found


def _stored_labels(examples: Examples) -> NDArray[Any] | None:
    """Return labels that are stored apart from the images, or None."""
    import numpy as np

    if isinstance(examples, CheckedExamples):
        return _stored_labels(examples.examples)
    if isinstance(examples, Subset):
        stored = _stored_labels(examples.examples)
        return None if stored is None else stored[examples.indices]
    if isinstance(examples, Joined):
        several = [_stored_labels(source) for source in examples.sources]
        known = [each for each in several if each is not None]
        return np.concatenate(known) if len(known) == len(several) else None
    found = getattr(examples, "labels", None)
    return found if isinstance(found, np.ndarray) else None


def batches(examples: Examples, batch_size: int) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.integer[Any]]]]:
    """Iterate over batches of examples, in order."""
    import numpy as np

    for start in range(0, len(examples), batch_size):
        yield examples[np.arange(start, min(start + batch_size, len(examples)))]


def scale_pixels(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return images in the form that models receive: float32, pixels divided by 255.

    The array begins at a multiple of 64 bytes, so that TensorFlow and JAX use it where it is instead of a copy.
    """
    import numpy as np

    size = images.size * np.dtype(np.float32).itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    scaled = memory[start : start + size].view(np.float32).reshape(images.shape)

    def scale(part: slice) -> None:
        np.divide(images[part], np.float32(255), out=scaled[part], dtype=np.float32)

    if images.size <= _SCALED:
        scale(slice(None))
    else:
        count = max(1, _SCALED * len(images) // images.size)  # images that a thread scales at a time
        parts = [slice(first, first + count) for first in range(0, len(images), count)]
        try:
            deque(_scaling_threads().map(scale, parts), maxlen=0)
        except RuntimeError:  # no thread can be started, as when the interpreter ends
            scale(slice(None))
    return scaled


@functools.cache
def _scaling_threads() -> ThreadPoolExecutor:
    """Return the pool, whose threads start on demand."""
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(min(_MOST_THREADS, processors_allowed()), "zoo-scale")


os.register_at_fork(after_in_child=_scaling_threads.cache_clear)  # a child has none of its parent's threads
