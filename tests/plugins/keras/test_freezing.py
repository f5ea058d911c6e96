"""Frozen layers, a head that is trained first, and rates that fall towards the input: the trainers' settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
from zoo_keras.fit import Fit
from zoo_keras.losses import cross_entropy
from zoo_keras.optimizers import adam, muon, sgd
from zoo_keras.resident import Resident
from zoo_keras.schedules import constant, one_cycle

from tests.support.golden import Golden
from zoo import ArrayExamples, Learning, SettingError, Split, TrainingConfig
from zoo.models import head_of, named_layers
from zoo.training import loop

TRAINERS = pytest.mark.parametrize("kind", [Fit, Resident])
RANDOM = np.random.default_rng(0)
TRAIN = ArrayExamples(RANDOM.integers(0, 256, (50, 6, 6, 1), np.uint8), RANDOM.integers(0, 3, 50))
LEARNING = Learning(optimizer=adam, learning_rate=0.01, schedule=constant, loss=cross_entropy)
CONFIG = TrainingConfig(epochs=3, batch_size=16, seed=1, learning=LEARNING)


def net(dropout: float = 0.2) -> keras.Model:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inner = keras.Sequential([keras.Input((6, 6, 1)), layers.Conv2D(3, 3), layers.BatchNormalization()], name="stem")
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            inner,
            layers.Conv2D(4, 3, name="body"),
            layers.Dropout(dropout),
            layers.Flatten(),
            layers.Dense(5),
            layers.Dense(3, "softmax"),
        ]
    )


def values(model: keras.Model) -> dict[str, list[np.ndarray[Any, Any]]]:
    return {name: [np.array(w.value) for w in layer.weights] for name, layer in named_layers(model).items()}


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    """Return the names of the layers of which any weight has changed."""
    return {
        name for name, arrays in before.items() if any((a != b).any() for a, b in zip(arrays, after[name], strict=True))
    }


def test_layers_are_named_within_the_model_whatever_the_process_built_before() -> None:
    for _ in range(2):
        model = net()
        assert list(named_layers(model)) == ["stem/conv2d", "stem/batch_normalization", "body", "dense", "dense_1"]
        assert head_of(model) == "dense_1"


@TRAINERS
@pytest.mark.parametrize(
    ("patterns", "trained"),
    [
        (("stem/*",), {"body", "dense", "dense_1"}),
        (("*norm*", "body"), {"stem/conv2d", "dense", "dense_1"}),
        (("all-but-head",), {"dense_1"}),
        ((), {"stem/conv2d", "stem/batch_normalization", "body", "dense", "dense_1"}),
    ],
)
def test_frozen_layers_keep_weights_and_statistics(
    kind: type[Fit] | type[Resident], patterns: tuple[str, ...], trained: set[str]
) -> None:
    model = net()
    before = values(model)
    kind(freeze=patterns).start(model, TRAIN, CONFIG).run_epoch(0, lambda *_: None)
    assert changed(before, values(model)) == trained


@TRAINERS
def test_what_freezes_nothing_or_everything_is_refused(kind: type[Fit] | type[Resident], golden: Golden) -> None:
    with golden.raises(SettingError, name="trainer.freeze", value=("stem",)):
        kind(freeze=("stem",)).start(net(), TRAIN, CONFIG)
    with golden.raises(SettingError, name="trainer.freeze", value=("*",)):
        kind(freeze=("*",)).start(net(), TRAIN, CONFIG)
    with golden.raises(SettingError, name="trainer.head_epochs", value=3):
        kind(head_epochs=3).start(net(), TRAIN, CONFIG)


def run(
    kind: type[Fit] | type[Resident], epochs: range, state: Any = None, dropout: float = 0.2, **settings: Any
) -> tuple[Any, Any, Any]:
    model = net(dropout)
    learning = replace(LEARNING, schedule=one_cycle)
    training = kind(**settings).start(model, TRAIN, replace(CONFIG, learning=learning))
    if state is not None:
        training.restore(state)
    found = [values(model)]
    for epoch in epochs:
        training.run_epoch(epoch, lambda *_: None)
        found.append(values(model))
    return model, training, found


@TRAINERS
def test_head_is_trained_first_and_then_all_that_is_not_frozen(kind: type[Fit] | type[Resident]) -> None:
    settings: dict[str, Any] = {"head_epochs": 1, "freeze": ("body",), "average_momentum": 0.5}
    model, training, found = run(kind, range(3), **settings)
    assert changed(found[0], found[1]) == {"dense_1"}
    everything = {"stem/conv2d", "stem/batch_normalization", "dense", "dense_1"}
    assert changed(found[1], found[2]) == changed(found[2], found[3]) == everything
    assert int(model.optimizer.iterations) == 8  # of the second phase, two epochs of four steps
    assert float(model.optimizer.learning_rate) < 1e-4  # the end of its own schedule
    with training.averaged():
        assert changed(found[3], values(model)) == everything


@pytest.mark.slow
@TRAINERS
@pytest.mark.parametrize("done", [1, 2])
def test_both_phases_go_on_to_the_same_bits(kind: type[Fit] | type[Resident], done: int) -> None:
    _, whole, expected = run(kind, range(3), head_epochs=2, layer_decay=0.5)
    _, stopped, _ = run(kind, range(done), head_epochs=2, layer_decay=0.5)
    _, resumed, found = run(kind, range(done, 3), state=stopped.state(), head_epochs=2, layer_decay=0.5)
    assert changed(expected[-1], found[-1]) == set()
    for name, array in whole.state().items():
        np.testing.assert_array_equal(array, resumed.state()[name])


@pytest.mark.slow
def test_trainers_agree_in_both_phases() -> None:
    settings: dict[str, Any] = {"dropout": 0.0, "head_epochs": 1, "freeze": ("stem/*",), "layer_decay": 0.5}
    fit, resident = (run(kind, range(3), **settings)[2][-1] for kind in (Fit, Resident))
    for name, arrays in fit.items():
        for one, other in zip(arrays, resident[name], strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


@TRAINERS
@pytest.mark.parametrize("optimizer", [sgd, adam, muon])
def test_rate_falls_from_the_head_to_the_input(kind: type[Fit] | type[Resident], optimizer: Any) -> None:
    """Four levels, of the head, the other dense layer, the second convolution, the first with its normalization."""
    config = replace(CONFIG, learning=replace(LEARNING, optimizer=optimizer))

    def steps(decay: float) -> list[float]:
        model = net()
        before = values(model)
        made = kind(layer_decay=decay).make_optimizer(config, model, 4)
        gradients = [keras.ops.ones_like(weight) for weight in model.trainable_variables]
        made.apply(gradients, model.trainable_variables)
        return [
            float(np.abs(np.array(layer.weights[1].value) - before[name][1]).mean())  # of the bias, or beta
            for name, layer in named_layers(model).items()
        ]

    whole, scaled = steps(1.0), steps(0.5)
    ratios = [one / other for one, other in zip(scaled, whole, strict=True)]
    assert ratios == pytest.approx([0.125, 0.125, 0.25, 0.5, 1.0], rel=1e-3)


@TRAINERS
def test_levels_are_at_most_twelve(kind: type[Fit] | type[Resident]) -> None:
    deep = keras.Sequential([keras.Input((4,)), *(keras.layers.Dense(4, name=f"d{i}") for i in range(25))])
    config = replace(CONFIG, learning=replace(LEARNING, optimizer=sgd, learning_rate=1.0))
    made = kind(layer_decay=0.5).make_optimizer(config, deep, 4)
    before = values(deep)
    made.apply([keras.ops.ones_like(weight) for weight in deep.trainable_variables], deep.trainable_variables)
    sizes = {name: float((before[name][1] - after[1]).mean()) for name, after in values(deep).items()}
    levels = sorted({round(-np.log2(size)) for size in sizes.values()})
    assert levels == list(range(13))
    assert (sizes["d24"], sizes["d23"], sizes["d22"]) == (1.0, 0.5, 0.5)


@pytest.mark.slow
@TRAINERS
def test_callbacks_set_the_rate_of_the_phase_that_begins(kind: type[Fit] | type[Resident]) -> None:
    rates: list[float] = []
    model = net()

    class Noting(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            rates.append(round(float(model.optimizer.learning_rate), 6))

    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 0.001 * (epoch + 1))
    split = Split(train=TRAIN, test=TRAIN, validation=TRAIN, class_names=("a", "b", "c"))
    callbacks = {"x/schedule": schedule, "x/noting": Noting()}
    loop.train(kind(head_epochs=1), model, split, CONFIG, callbacks=callbacks)
    assert rates == [0.001, 0.002, 0.003]


@pytest.mark.slow
@TRAINERS
@pytest.mark.parametrize("epoch", [0, 1])
def test_either_phase_goes_on_within_an_epoch(kind: type[Fit] | type[Resident], epoch: int) -> None:
    settings: dict[str, Any] = {"head_epochs": 1, "average_momentum": 0.5}
    _, whole, expected = run(kind, range(epoch + 1), **settings)
    kept: list[Any] = []
    _, stopped, _ = run(kind, range(epoch), **settings)

    def keep(step: int, metrics: Any) -> None:
        if step == 1:
            kept.append(stopped.state())

    stopped.run_epoch(epoch, keep)
    model, resumed, _ = run(kind, range(0), state=kept[0], **settings)
    resumed.run_epoch(epoch, lambda *_: None, first_step=1)
    assert changed(expected[-1], values(model)) == set()
    for name, array in whole.state().items():
        np.testing.assert_array_equal(array, resumed.state()[name])
