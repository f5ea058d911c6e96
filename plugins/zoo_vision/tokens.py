"""The class token and the position embeddings."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("zoo_vision")
class ClassTokenAndPositions(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """Prepends a learned class token to the patch tokens, and adds a learned embedding of each position."""

    def build(self, input_shape: tuple[int | None, int, int]) -> None:
        """Create the variables for tokens ``(batch, patches, width)``."""
        _, patches, width = input_shape
        self.class_token = self.add_weight(name="class_token", shape=(1, 1, width), initializer="zeros")
        self.positions = self.add_weight(
            name="positions", shape=(1, patches + 1, width), initializer=keras.initializers.RandomNormal(stddev=0.02)
        )

    def call(self, tokens: Any) -> Any:
        """Return tokens ``(batch, 1 + patches, width)``."""
        first = ops.repeat(ops.convert_to_tensor(self.class_token), ops.shape(tokens)[0], axis=0)
        return ops.concatenate([first, tokens], axis=1) + self.positions

    def compute_output_shape(self, input_shape: tuple[int | None, int, int]) -> tuple[int | None, int, int]:
        """Return the shape of the patch tokens with one more token."""
        batch, patches, width = input_shape
        return batch, patches + 1, width
