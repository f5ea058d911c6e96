"""Every component that ships, with `Fit` and with `Resident`: the same weights, but for rounding."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np
import pytest
from zoo_keras.fit import Fit
from zoo_keras.resident import Resident

import zoo
from tests.support.small_recipe import make_registry
from zoo import ArrayExamples, TrainingConfig
from zoo.training.learning import learning_of

pytestmark = pytest.mark.slow

REGISTRY = make_registry()
KINDS = ("optimizer", "schedule", "loss", "augmentation")
COMPONENTS = [
    (kind, found.qualified_name) for kind in KINDS for found in REGISTRY.catalogs[kind] if found.plugin == "keras"
]
RANDOM = np.random.default_rng(0)
TRAIN = ArrayExamples(RANDOM.integers(0, 256, (50, 16, 16, 3), np.uint8), RANDOM.integers(0, 10, 50))


def trained(trainer: Fit | Resident, choices: dict[str, Any]) -> list[Any]:
    """Return the weights after two epochs."""
    settings = {"schedule.milestones": (1,)} if choices.get("schedule") == "keras/step" else {}
    recipe = zoo.prepare("small", epochs=2, batch_size=16, settings=settings, registry=REGISTRY, **choices).recipe
    config = TrainingConfig(epochs=2, batch_size=16, seed=3, learning=learning_of(recipe))
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    training = trainer.start(model, TRAIN, config)
    for epoch in range(2):
        training.run_epoch(epoch, lambda *_: None)
    return [np.array(weight.value) for weight in model.weights]


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_trainers_agree_with_every_component(kind: str, name: str) -> None:
    choices = {"augmentations": [name]} if kind == "augmentation" else {kind: name}
    for one, other in zip(*(trained(kind_(), choices) for kind_ in (Fit, Resident)), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {"clip_norm": 0.1}, {"accumulation_steps": 2}, {"average_momentum": 0.9}, {"decay_exempt": "bias"},
        {"class_weights": "balanced"}, {"freeze": ("conv2d",)}, {"head_epochs": 1}, {"layer_decay": 0.5},
    ],
    ids=lambda settings: next(iter(settings)),
)  # fmt: skip
def test_trainers_agree_with_every_setting(settings: dict[str, Any]) -> None:
    for one, other in zip(*(trained(partial(kind, **settings)(), {}) for kind in (Fit, Resident)), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)
