"""What is timed after the imports: python -m tests.benchmarks.in_process NAME prints seconds as JSON."""

from __future__ import annotations

import gzip
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import zoo_fashion
from safetensors.numpy import load_file
from zoo_fashion.model import build

import zoo

HERE = Path(zoo_fashion.__file__).parent
BATCH = 500


def load_and_test() -> float:
    """Return the seconds of what `zoo test fashion-cnn` does."""
    started = time.perf_counter()
    tested = zoo.test("fashion-cnn")
    seconds = time.perf_counter() - started
    assert tested.test_metrics is not None
    assert tested.test_metrics.accuracy > 0.9
    return seconds


def bare_loop() -> float:
    """Return the seconds of the least that tells the same: read images and weights, predict, count."""
    started = time.perf_counter()
    images, labels = (
        np.frombuffer(gzip.decompress((HERE / "data" / f"t10k-{name}-ubyte.gz").read_bytes()), np.uint8, offset=offset)
        for name, offset in (("images-idx3", 16), ("labels-idx1", 8))
    )
    images = images.reshape(-1, 28, 28, 1)
    model = _bare_model()
    call = _compiled(model)
    predicted = [call(images[i : i + BATCH].astype("float32") / 255) for i in range(0, len(images), BATCH)]
    accuracy = (np.concatenate(predicted).argmax(axis=1) == labels).mean()
    seconds = time.perf_counter() - started
    assert accuracy > 0.9
    return seconds


def one_image(calls: int = 1000) -> dict[str, float]:
    """Return the median seconds of a call with one image: ours, from uint8, and the bare one, from float32."""
    image = np.random.default_rng(0).integers(0, 256, (1, 28, 28, 1)).astype(np.uint8)
    scaled = image.astype("float32") / 255
    loaded, bare = zoo.load("fashion-cnn"), _compiled(_bare_model())
    np.testing.assert_allclose(loaded.predict(image), bare(scaled), atol=1e-5)
    both: dict[str, Callable[[], Any]] = {"ours": lambda: loaded.predict(image), "theirs": lambda: bare(scaled)}
    seconds: dict[str, list[float]] = {name: [] for name in both}
    for _ in range(calls):
        for name, call in both.items():
            started = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(several) for name, several in seconds.items()}


def _bare_model() -> keras.Model:
    model = build((28, 28, 1), 10)
    arrays = load_file(HERE / "trained" / "fashion-cnn" / "model.safetensors")
    model.set_weights([arrays[name] for name in sorted(arrays)])
    return model


def _compiled(model: keras.Model) -> Callable[[Any], Any]:
    """Return a function that predicts, compiled by the backend."""
    if keras.backend.backend() == "jax":
        import jax

        values = [[v.value for v in several] for several in (model.trainable_variables, model.non_trainable_variables)]
        jitted = jax.jit(lambda values, images: model.stateless_call(*values, images, training=False)[0])
        return lambda images: np.asarray(jitted(values, images))
    import tensorflow as tf

    function = tf.function(lambda images: model(images, training=False))
    return lambda images: function(tf.constant(images)).numpy()


if __name__ == "__main__":
    print(json.dumps({f.__name__: f for f in (load_and_test, bare_loop, one_image)}[sys.argv[1]]()))
