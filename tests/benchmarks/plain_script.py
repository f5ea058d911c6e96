"""What one would write without zoo: the reference run as a plain script on stock Keras.

Usage: python -m tests.benchmarks.plain_script FOLDER EPOCHS

It reads the files of Fashion-MNIST, trains with the best validation loss saved, loads that and tests it. With EPOCHS 0
it ends after the first step.
"""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers


class _EndAfterOneStep(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        os._exit(0)


def _read(name: str, offset: int) -> Any:
    import zoo_fashion

    path = Path(zoo_fashion.__file__).parent / "data" / name
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=offset)


def _load(part: str) -> Any:
    images = _read(f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1).astype("float32") / 255
    return images, keras.utils.to_categorical(_read(f"{part}-labels-idx1-ubyte.gz", 8), 10)


def main(folder: Path, epochs: int) -> None:
    """Train, save, load and test."""
    keras.utils.set_random_seed(0)
    (images, labels), (test_images, test_labels) = _load("train"), _load("t10k")
    model = keras.Sequential([keras.Input((28, 28, 1))])
    for width, rate in ((32, 0.25), (64, 0.25), (128, 0.4)):
        model.add(layers.Conv2D(width, 3, padding="same"))
        model.add(layers.LeakyReLU(negative_slope=0.1))
        model.add(layers.MaxPooling2D(2, padding="same"))
        model.add(layers.Dropout(rate))
    model.add(layers.Flatten())
    model.add(layers.Dense(128))
    model.add(layers.LeakyReLU(negative_slope=0.1))
    model.add(layers.Dropout(0.3))
    model.add(layers.Dense(10, activation="softmax"))
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    best = folder / "best.keras"
    keep = keras.callbacks.ModelCheckpoint(best, monitor="val_loss", save_best_only=True)
    model.fit(
        images[5000:],
        labels[5000:],
        batch_size=64,
        epochs=max(1, epochs),
        validation_data=(images[:5000], labels[:5000]),
        callbacks=[keep] if epochs else [_EndAfterOneStep()],
        verbose=0,
    )
    loss, accuracy = keras.saving.load_model(best).evaluate(test_images, test_labels, verbose=0)
    print(f"test loss {loss:.5f} accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
