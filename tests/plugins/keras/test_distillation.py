"""Distillation: a trained model predicts a part of each label."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from zoo_keras import KerasTrainer
from zoo_keras.distillation import Teacher, load_teacher
from zoo_keras.fit import Fit
from zoo_keras.resident import Resident

import zoo
from tests.support.golden import Golden
from tests.support.small_recipe import FashionSlice
from zoo import SettingError

CONFIG = zoo.TrainingConfig(epochs=1, batch_size=50, seed=0)
TRAIN = zoo.ArrayExamples(*FashionSlice().load(None).train[np.arange(150)])


def student() -> keras.Model:
    keras.utils.set_random_seed(0)
    layers = [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10, "softmax")]
    return keras.Sequential(layers)


def trained(trainer: KerasTrainer, train: zoo.ArrayExamples = TRAIN) -> list[np.ndarray]:
    model = student()
    trainer.start(model, train, CONFIG).run_epoch(0, lambda *_: None)
    return [np.array(weight) for weight in model.get_weights()]


def test_labels_are_mixed_with_the_predictions_for_the_images_of_the_step() -> None:
    model, images = student(), np.random.default_rng(0).random((4, 28, 28, 1), np.float32)
    layer, labels = Teacher(model, 0.75), np.eye(10, dtype=np.float32)[:4]
    assert np.array_equal(layer(images, training=True), images)
    mixed = np.asarray(layer.mix_labels(labels))
    np.testing.assert_allclose(mixed, 0.25 * labels + 0.75 * np.asarray(model(images)), atol=1e-6)
    layer(images, training=False)
    assert np.array_equal(layer.mix_labels(labels), labels)
    assert layer.weights == []


@pytest.mark.parametrize("kind", [Fit, Resident])
def test_student_learns_from_the_teacher_alone(kind: type[Fit] | type[Resident]) -> None:
    shuffled = zoo.ArrayExamples(TRAIN.images, TRAIN.labels[::-1].copy())
    taught = [trained(kind(teacher="fashion-cnn", teacher_weight=1.0), train) for train in (TRAIN, shuffled)]
    for one, other in zip(*taught, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)  # whatever the labels are
    alone = trained(kind())
    assert max(abs(one - other).max() for one, other in zip(taught[0], alone, strict=True)) > 1e-3


def test_both_trainers_agree() -> None:
    by_fit, resident = (trained(kind(teacher="fashion-cnn")) for kind in (Fit, Resident))
    for one, other in zip(by_fit, resident, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


def test_teacher_of_other_images_or_classes_is_refused(golden: Golden) -> None:
    with golden.raises(SettingError, name="trainer.teacher", value="fashion-cnn"):
        load_teacher("fashion-cnn", (28, 28, 1), 3)
