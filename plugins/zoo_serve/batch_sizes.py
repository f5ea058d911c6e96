"""Batches of few sizes, for models that are compiled for each size of a batch: on JAX, that takes a second or more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoo_serve.batching import Predict


def batch_sizes(largest: int) -> list[int]:
    """Return the powers of two below the size of the largest batch, and that size."""
    return [*(1 << i for i in range((largest - 1).bit_length())), largest]


def with_few_sizes(predict: Predict, largest: int) -> Predict:
    """Return a function that predicts batches of the next larger of `batch_sizes`, and drops what is too much.

    Args:
        predict: Function from images ``(n, height, width, channels)`` uint8 to probabilities ``(n, classes)``.
        largest: Size of the largest batch; larger ones stay as they are.
    """
    sizes = batch_sizes(largest)

    def predict_padded(images: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
        count = len(images)
        missing = next((size for size in sizes if size >= count), count) - count
        if not missing:
            return predict(images)
        padded = np.concatenate([images, np.broadcast_to(images[-1:], (missing, *images.shape[1:]))])
        return predict(padded)[:count]

    return predict_padded
