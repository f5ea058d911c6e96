"""The steps of trainer ``resident`` on TensorFlow: a loop inside one ``tf.function``.

XLA is not used, because on a CPU it is an order of magnitude slower here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from zoo_keras.operations import training_operations
from zoo_keras.steps import Steps

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def device_memory() -> int | None:
    """Return the GPU memory that TensorFlow may use, in bytes, or None without a GPU."""
    if not tf.config.list_physical_devices("GPU"):
        return None
    from tensorflow.python.client import device_lib  # no public API reports it

    return int(next(device.memory_limit for device in device_lib.list_local_devices() if device.device_type == "GPU"))


class TensorflowSteps(Steps):
    """Steps over images and labels that stay on the device."""

    def _put(self, images: NDArray[np.uint8], labels: NDArray[np.int32]) -> None:
        self._images, self._labels = tf.constant(images), tf.constant(labels)
        # traced once for any batch size, because the last batch of an epoch may be smaller
        self._loop = tf.function(self._add_up, input_signature=[tf.TensorSpec((None, None), tf.int32)])

    def _take(self, batches: NDArray[np.intp], first: int, last: int) -> tuple[float, float]:
        loss, right = self._loop(tf.constant(batches[first:last], tf.int32))
        return float(loss), float(right)

    def _add_up(self, batches: Any) -> tuple[Any, Any]:
        loss, right = tf.constant(0.0, tf.float64), tf.constant(0.0, tf.float64)
        for indices in batches:
            step_loss, step_right = self._step(indices)
            loss, right = loss + step_loss, right + step_right
        return loss, right

    def _step(self, indices: Any) -> tuple[Any, Any]:
        """Train on a batch; return the sums of its cross-entropies, without smoothing, and correct predictions."""
        images = tf.cast(tf.gather(self._images, indices), tf.float32) / 255.0
        labels = tf.gather(self._labels, indices)
        truth = tf.one_hot(labels, self._num_classes)
        with training_operations(), tf.GradientTape() as tape:
            predicted = tf.cast(self._model(images, training=True), tf.float32)
            loss = self._loss(truth, predicted)
            for extra in self._model.losses:  # regularization
                loss += tf.reduce_sum(tf.cast(extra, tf.float32))
        variables = self._model.trainable_variables
        self._optimizer.apply(tape.gradient(loss, variables), variables)
        of_truth = tf.reduce_sum(truth * predicted, axis=-1)
        entropies = -tf.math.log(tf.clip_by_value(of_truth, 1e-7, 1.0))
        right = tf.equal(tf.argmax(predicted, axis=-1, output_type=tf.int32), labels)
        sums = tf.reduce_sum(entropies), tf.reduce_sum(tf.cast(right, tf.float32))
        return tf.cast(sums[0], tf.float64), tf.cast(sums[1], tf.float64)
