"""Random changes to images, ours beside Keras's layer, a batch at a time, compiled by TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from zoo_fashion.dataset import FashionMnist
from zoo_keras.augmentations import (
    augmix,
    blur,
    color,
    crop,
    cutmix,
    cutout,
    erase,
    flip,
    mixup,
    noise,
    randaugment,
    rotation,
    shift,
)

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

BATCH = 256
SHAPE = (28, 28, 3)
LAYERS: dict[str, Callable[[], keras.layers.Layer]] = {
    "shift": lambda: shift(SHAPE, pixels=1),
    "flip": lambda: flip(SHAPE),
    "erase, ours": lambda: erase(SHAPE, share=0.3),
    "erase, RandomErasing": lambda: layers.RandomErasing((0.3, 0.3), (0.02, 0.33), value_range=(0, 1)),
    "cutmix, ours": lambda: cutmix(SHAPE, share=1.0),
    "cutmix, keras.layers.CutMix": layers.CutMix,
    "mixup, ours": lambda: mixup(SHAPE),
    "mixup, keras.layers.MixUp": layers.MixUp,
    "crop": lambda: crop(SHAPE),
    "cutout": lambda: cutout(SHAPE),
    "noise": lambda: noise(SHAPE),
    "rotation": lambda: rotation(SHAPE),
    "blur, ours": lambda: blur(SHAPE, share=1.0),
    "blur, keras.layers.RandomGaussianBlur": lambda: layers.RandomGaussianBlur(1.0, value_range=(0, 1)),
    "randaugment, ours": lambda: randaugment(SHAPE),
    "randaugment, keras.layers.RandAugment": lambda: layers.RandAugment((0, 1)),
    "augmix, ours": lambda: augmix(SHAPE),
    "augmix, keras.layers.AugMix": lambda: layers.AugMix((0, 1)),
    "color, ours": lambda: color(SHAPE),
    "color, keras.layers.RandomColorJitter": lambda: layers.RandomColorJitter((0, 1), 0.2, 0.2, 0.2, 0.05),
}


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_augment_a_batch(benchmark: BenchmarkFixture, make: Callable[[], keras.layers.Layer]) -> None:
    """Change 256 images of Fashion-MNIST, in three channels."""
    grayscale = FashionMnist().load(None).train[np.arange(BATCH)][0]
    images = tf.constant(np.repeat(grayscale, 3, axis=-1).astype("float32") / 255)
    layer = make()
    layer(images, training=True)  # makes its variables
    change: Callable[[Any], Any] = tf.function(lambda images: layer(images, training=True))
    changed = benchmark.pedantic(lambda: change(images).numpy(), rounds=50, warmup_rounds=5)
    assert changed.shape == images.shape
    assert (changed != images.numpy()).any()
