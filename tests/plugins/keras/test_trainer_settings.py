"""The settings that the trainers share, which work with any optimizer and any loss."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import keras
import numpy as np
import pytest
from zoo_keras.fit import Fit
from zoo_keras.losses import cross_entropy, focal
from zoo_keras.optimizers import adam, adamw, lamb, lion, muon, sgd
from zoo_keras.resident import Resident
from zoo_keras.schedules import constant

from tests.support.golden import Golden
from zoo import ArrayExamples, Learning, Metrics, SettingError, TrainingConfig
from zoo.errors import ZooWarning

GRADIENT_DESCENT = Learning(optimizer=sgd, learning_rate=1.0, schedule=constant, loss=cross_entropy)
CONFIG = TrainingConfig(epochs=1, batch_size=8, seed=0, learning=GRADIENT_DESCENT)
DRAW = np.random.default_rng(0)
TRAIN = ArrayExamples(DRAW.integers(0, 256, (32, 4, 4, 1), dtype=np.uint8), np.arange(32) % 4 % 3)  # 16, 8, 8
TRAINERS = pytest.mark.parametrize("kind", [Fit, Resident])


def quietly(step: int, metrics: Metrics) -> None:
    """Watch nothing."""


def net() -> keras.Model:
    keras.utils.set_random_seed(0)
    layers = [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")]
    return keras.Sequential(layers)


def weights_after(trainer: Fit | Resident, config: TrainingConfig = CONFIG, train: ArrayExamples = TRAIN) -> list[Any]:
    """Return the weights after an epoch."""
    model = net()
    trainer.start(model, train, config).run_epoch(0, quietly)
    return [np.array(weight) for weight in model.get_weights()]


def moved(weights: list[Any]) -> float:
    """Return how far weights moved from where they start."""
    return float(np.sqrt(sum(((new - old) ** 2).sum() for new, old in zip(weights, net().get_weights(), strict=True))))


@TRAINERS
def test_gradients_are_scaled_down_to_the_maximum_norm(kind: type[Fit] | type[Resident]) -> None:
    one_step = replace(CONFIG, batch_size=32)
    assert moved(weights_after(kind(), one_step)) > 0.02
    assert moved(weights_after(kind(clip_norm=0.01), one_step)) == pytest.approx(0.01, rel=1e-3)


@TRAINERS
def test_steps_with_accumulated_gradients_are_one_step(kind: type[Fit] | type[Resident]) -> None:
    accumulated = weights_after(kind(accumulation_steps=4))
    at_once = weights_after(kind(), replace(CONFIG, batch_size=32))
    for one, other in zip(accumulated, at_once, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@TRAINERS
def test_averaged_weights_are_those_to_validate_and_training_goes_on_with_its_own(
    kind: type[Fit] | type[Resident],
) -> None:
    model = net()
    own, averages = [], []
    training = kind(average_momentum=0.5).start(model, TRAIN, replace(CONFIG, epochs=3, batch_size=32))
    for epoch in range(3):
        training.run_epoch(epoch, quietly)  # of one step
        own.append(model.get_weights()[0])
        with training.averaged():
            averages.append(model.get_weights()[0])
        np.testing.assert_array_equal(model.get_weights()[0], own[-1])
    # Keras starts the average at the first weights
    expected = own[0]
    for weights, found in zip(own, averages, strict=True):
        expected = 0.5 * expected + 0.5 * weights
        if weights is not own[0]:
            np.testing.assert_allclose(found, expected, atol=1e-6)
    plain = kind().start(other := net(), TRAIN, replace(CONFIG, epochs=3, batch_size=32))
    for epoch in range(3):
        plain.run_epoch(epoch, quietly)
    np.testing.assert_allclose(own[-1], other.get_weights()[0], atol=1e-6)
    with plain.averaged():
        np.testing.assert_array_equal(other.get_weights()[0], plain.state()["model.000"])


@TRAINERS
def test_training_with_averages_is_resumed_with_the_same_bits(kind: type[Fit] | type[Resident]) -> None:
    trainer = kind(average_momentum=0.9, accumulation_steps=3, clip_norm=1.0)  # 4 steps: an update is left half-done
    config = replace(CONFIG, epochs=3)
    whole, resumed = trainer.start(net(), TRAIN, config), trainer.start(net(), TRAIN, config)
    whole.run_epoch(0, quietly)
    resumed.restore(whole.state())
    assert whole.run_epoch(1, quietly) == resumed.run_epoch(1, quietly)
    for name, values in whole.state().items():
        np.testing.assert_array_equal(values, resumed.state()[name])


@TRAINERS
@pytest.mark.parametrize("optimizer", [adamw, partial(sgd, weight_decay=0.5), partial(muon, weight_decay=0.5)])
def test_exempt_weights_do_not_decay(kind: type[Fit] | type[Resident], optimizer: Any) -> None:
    config = replace(CONFIG, learning=replace(GRADIENT_DESCENT, optimizer=optimizer, learning_rate=0.5))

    def decayed(pattern: str) -> list[bool]:
        """Return whether the kernel and the bias decay in a step with gradients of 0."""
        model = net()
        model.set_weights([np.ones_like(weight) for weight in model.get_weights()])
        made = kind(decay_exempt=pattern).make_optimizer(config, model, 4)
        made.apply([keras.ops.zeros_like(weight) for weight in model.trainable_variables], model.trainable_variables)
        return [bool((weight < 1).all()) for weight in model.get_weights()]

    assert decayed("") == [True, True]
    assert decayed("bias|gamma") == [True, False]
    assert decayed("kernel|bias") == [False, False]


@TRAINERS
@pytest.mark.parametrize("loss", [cross_entropy, focal], ids=["cross-entropy", "focal"])
def test_classes_have_their_weights_in_the_loss(kind: type[Fit] | type[Resident], loss: Any) -> None:
    config = replace(CONFIG, learning=replace(GRADIENT_DESCENT, loss=loss))
    truth = np.eye(3, dtype=np.float32)[[0, 1, 2, 2]]
    predicted = np.array([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.2, 0.2, 0.6], [0.7, 0.1, 0.2]], np.float32)
    each = np.asarray([float(loss()(truth[i : i + 1], predicted[i : i + 1])) for i in range(4)])

    def weighted(weights: Any) -> float:
        return float(kind(class_weights=weights).make_loss(config, net(), TRAIN)(truth, predicted))

    assert weighted(None) == pytest.approx(each.mean(), rel=1e-5)
    assert weighted((1.0, 2.0, 0.0)) == pytest.approx((each * [1, 2, 0, 0]).mean(), rel=1e-5)
    # 32 images, three classes, of which one has 16 and two have 8
    assert weighted("balanced") == pytest.approx((each * [2 / 3, 4 / 3, 4 / 3, 4 / 3]).mean(), rel=1e-5)


def test_number_of_class_weights_is_checked(golden: Golden) -> None:
    with golden.raises(SettingError, name="trainer.class_weights", value=(1.0, 2.0)):
        Fit(class_weights=(1.0, 2.0)).start(net(), TRAIN, CONFIG)
    with golden.raises(SettingError, name="trainer.class_weights", value=(0.0, 0.0)):
        Fit(class_weights=(0.0, 0.0))


def test_pattern_of_exempt_weights_is_checked(golden: Golden) -> None:
    with golden.raises(SettingError, name="trainer.decay_exempt", value="bias|("):
        Resident(decay_exempt="bias|(")


@TRAINERS
def test_pattern_that_exempts_no_weight_is_told(kind: type[Fit] | type[Resident], golden: Golden) -> None:
    with pytest.warns(ZooWarning) as warned:
        weights_after(kind(decay_exempt="dense_1"))
    golden.says(str(warned[0].message))


@TRAINERS
def test_accumulation_that_never_updates_a_weight_is_refused(kind: type[Fit] | type[Resident], golden: Golden) -> None:
    assert moved(weights_after(kind(accumulation_steps=4))) > 0
    with golden.raises(SettingError, name="trainer.accumulation_steps", value=5):
        weights_after(kind(accumulation_steps=5))


def test_flip_tta_averages_an_image_and_its_mirror_image() -> None:
    model, images = net(), TRAIN.images
    expected = (Fit().predict(model, images) + Fit().predict(model, images[:, :, ::-1])) / 2
    np.testing.assert_allclose(Fit(flip_tta=True).predict(model, images), expected, atol=1e-6)


def test_without_learning_it_is_adam_on_cross_entropy() -> None:
    config = replace(CONFIG, learning=None)
    expected = replace(CONFIG, learning=replace(GRADIENT_DESCENT, optimizer=adam, learning_rate=1e-3))
    for one, other in zip(weights_after(Fit(), config), weights_after(Fit(), expected), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("optimizer", [sgd, adam, adamw, muon, lion, lamb])
def test_optimizer_has_the_rate_and_the_decay_it_is_given(optimizer: Any) -> None:
    made = optimizer(0.25, weight_decay=0.125)
    assert float(made.learning_rate) == 0.25
    assert made.weight_decay == 0.125
    assert optimizer(weight_decay=0.0).weight_decay in (None, 0.0)


def test_focal_loss_without_gamma_is_cross_entropy() -> None:
    truth, predicted = np.eye(3, dtype=np.float32), np.full((3, 3), 1 / 3, np.float32)
    assert float(focal(gamma=0.0)(truth, predicted)) == pytest.approx(float(cross_entropy()(truth, predicted)))
    assert float(focal(gamma=2.0)(truth, predicted)) == pytest.approx(np.log(3) * (2 / 3) ** 2, rel=1e-5)
