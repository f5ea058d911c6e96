"""Prepares Keras models for converters: the result has a name, and constants are in the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

INPUT = "images"
"""Name of the input of an exported file."""

OUTPUT = "probabilities"
"""Name of its output."""


def with_named_output(model: keras.Model) -> keras.Model:
    """Return a model whose result is called `OUTPUT`."""
    import keras

    return keras.Model(model.inputs, {OUTPUT: model.outputs[0]})


def frozen(model: keras.Model) -> keras.Model:
    """Return a model that computes the same, with weights and other tensors as constants of its graph.

    TensorFlow passes tensors that a layer keeps, such as the mean of Keras's ``Normalization``, to the graph as further
    inputs, and tf2onnx makes them inputs of the file.
    """
    import keras
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    signature = tf.TensorSpec(model.input_shape, tf.uint8, name=INPUT)
    function = tf.function(lambda images: model(images, training=False), autograph=False)
    constant = convert_variables_to_constants_v2(
        function.get_concrete_function(signature), lower_control_flow=False, aggressive_inlining=True
    )

    class Frozen(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
        """Calls the graph."""

        def call(self, images: Any) -> Any:
            return constant(images)[0]

    images = keras.Input(model.input_shape[1:], dtype="uint8", name=INPUT)
    return keras.Model(images, Frozen(dtype="float32", autocast=False)(images))
