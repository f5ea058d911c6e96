"""The steps of trainer ``resident`` on TensorFlow: a loop inside one ``tf.function``.

Not compiled by XLA, which on a processor is an order of magnitude slower here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray


def device_memory() -> int | None:
    """Return the bytes of memory that TensorFlow may use of the GPU, None if there is none."""
    if not tf.config.list_physical_devices("GPU"):
        return None
    from tensorflow.python.client import device_lib  # nothing in the public names says it

    return int(next(device.memory_limit for device in device_lib.list_local_devices() if device.device_type == "GPU"))


class TensorflowSteps:
    """Steps over images and labels that stay on the device."""

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
        self._images, self._labels = tf.constant(images), tf.constant(labels)
        self._num_classes = model.output_shape[-1]
        self._batch_size = batch_size
        self._whole = len(labels) // batch_size  # steps with a batch of full size
        self._loop = tf.function(self._take, reduce_retracing=True)
        self._rest = tf.function(self._step)

    def run(self, order: NDArray[np.intp], first: int, last: int) -> tuple[float, float]:
        """Take some steps of an epoch; return sums of loss and of right answers."""
        loss = right = 0.0
        if first < (whole := min(last, self._whole)):
            indices = tf.constant(order[first * self._batch_size : whole * self._batch_size].astype("int32"))
            sums = self._loop(tf.reshape(indices, [-1, self._batch_size]))
            loss, right = float(sums[0]), float(sums[1])
        if last > self._whole:
            sums = self._rest(tf.constant(order[self._whole * self._batch_size :].astype("int32")))
            loss, right = loss + float(sums[0]), right + float(sums[1])
        return loss, right

    def _take(self, batches: Any) -> tuple[Any, Any]:
        loss, right = tf.constant(0.0, tf.float64), tf.constant(0.0, tf.float64)
        for indices in batches:
            step_loss, step_right = self._step(indices)
            loss, right = loss + step_loss, right + step_right
        return loss, right

    def _step(self, indices: Any) -> tuple[Any, Any]:
        """Train on a batch; return the sums of its cross-entropies, without smoothing, and of its right answers."""
        images = tf.cast(tf.gather(self._images, indices), tf.float32) / 255.0
        labels = tf.gather(self._labels, indices)
        truth = tf.one_hot(labels, self._num_classes)
        with tf.GradientTape() as tape:
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
        # float32 values lose nothing when added up in float64: sums do not depend on how the steps are cut into calls
        return tf.cast(sums[0], tf.float64), tf.cast(sums[1], tf.float64)
