"""One of two workers that train with `Model.fit` under TensorFlow's strategy: ``python -m tests.support.mirrored_fit``.

Its place among them is in TF_CONFIG, as TensorFlow has it.
"""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf


def main() -> None:
    """Train one epoch of two steps."""
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    with strategy.scope():
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(np.zeros((8, 4), np.float32), np.zeros(8, np.int32), batch_size=4, verbose=0)
    print("trained")


if __name__ == "__main__":
    main()
