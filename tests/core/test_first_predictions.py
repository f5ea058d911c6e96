"""A model that predicts no probabilities is told before training, with its name, and the look changes no bit."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops
from numpy.typing import NDArray
from zoo_keras.fit import Fit

import zoo
from tests.support.command_line import Zoo
from tests.support.golden import Golden
from zoo import Entry, PluginError, Registry
from zoo.recipes.components import default_component
from zoo.training.first_predictions import check_first_predictions
from zoo.training.trainer import make_trainer

SHORT: dict[str, Any] = {"epochs": 1, "settings": {"dataset.train": 120, "dataset.test": 40, "validation": 40}}


class Noise(layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """Noise, not only in training, and a count of its calls."""

    def build(self, input_shape: tuple[int, ...]) -> None:
        self.generator = keras.random.SeedGenerator(1)
        self.calls = self.add_weight(name="calls", shape=(), initializer="zeros", trainable=False)

    def call(self, inputs: Any) -> Any:
        self.calls.assign_add(1.0)
        random.random()  # what a layer must not do, and may
        np.random.random()
        return inputs + 0.01 * keras.random.normal(ops.shape(inputs), seed=self.generator)


ENDS: dict[str, Callable[[Any, int], Any]] = {
    "logits": lambda features, classes: layers.Dense(classes)(features) + 1.0,
    "sigmoid": lambda features, classes: layers.Dense(classes, "sigmoid", bias_initializer="ones")(features),
    "NaN": lambda features, classes: layers.Softmax()(layers.Dense(classes, bias_initializer="ones")(features) / 0.0),
}


def builder(end: Callable[[Any, int], Any]) -> Callable[..., keras.Model]:
    def build(input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
        images = keras.Input(input_shape)
        return keras.Model(images, end(layers.Flatten()(images), num_classes))

    return build


class Listener:
    """Progress that counts the epochs that start."""

    epochs = 0

    def epoch_started(self, epoch: int, epochs: int, steps: int) -> None:
        self.epochs += 1


@pytest.mark.parametrize("trainer", ["fit", "resident", pytest.param("ray", marks=pytest.mark.slow)])
@pytest.mark.parametrize("end", ENDS)
def test_model_that_predicts_no_probabilities_is_told_before_the_first_epoch(
    registry: Registry, golden: Golden, tmp_path: Path, trainer: str, end: str
) -> None:
    registry.models.add(Entry(name="wrong", target=builder(ENDS[end]), summary="Wrong."))
    listener = Listener()
    with pytest.raises(PluginError) as raised:
        zoo.run(
            "small", model="wrong", trainer=trainer, out=tmp_path / "run", registry=registry, progress=listener, **SHORT
        )
    assert raised.value.plugin == "local"
    golden.says(re.sub(r"\[.*\]", "<predicted>", str(raised.value)))
    assert listener.epochs == 0
    assert not (tmp_path / "run").exists()


def test_model_that_predicts_no_probabilities_is_named_on_the_command_line(
    registry: Registry, run_zoo: Zoo, tmp_path: Path
) -> None:
    registry.models.add(Entry(name="wrong", target=builder(ENDS["logits"]), summary="Wrong."))
    told = run_zoo("run", "small", "--model", "wrong", "--out", tmp_path / "run")
    assert (told.status, told.out) == (1, "")
    (line,) = [line for line in told.err.splitlines() if line.startswith("Error: ")]
    assert "local/wrong" in line
    assert "epoch" not in told.err


class Softened(Fit):
    """A trainer that turns what a model returns into probabilities."""

    def predict(self, model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
        return np.asarray(ops.softmax(super().predict(model, images)))


def test_trainer_may_turn_what_a_model_returns_into_probabilities(registry: Registry, tmp_path: Path) -> None:
    registry.models.add(Entry(name="logits", target=builder(ENDS["logits"]), summary="Returns logits."))
    registry.trainers.add(Entry(name="softened", target=Softened, summary="Ends with a softmax."))
    run = zoo.run("small", model="logits", trainer="softened", out=tmp_path / "run", registry=registry, **SHORT)
    assert run.record.status == "tested"


def noisy(input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Build a network with everything that a prediction may change."""
    images = keras.Input(input_shape)
    features = layers.BatchNormalization()(layers.Conv2D(4, 3, strides=2)(Noise()(images)))
    return keras.Model(images, layers.Dense(num_classes, "softmax")(layers.Dropout(0.5)(layers.Flatten()(features))))


@pytest.mark.slow
@pytest.mark.parametrize("trainer", ["fit", "resident"])
@pytest.mark.parametrize("model", ["fashion-cnn", "noisy"])
def test_look_changes_no_bit_of_the_training(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trainer: str, model: str
) -> None:
    registry.models.add(Entry(name="noisy", target=noisy, summary="Random."))
    settings = {**SHORT, "settings": {**SHORT["settings"], "dataset.train": 160}}

    def digest(name: str) -> str | None:
        run = zoo.train("small", model=model, trainer=trainer, out=tmp_path / name, registry=registry, **settings)
        return run.record.model_sha256

    looked = digest("looked")
    monkeypatch.setattr("zoo.pipeline.train.check_first_predictions", lambda *_: None)
    assert digest("not looked") == looked


@pytest.mark.parametrize("is_asked", [False, True], ids=["the model is called", "the trainer is asked"])
def test_look_changes_neither_variables_nor_random_states(registry: Registry, is_asked: bool) -> None:
    def build(input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
        model = noisy(input_shape, num_classes)
        return keras.Model(model.inputs, ops.log(model.outputs[0])) if is_asked else model

    registry.models.add(Entry(name="noisy", target=build, summary="Random."))
    registry.trainers.add(Entry(name="softened", target=Softened, summary="Ends with a softmax."))
    component = default_component(registry.models.get("noisy"))
    trainer = make_trainer(default_component(registry.trainers.get("softened" if is_asked else "fit")))
    model = component.make((28, 28, 1), 10)
    train = zoo.ArrayExamples(np.arange(8 * 784, dtype=np.uint8).reshape(8, 28, 28, 1), np.arange(8) % 10)

    def state() -> list[Any]:
        variables = [np.array(variable).tolist() for variable in model.variables]
        return [variables, random.getstate(), np.random.get_state()[1].tolist()]  # type: ignore[index]  # the legacy state is a tuple

    before = state()
    check_first_predictions(trainer, model, train, 10, component)
    assert state() == before
