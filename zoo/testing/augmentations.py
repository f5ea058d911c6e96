"""Checks of augmentations."""

from __future__ import annotations

from zoo.models import weights
from zoo.recipes.components import default_component
from zoo.testing.common import SHAPES, Checks, Subject, noise, require, settings
from zoo.testing.training import trained
from zoo.training.learning import make_augmentation
from zoo.utils.plugin_errors import plugin_errors
from zoo.utils.text import close_names, did_you_mean

_BEYOND = 0.5  # how far an augmentation's values may be outside [0, 1], for example through noise
_MIXES = "mix_labels"  # the method of an augmentation's layer that also changes labels


def keeps_shapes(subject: Subject) -> None:
    """Require finite images of the same shape, type and range, unchanged outside of training."""
    import keras
    import numpy as np

    component = default_component(subject.registered)
    for shape in SHAPES:
        images = (noise(shape, 2, 8).images / 255).astype(np.float32)
        layer = make_augmentation(component, shape)
        with plugin_errors(component.title, "change images"):
            net = keras.Sequential([keras.Input(shape), layer])
            changed, same = (np.asarray(net(images, training=training)) for training in (True, False))
        require(
            changed.shape == images.shape and changed.dtype == images.dtype,
            f"{subject.title}: for images {images.shape} float32, it must return the same shape and type. "
            f"Received: {changed.shape} {changed.dtype}",
        )
        faulty = int((~np.isfinite(changed)).sum())
        require(
            not faulty,
            f"{subject.title}: it makes pixels NaN or infinite: check what it divides by, and its logarithms and "
            f"powers. Received: {faulty} of {changed.size} values are NaN or infinite",
        )
        low, high = float(changed.min()), float(changed.max())
        require(
            low >= -_BEYOND and high <= 1 + _BEYOND,
            f"{subject.title}: it must return images in [0, 1], or at most {_BEYOND} beyond: images are scaled to "
            f"[0, 1] before, so use no values up to 255. Received: values from {low:.3g} to {high:.3g}",
        )
        require(
            np.array_equal(same, images),
            f"{subject.title}: it changes images outside of training: return them unchanged unless training is True.",
        )


def has_methods_that_are_called(subject: Subject) -> None:
    """Require that no method of the layer has a name close to, but not, ``mix_labels``."""
    import keras

    layer = make_augmentation(default_component(subject.registered), SHAPES[0])
    if hasattr(layer, _MIXES):
        return
    own = sorted({*dir(type(layer))} - {*dir(keras.layers.Layer)})
    for name in own:
        close = close_names(name, [_MIXES], cutoff=0.85)
        require(
            not close,
            f"{subject.title}: its layer has a method {name!r}, which zoo does not call.{did_you_mean(close)} Rename "
            f"it. Received: method={name!r}",
        )


def trains_the_same_again(subject: Subject) -> None:
    """Require the same weights from two trainings with the same seed."""
    first, again = trained(subject), trained(subject, other_draws=True)
    require(
        weights.encode(first) == weights.encode(again),
        f"{subject.title}: two trainings with the same seed differ: draw random numbers with a "
        "keras.random.SeedGenerator of the layer, and with nothing else.",
    )


AUGMENTATION: Checks = {
    "settings have types and valid defaults": settings,
    "changes images only in training, and keeps their shape": keeps_shapes,
    "methods have the names that zoo calls": has_methods_that_are_called,
    "seed determines the result": trains_the_same_again,
}
"""The checks of an augmentation, by requirement."""
