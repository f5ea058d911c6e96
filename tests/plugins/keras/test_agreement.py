"""Every component that ships, with each trainer: the same weights as with `Fit`, but for rounding."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import keras
import numpy as np
import pytest
from zoo_keras import KerasTrainer
from zoo_keras.fit import Fit
from zoo_keras.resident import Resident

import zoo
from tests.support import ROOT
from tests.support.small_recipe import make_registry
from zoo import ArrayExamples, TrainingConfig
from zoo.training.learning import learning_of

pytestmark = pytest.mark.slow

REGISTRY = make_registry()
KINDS = ("optimizer", "schedule", "loss", "augmentation")
COMPONENTS = [
    (kind, found.qualified_name) for kind in KINDS for found in REGISTRY.catalogs[kind] if found.plugin == "keras"
]
SETTINGS: list[dict[str, Any]] = [
    {"clip_norm": 0.1}, {"accumulation_steps": 2}, {"average_momentum": 0.9}, {"decay_exempt": "bias"},
    {"class_weights": "balanced"}, {"freeze": ("conv2d",)}, {"head_epochs": 1}, {"layer_decay": 0.5},
]  # fmt: skip
RECIPE_SETTINGS: dict[str, dict[str, Any]] = {
    "keras/step": {"schedule.milestones": (1,)},
    "keras/adamw": {"optimizer.weight_decay": 10.0},
}
TOLERANCE = 2e-5
RANDOM = np.random.default_rng(0)
TRAIN = ArrayExamples(RANDOM.integers(0, 256, (50, 16, 16, 3), np.uint8), RANDOM.integers(0, 10, 50))


def build() -> keras.Model:
    """Return a small network with the same weights each time."""
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(4, 3, activation="relu", name="conv2d"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(10, activation="softmax", name="dense"),
        ]
    )


def config_for(kind: str = "", name: str = "") -> TrainingConfig:
    """Return how to train, with a component."""
    choices: dict[str, Any] = {"augmentations": [name]} if kind == "augmentation" else {kind: name} if kind else {}
    recipe = zoo.prepare(
        "small", epochs=2, batch_size=16, settings=RECIPE_SETTINGS.get(name, {}), registry=REGISTRY, **choices
    ).recipe
    return TrainingConfig(epochs=2, batch_size=16, seed=3, build=build, learning=learning_of(recipe))


def trained(trainer: KerasTrainer, config: TrainingConfig) -> list[Any]:
    """Return the weights after two epochs, or their averages if these are kept."""
    model = build()
    training = trainer.start(model, TRAIN, config)
    for epoch in range(2):
        training.run_epoch(epoch, lambda *_: None)
    with training.averaged():
        weights = [np.array(weight.value) for weight in model.weights]
    training.close()
    return weights


@cache
def trained_by_fit(kind: str = "", name: str = "", **settings: Any) -> list[Any]:
    """Return what every other trainer is compared with."""
    return trained(Fit(**settings), config_for(kind, name))


def assert_agree(ours: list[Any], theirs: list[Any]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, atol=TOLERANCE)


def name_of(settings: dict[str, Any]) -> str:
    return next(iter(settings))


def base_of(settings: dict[str, Any]) -> tuple[str, ...]:
    """Return the component with which settings make a difference: most do with any."""
    return ("optimizer", "keras/adamw") if "decay_exempt" in settings else ()


@pytest.mark.parametrize("settings", SETTINGS, ids=name_of)
def test_setting_makes_a_difference(settings: dict[str, Any]) -> None:
    changed, base = trained_by_fit(*base_of(settings), **settings), trained_by_fit(*base_of(settings))
    assert max(abs(one - other).max() for one, other in zip(changed, base, strict=True)) > 10 * TOLERANCE


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_component_makes_a_difference(kind: str, name: str) -> None:
    if name in ("keras/adam", "keras/constant", "keras/cross-entropy"):  # those of the recipe
        assert_agree(trained_by_fit(kind, name), trained_by_fit())
        return
    changed, base = trained_by_fit(kind, name), trained_by_fit()
    assert max(abs(one - other).max() for one, other in zip(changed, base, strict=True)) > 10 * TOLERANCE


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_resident_agrees_with_every_component(kind: str, name: str) -> None:
    assert_agree(trained(Resident(), config_for(kind, name)), trained_by_fit(kind, name))


@pytest.mark.parametrize("settings", SETTINGS, ids=name_of)
def test_resident_agrees_with_every_setting(settings: dict[str, Any]) -> None:
    assert_agree(
        trained(Resident(**settings), config_for(*base_of(settings))), trained_by_fit(*base_of(settings), **settings)
    )


@pytest.fixture
def ray_trainer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., KerasTrainer]:
    """Return the class of trainer ray, whose workers are threads here."""
    from zoo_ray.trainer import RayTrainer  # which JAX cannot use

    from tests.support.ray_in_process import InProcessEngine

    monkeypatch.setattr("zoo_ray.trainer.Engine", InProcessEngine)
    return RayTrainer


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_ray_agrees_with_every_component(ray_trainer: Callable[..., KerasTrainer], kind: str, name: str) -> None:
    workers = 1 if kind == "augmentation" else 2  # two draw random numbers of their own
    assert_agree(trained(ray_trainer(workers=workers), config_for(kind, name)), trained_by_fit(kind, name))


@pytest.mark.parametrize("settings", SETTINGS, ids=name_of)
def test_ray_agrees_with_every_setting(ray_trainer: Callable[..., KerasTrainer], settings: dict[str, Any]) -> None:
    assert_agree(
        trained(ray_trainer(**settings), config_for(*base_of(settings))), trained_by_fit(*base_of(settings), **settings)
    )


def test_two_workers_augment_as_each_does_alone() -> None:
    from zoo_ray.job import TrainingJob
    from zoo_ray.steps import SharedSteps
    from zoo_ray.trainer import RayTrainer

    from tests.support.ray_in_process import Together, make_workers, run_steps

    recipe = zoo.prepare(
        "small",
        optimizer="sgd",
        augmentations=["flip", "erase", "color", "mixup"],
        settings={"optimizer.momentum": 0.0},  # so that a step is linear in the gradients
        registry=REGISTRY,
    ).recipe
    batch = np.tile(np.arange(17), 2)  # the same images for both
    config = TrainingConfig(epochs=2, batch_size=len(batch), seed=3, build=build, learning=learning_of(recipe))
    job = TrainingJob(trainer=RayTrainer(), config=config, build=build, folder="/")
    workers = make_workers(job, TRAIN)
    state = workers[0].state()
    ended, _ = run_steps(workers, [batch])
    weights = [name for name in state if name.startswith("model.")]
    steps: list[dict[str, Any]] = []
    for rank, part in enumerate(np.array_split(batch, 2)):
        alone: Any = Together(1)
        worker = SharedSteps(alone, job, TRAIN, rank, 2)
        worker.restore(state)
        found, _ = run_steps([worker], [np.r_[part, part]])  # of which it takes a half, and its gradients count half
        steps.append({name: 2 * (found[name] - state[name]) * len(part) / len(batch) for name in weights})
    for name in weights:
        np.testing.assert_allclose(ended[name], state[name] + steps[0][name] + steps[1][name], atol=2e-5)
        assert (steps[0][name] != steps[1][name]).any()


@pytest.mark.full
def test_resident_agrees_on_jax() -> None:
    """Every component and setting again, in a process that computes with JAX."""
    environ = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "XLA_FLAGS": "--xla_backend_optimization_level=0",  # what is compiled is not made as fast as it can be
    }
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-m", "slow and not full", "-k", "resident_agrees_with"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", __file__],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert f"{len(COMPONENTS) + len(SETTINGS)} passed" in done.stdout
