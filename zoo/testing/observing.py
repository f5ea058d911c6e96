"""Checks of what observes a training: metrics and callbacks."""

from __future__ import annotations

import tempfile
from pathlib import Path

from zoo.errors import ZooError
from zoo.interfaces import RunContext, Split, TrainingConfig
from zoo.recipes import resolution
from zoo.recipes.components import default_component
from zoo.testing.common import RECIPE, SHAPE, Checks, Subject, noise, require, settings, small_model, trainer
from zoo.training.callback_calls import check_callback, make_callback
from zoo.training.callbacks import CallbackList
from zoo.training.loop import train
from zoo.training.metrics import compute_metrics


def measures(subject: Subject) -> None:
    """Require a finite number that is better for perfect predictions than for wrong ones."""
    import numpy as np

    metric = default_component(subject.registered)
    labels = np.arange(30) % 10
    perfect = 0.91 * np.eye(10)[labels] + 0.01
    perfect /= perfect.sum(axis=1, keepdims=True)
    good, bad = (
        compute_metrics(predicted, labels, [metric]).others[metric.name]
        for predicted in (perfect, np.roll(perfect, 5, axis=1))
    )
    require(
        good > bad if metric.mode == "max" else good < bad,
        f"{subject.title}: perfect predictions have {good:.4g} and wrong ones {bad:.4g}, but its entry says "
        f"mode={metric.mode!r}: set mode='{'min' if metric.mode == 'max' else 'max'}' or correct the metric.",
    )


def attaches(subject: Subject) -> None:
    """Require a Keras callback that runs for an epoch and can be resumed, unless its ``check`` says what to install."""
    component = default_component(subject.registered)
    try:
        check_callback(component.title, component.target)
    except ZooError as error:
        if error.__cause__ is not None:  # its code failed
            raise
        return  # the message says what to install
    examples = noise(SHAPE, 3)
    split = Split(train=examples, validation=examples, test=examples, class_names=("a", "b", "c"))
    with tempfile.TemporaryDirectory() as folder:
        context = RunContext(
            path=Path(folder),
            recipe="check",
            settings=resolution.resolve(subject.registry, RECIPE, {}).settings(),
            class_names=split.class_names,
            id="check",
        )
        callback = make_callback(component, context)
        config = TrainingConfig(epochs=1, batch_size=16, seed=0)
        model, callbacks = small_model(), {component.qualified_name: callback}
        train(trainer(subject.registry), model, split, config, callbacks=callbacks)
        several = CallbackList(callbacks, model)
        several.restore(several.state())


_SETTINGS = {"settings have types and valid defaults": settings}

METRIC: Checks = {**_SETTINGS, "is better for better predictions": measures}
"""The checks of a metric, by requirement."""

CALLBACK: Checks = {**_SETTINGS, "returns a Keras callback that runs and resumes, or says what to install": attaches}
"""The checks of a callback, by requirement."""
