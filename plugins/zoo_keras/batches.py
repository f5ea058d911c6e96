"""Examples as Keras takes them in: shuffled, in batches, scaled, with one-hot labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from zoo import check_labels, scale_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoo import Examples


class ShuffledBatches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras ships no types
    """One epoch of batches, or the rest of one.

    Args:
        examples: What to take from.
        batch_size: Examples a batch; the last may be smaller.
        seed: Numbers that the order depends on, and on nothing else.
        num_classes: Width of the one-hot labels.
        first: Number of batches to leave out.
    """

    def __init__(
        self, examples: Examples, batch_size: int, seed: tuple[int, ...], num_classes: int, *, first: int = 0
    ) -> None:
        """Draw the order."""
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
