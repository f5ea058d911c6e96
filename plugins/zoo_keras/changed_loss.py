"""A loss whose labels and weights depend on the network's augmentations and on the classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

if TYPE_CHECKING:
    from collections.abc import Sequence


class ChangedLoss(keras.losses.Loss):  # type: ignore[misc]  # Keras ships no types
    """A loss with mixed labels and weighted classes, for the training of one network."""

    def __init__(self, loss: keras.losses.Loss, mixing: Sequence[Any], class_weights: Sequence[float] | None) -> None:
        """Store the loss, the layers that mix labels, and the weights."""
        super().__init__(name=loss.name, reduction=loss.reduction, dtype=loss.dtype)
        self._loss, self._mixing, self._weights = loss, tuple(mixing), class_weights

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each example, ``(n,)``, for labels and probabilities ``(n, num_classes)``."""
        labels = ops.cast(y_true, "float32")
        for layer in self._mixing:
            labels = layer.mix_labels(labels)
        losses = self._loss.call(labels, y_pred)
        if self._weights is None:
            return losses
        weights = ops.convert_to_tensor(self._weights, "float32")
        return losses * ops.cast(ops.sum(labels * weights, axis=-1), losses.dtype)
