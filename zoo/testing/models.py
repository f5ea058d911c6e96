"""Checks of models."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import CheckFailedError, SettingError
from zoo.interfaces import TrainingConfig
from zoo.models import weights
from zoo.registry.catalog import resolve
from zoo.testing.common import (
    CLASSES,
    LARGE_SHAPES,
    SHAPES,
    Checks,
    Subject,
    ignore_step,
    learning,
    model,
    noise,
    require,
    settings,
    trainer,
)
from zoo.testing.process import digest, files_of, in_new_process
from zoo.training.metrics import evaluate

if TYPE_CHECKING:
    from collections.abc import Callable

_LEARNING_RATES = (1e-3, 1e-4, 1e-2, 1e-5)

Shapes = tuple[tuple[int, int, int], ...]


def of_images(check: Callable[[Subject, Shapes], None]) -> Callable[[Subject], None]:
    """Return a check for images of `SHAPES`, or of `LARGE_SHAPES` if the model refuses small ones."""

    @functools.wraps(check)
    def checked(subject: Subject) -> None:
        try:
            check(subject, SHAPES)
        except SettingError as error:
            if error.name != "dataset.size":
                raise
            check(subject, LARGE_SHAPES)

    return checked


@of_images
def builds(subject: Subject, shapes: Shapes) -> None:
    """Require finite probabilities for all image sizes and class counts."""
    import numpy as np

    predictor = trainer(subject.registry)
    for shape in shapes:
        for classes in CLASSES:
            built = model(subject.registered, shape, classes)
            predicted = np.asarray(predictor.predict(built, noise(shape, classes, 3).images), np.float64)
            what = f"{subject.title}: for images {shape} and {classes} classes"
            require(
                predicted.shape == (3, classes),
                f"{what}, its predictions have the wrong shape: return one probability "
                f"per class for each image. Received: shape={predicted.shape} for 3 images",
            )
            require(
                np.isfinite(predicted).all(), f"{what}, it predicts NaN or infinity: check its layers and initializers."
            )
            require(
                (predicted >= 0).all() and np.allclose(predicted.sum(axis=1), 1, atol=1e-2),
                f"{what}, its predictions are not probabilities: end the model with a softmax.",
            )


def has_its_parameters(subject: Subject) -> None:
    """Require the number of weights that the entry declares."""
    counted = int(model(subject.registered, SHAPES[0], CLASSES[-1]).count_params())
    declared = subject.registered.item.parameters
    require(
        declared == counted,
        f"{subject.title}: the number of weights in its entry differs from that of the model for images {SHAPES[0]} "
        f"and {CLASSES[-1]} classes: set parameters={counted} in the entry, or omit it. "
        f"Received: parameters={declared!r}",
    )


@of_images
def same_weights(subject: Subject, shapes: Shapes) -> None:
    """Require the same initial weights for the same seed."""
    first, again = (weights.encode(model(subject.registered, shapes[0], 10)) for _ in range(2))
    require(
        first == again,
        f"{subject.title}: built twice after keras.utils.set_random_seed(0), its weights differ: create "
        "initial values only with Keras initializers.",
    )


@of_images
def learns(subject: Subject, shapes: Shapes) -> None:
    """Require that two steps on one batch lower its loss, with dropout on or off, at one of the learning rates."""
    examples = noise(shapes[0], 10)
    losses: list[list[float]] = []
    for learning_rate in _LEARNING_RATES:
        built = model(subject.registered, shapes[0], 10)
        fit, how = trainer(subject.registry), learning(subject.registry, learning_rate)
        started = fit.start(built, examples, TrainingConfig(epochs=3, batch_size=len(examples), seed=0, learning=how))
        still = [evaluate(fit, built, examples, 10).metrics.loss]
        moving = [started.run_epoch(epoch, ignore_step).loss for epoch in range(2)]
        still.append(evaluate(fit, built, examples, 10).metrics.loss)
        if moving[-1] < moving[0] or still[-1] < still[0]:
            return
        losses.append(still)
    raise CheckFailedError(
        f"{subject.title}: two steps on one batch do not lower its loss at any learning rate: check that "
        f"gradients reach the weights. Received: losses={losses}"
    )


def has_names_of_weights(subject: Subject) -> None:
    """Require that the entry's ``weight_names`` is a function that takes any name."""
    found = resolve(subject.registered, "weight_names")("no.such.layer")
    require(
        found is None or isinstance(found, str),
        f"{subject.title}: weight_names must return the name of a layer, or None for a layer that it does not know. "
        f"Received: {found!r:.100} for 'no.such.layer'",
    )


@of_images
def predicts_the_same_after_loading(subject: Subject, shapes: Shapes) -> None:
    """Require bit-identical predictions when the saved weights are loaded in a new process."""
    import numpy as np

    shape, classes = shapes[1], 10
    built = model(subject.registered, shape, classes)
    generator = np.random.default_rng(1)
    for weight in built.weights:  # including those that only training changes, such as batch-norm statistics
        if "float" in str(weight.dtype):
            weight.assign(np.asarray(weight) + generator.uniform(0, 0.01, size=weight.shape))
    images = noise(shape, classes, 8).images
    here = digest(trainer(subject.registry).predict(built, images))
    with tempfile.TemporaryDirectory() as folder:
        artifact = Path(folder, "model.safetensors")
        artifact.write_bytes(weights.encode(built))
        there = in_new_process(
            "predict",
            {
                "files": files_of(subject),
                "model": subject.registered.qualified_name,
                "shape": shape,
                "classes": classes,
                "artifact": str(artifact),
            },
        )
    require(
        there == here,
        f"{subject.title}: saved and loaded in a new process, it gives different predictions: keep all of its state "
        "in Keras variables, and do not let random values or automatic names affect how it is built.",
    )


MODEL: Checks = {
    "settings have types and valid defaults": settings,
    "builds for any image size": builds,
    "parameter count matches the entry": has_its_parameters,
    "names of weights are those of layers": has_names_of_weights,
    "same seed gives the same initial weights": same_weights,
    "learns": learns,
    "predicts bit-identically after loading in a new process": predicts_the_same_after_loading,
}
"""The checks of a model, by requirement."""
