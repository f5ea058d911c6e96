"""Gradients of biases in half precision, summed in float32.

On a CPU, TensorFlow 2.21 sums the gradient of a bias, over the batch and all positions, in the type of the activations,
unless oneDNN has fused it with a convolution. In bfloat16, whose significand has 8 bits, such a sum stops growing at
256 times the value being added: the error of the gradients of ConvMixer's depthwise biases was as large as the
gradients themselves, and half as large for a vision transformer. TensorFlow's other sums are in float32. PyTorch had
the same bug in 2021 (pytorch/pytorch#68048).
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from zoo_keras.replacing import original_of, replaced

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def float32_bias_gradients() -> Iterator[None]:
    """Sum the gradients of biases in float32 in everything that TensorFlow traces inside the block.

    Keras adds every bias with ``tf.nn.bias_add``, which has no option for this. Gradients of float32 activations do not
    change, bit for bit. Neither do other backends, which sum in float32 already.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    original = original_of(tf.nn, "bias_add")

    def bias_add(value: Any, bias: Any, data_format: str | None = None, name: str | None = None) -> Any:
        value = tf.convert_to_tensor(value)
        if value.dtype not in (tf.bfloat16, tf.float16):
            return original(value, bias, data_format=data_format, name=name)
        channels = 1 if data_format is not None and data_format.startswith("NC") else len(value.shape) - 1
        others = [axis for axis in range(len(value.shape)) if axis != channels]

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def add(value: Any, bias: Any) -> Any:
            added = original(value, bias, data_format=data_format, name=name)
            return added, lambda gradient: (gradient, tf.reduce_sum(gradient, others))

        return add(value, bias)

    with replaced(tf.nn, bias_add=bias_add):
        yield
