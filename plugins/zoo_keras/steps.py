"""Backend-independent base of the training steps of trainer ``resident``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray


class StepsOfEpoch(Protocol):
    """An object that runs the steps of an epoch."""

    def run(self, order: NDArray[np.intp], first: int, last: int) -> tuple[float, float]:
        """Run steps ``first`` to ``last - 1`` of an epoch; return the sums of loss and of correct predictions."""
        ...


class Steps(ABC):
    """Training steps over images and labels that stay on the device, compiled for a backend."""

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        loss: keras.losses.Loss,
        images: NDArray[np.uint8],
        labels: NDArray[np.int32],
        batch_size: int,
    ) -> None:
        """Put the data on the device."""
        self._model, self._optimizer, self._loss = model, optimizer, loss
        self._num_classes = model.output_shape[-1]
        self._batch_size = batch_size
        self._whole = len(labels) // batch_size  # number of steps with a full batch
        self._put(images, labels)

    def run(self, order: NDArray[np.intp], first: int, last: int) -> tuple[float, float]:
        """Run steps ``first`` to ``last - 1`` of an epoch; return the sums of loss and of correct predictions."""
        loss = right = 0.0
        split = self._whole * self._batch_size
        for batches, begin, end in (
            (order[:split].reshape(-1, self._batch_size), first, min(last, self._whole)),
            (order[None, split:], 0, last - self._whole),  # the smaller last batch
        ):
            if begin < end:
                sums = self._take(batches, begin, end)
                loss, right = loss + sums[0], right + sums[1]
        return loss, right

    @abstractmethod
    def _put(self, images: NDArray[np.uint8], labels: NDArray[np.int32]) -> None:
        """Put the data on the device."""

    @abstractmethod
    def _take(self, batches: NDArray[np.intp], first: int, last: int) -> tuple[float, float]:
        """Train on batches ``first`` to ``last - 1``, each a row of example indices; return their sums.

        Each step's sums are in float32 and are added in float64, so the result does not depend on how the steps are
        divided into calls.
        """
