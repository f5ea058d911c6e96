"""Batch normalization as a single operation."""

from __future__ import annotations

from typing import Any

import keras

_PRECISIONS = ("float32", "bfloat16", "float16")  # dtypes that the operation supports


@keras.saving.register_keras_serializable("zoo_vision")
class BatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]  # Keras ships no types
    """`keras.layers.BatchNormalization`, as fast as TensorFlow allows for ``(batch, height, width, channels)``.

    Keras computes each sum, difference and quotient separately and leaves it to a compiler to fuse them. TensorFlow on
    a CPU has no compiler that is fast at convolutions, so it passes over the feature maps a dozen times, which takes
    half of a step of ResNet-20. TensorFlow's own operation gives the same result. Other backends compile: there, and
    with settings that the operation does not support, this layer is that of Keras, unchanged.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Return the normalized maps; in training, use the batch's statistics and add them to the moving averages."""
        if not self._is_one_operation(inputs, mask):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        of_batch = bool(training) and self.trainable
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma,
            offset=self.beta,
            mean=[] if of_batch else self.moving_mean,
            variance=[] if of_batch else self.moving_variance,
            epsilon=self.epsilon,
            is_training=of_batch,
        )
        if of_batch:
            count = tf.cast(tf.size(inputs) // tf.size(mean), variance.dtype)
            # TensorFlow returns the unbiased estimate of the variance, Keras averages the variance of the batch
            variance *= tf.maximum(count - 1, 1) / count
            for average, statistic in ((self.moving_mean, mean), (self.moving_variance, variance)):
                average.assign(average * self.momentum + statistic * (1 - self.momentum))
        return outputs

    def _is_one_operation(self, inputs: Any, mask: Any) -> bool:
        """Return whether TensorFlow's operation supports the settings of this layer."""
        return (
            keras.config.backend() == "tensorflow"
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and self.center
            and self.scale
            and not (self.renorm or self.synchronized)
            and mask is None
            and self.variable_dtype == "float32"
            and self.compute_dtype in _PRECISIONS
            and keras.backend.standardize_dtype(inputs.dtype) == self.compute_dtype
        )
