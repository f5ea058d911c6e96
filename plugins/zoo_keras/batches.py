"""Input batches for Keras: shuffled, scaled, with one-hot labels."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from zoo.data import check_labels, labels_of, scale_pixels
from zoo.utils import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from zoo.interfaces import Examples

AHEAD = 2
"""Number of batches to read ahead, which bounds the memory they use."""


class ShuffledBatches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras ships no types
    """The batches of one epoch, or the remaining ones.

    Args:
        examples: The examples.
        batch_size: Examples per batch; the last batch may be smaller.
        seed: Numbers that alone determine the order.
        num_classes: Width of the one-hot labels.
        first: Number of batches to skip.
    """

    def __init__(
        self, examples: Examples, batch_size: int, seed: tuple[int, ...], num_classes: int, *, first: int = 0
    ) -> None:
        """Draw the order of the examples."""
        super().__init__()
        self.error: Exception | None = None
        self._examples = examples
        self._batch_size = batch_size
        self._order = np.random.default_rng(seed).permutation(len(examples))[first * batch_size :]
        self._one_hot = np.eye(num_classes, dtype=np.float32)

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-len(self._order) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return images ``(n, height, width, channels)`` in [0, 1] and labels ``(n, num_classes)``."""
        try:
            return self._batch(self._order[index * self._batch_size : (index + 1) * self._batch_size])
        except Exception as error:
            self.error = error
            raise

    def _batch(self, indices: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        images, labels = self._examples[indices]
        check_labels(labels, len(self._one_hot))
        return scale_pixels(images), self._one_hot[labels]


class ReadAhead(keras.utils.PyDataset):  # type: ignore[misc]  # Keras ships no types
    """Batches that a thread reads one after another while the model trains on earlier ones.

    There is one thread, so that examples are requested one batch at a time and in order; examples that are expensive
    to read can use threads of their own within a batch.

    Args:
        batches: The batches to read.
    """

    def __init__(self, batches: ShuffledBatches) -> None:
        """Store the batches without reading any."""
        super().__init__()
        self._batches = batches
        self._pool = ThreadPoolExecutor(1)
        self._coming: dict[int, Future[tuple[NDArray[np.float32], NDArray[np.float32]]]] = {}

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self._batches)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return a batch unchanged and start reading the next ones."""
        for near in range(index, min(index + 1 + AHEAD, len(self))):
            if near not in self._coming:
                self._coming[near] = self._pool.submit(self._batches.__getitem__, near)
        return self._coming.pop(index).result()

    def close(self) -> None:
        """Cancel reading the remaining batches."""
        self._pool.shutdown(cancel_futures=True)


def count_labels(examples: Examples, num_classes: int) -> list[int]:
    """Return the number of examples of each class."""
    return [int(count) for count in np.bincount(labels_of(examples, num_classes), minlength=num_classes)]


@contextlib.contextmanager
def as_fit_takes_them(batches: ShuffledBatches) -> Iterator[Any]:
    """Yield batches in the form that makes `Model.fit` fastest, with a few of them read ahead.

    On TensorFlow, Keras would put them into an autotuned tf.data pipeline, and the end of an epoch would wait for the
    tuner's thread to wake up: two seconds after an epoch of eight seconds, eighteen after one of twenty-three. This
    pipeline is not autotuned.
    """
    if keras.backend.backend() != "tensorflow":
        ahead = ReadAhead(batches)
        try:
            yield ahead
        finally:
            ahead.close()
        return
    import tensorflow as tf

    held = [batches]  # until the epoch ends: TensorFlow never lets go of `generate`
    count = len(batches)

    def generate() -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        keep_freed_memory()  # once more: before a generator starts, TensorFlow tells the allocator to return it
        for index in range(count):
            if held:
                yield held[0][index]

    signature = tuple(tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in batches[0])
    options = tf.data.Options()
    options.autotune.enabled = False
    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(count))
    try:
        yield dataset.prefetch(AHEAD).with_options(options)
    finally:
        held.clear()
