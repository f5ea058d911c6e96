"""The trainer ``resident``: what `Fit` does, in compiled calls."""

from __future__ import annotations

import functools
import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from tensorflow.python.client import device_lib
from zoo_fashion.model import build
from zoo_keras import resident
from zoo_keras.augmentations import cutmix, erase, flip, shift
from zoo_keras.fit import Fit
from zoo_keras.losses import cross_entropy
from zoo_keras.optimizers import adam, muon
from zoo_keras.resident import Resident
from zoo_keras.schedules import constant, one_cycle
from zoo_keras.variables import seed_random_layers

import zoo
from tests.support import ROOT
from tests.support.bfloat16 import computes_bfloat16
from tests.support.golden import Golden
from tests.support.small_recipe import FashionSlice
from zoo import ArrayExamples, DataError, Learning, Metrics, Registry, SettingError, Training, TrainingConfig
from zoo.errors import ZooWarning
from zoo.training.progress import NullProgress

SETTINGS = TrainingConfig(epochs=2, batch_size=60, seed=7)
TRAIN = ArrayExamples(*FashionSlice().load(None).train[np.arange(600)])  # 600: ten steps, two epochs
FEW = ArrayExamples(*TRAIN[np.arange(152)])  # three steps, the last of 24


def quietly(step: int, metrics: Metrics) -> None:
    """Watch nothing."""


def trained(
    trainer: Fit | Resident,
    dropout: float = 0.0,
    settings: TrainingConfig = SETTINGS,
    on_step: Callable[[int, Metrics], None] = quietly,
    train: ArrayExamples = TRAIN,
) -> tuple[keras.Model, list[Metrics]]:
    """Return a model after two epochs, twenty steps if they are of all images, and their metrics."""
    keras.utils.set_random_seed(settings.seed)
    model = build((28, 28, 1), 10, widths=(4, 4, 4), dense_width=8, dropout=dropout)
    training = trainer.start(model, train, settings)
    return model, [training.run_epoch(epoch, on_step) for epoch in range(settings.epochs)]


CHANGES = (partial(shift, pixels=2), flip, partial(erase, share=0.5), partial(cutmix, share=0.5))
BY_ADAM = Learning(optimizer=adam, learning_rate=1e-3, schedule=constant, loss=cross_entropy)
CASES: list[tuple[Learning | None, dict[str, Any]]] = [
    (None, {}),
    (
        Learning(
            optimizer=partial(adam, beta_2=0.99, weight_decay=0.1),
            learning_rate=3e-3,
            schedule=one_cycle,
            loss=partial(cross_entropy, label_smoothing=0.1),
            augmentations=CHANGES,
        ),
        {},
    ),
    (replace(BY_ADAM, optimizer=partial(muon, weight_decay=0.1), schedule=one_cycle), {}),
    (
        replace(BY_ADAM, optimizer=partial(adam, weight_decay=0.1)),
        {
            "clip_norm": 0.5,
            "accumulation_steps": 2,
            "average_momentum": 0.9,
            "decay_exempt": "bias|beta",
            "class_weights": "balanced",
        },
    ),
]
"""How a model learns, and settings of the trainer."""


@functools.cache
def trained_by_fit(number: int, batch_size: int, train: ArrayExamples) -> tuple[keras.Model, list[Metrics]]:
    """Return what `Fit` comes to in the case of that number."""
    learning, settings = CASES[number]
    config = replace(SETTINGS, batch_size=batch_size, learning=learning)
    return trained(Fit(**settings), settings=config, train=train)


def assert_agree(number: int, batch_size: int, train: ArrayExamples = TRAIN) -> None:
    """Assert that both trainers reach the same weights and metrics, but for rounding, in the case of a number."""
    learning, settings = CASES[number]
    config = replace(SETTINGS, batch_size=batch_size, learning=learning)
    ours, our_metrics = trained(Resident(**settings), settings=config, train=train)
    theirs, their_metrics = trained_by_fit(number, batch_size, train)
    for mine, other in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(np.array(mine.value), np.array(other.value), atol=2e-5)
    for mine_, other_ in zip(our_metrics, their_metrics, strict=True):
        assert mine_.loss == pytest.approx(other_.loss, abs=1e-4)
        assert mine_.accuracy == pytest.approx(other_.accuracy, abs=2e-3)


@pytest.mark.parametrize(
    ("number", "batch_size"),  # a last batch of full size, or of 24
    [
        (0, 60),
        pytest.param(0, 64, marks=pytest.mark.slow),
        *(pytest.param(number, 64 if number % 2 else 60, marks=pytest.mark.slow) for number in range(1, len(CASES))),
    ],
)
def test_agrees_with_fit(number: int, batch_size: int) -> None:
    assert_agree(number, batch_size)


@pytest.mark.parametrize(
    ("cases", "loops_are_fast"),
    # not case 0, since case 1 has all that it has
    [
        pytest.param([1], False, marks=pytest.mark.slow, id="1, a step a call, as on a processor"),
        pytest.param([1], True, marks=pytest.mark.full, id="1, in a loop, as on a GPU"),
        pytest.param([2, 3], False, marks=pytest.mark.full, id="2 and 3, a step a call"),
        pytest.param([2, 3], True, marks=pytest.mark.full, id="2 and 3, in a loop"),
    ],
)
def test_agrees_with_fit_on_jax(cases: list[int], loops_are_fast: bool, tmp_path: Path) -> None:
    # compiling takes long; and Keras computes theirs in `fit` operation by operation, some of which are compiled at
    # each step
    code = "import tests.plugins.keras.test_resident as t; from zoo_keras import steps_jax\n"
    code += f"steps_jax.loops_are_fast = lambda: {loops_are_fast}\n"
    code += f"[t.assert_agree(case, 64, t.FEW) for case in {cases}]; t.assert_cuts_do_not_matter()\n"
    code += "print(t.keras.config.backend())"
    environ = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path),  # what is compiled is kept for the same again
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "XLA_FLAGS": "--xla_backend_optimization_level=0",  # and is not made as fast as it can be
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "jax"), done.stderr


def start(dropout: float = 0.25) -> tuple[keras.Model, Training]:
    keras.utils.set_random_seed(7)
    model = build((28, 28, 1), 10, widths=(4, 4, 4), dense_width=8, dropout=dropout)
    return model, Resident().start(model, TRAIN, SETTINGS)


def trained_where_a_call_takes(seconds: float) -> tuple[keras.Model, list[Metrics], list[int]]:
    """Return a model by a clock of ours, its metrics, and the step that each call ended with."""
    ends: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resident, "time", SimpleNamespace(perf_counter=itertools.count(0.0, seconds).__next__))
        model, metrics = trained(Resident(), dropout=0.3, on_step=lambda step, _: ends.append(step))
    return model, metrics, ends


def assert_cuts_do_not_matter() -> None:
    first, metrics, calls = trained_where_a_call_takes(1e-6)  # so that a call has twice the steps of the one before
    second, again, slow_calls = trained_where_a_call_takes(1e6)
    assert calls == [1, 2, 4, 8, 10, 10]
    assert slow_calls == [*range(1, 11)] * 2
    assert metrics == again
    for one, other in zip(first.weights, second.weights, strict=True):
        np.testing.assert_array_equal(np.array(one.value), np.array(other.value))


@pytest.mark.slow
def test_bits_do_not_depend_on_how_many_steps_a_call_takes() -> None:
    assert_cuts_do_not_matter()


def test_loss_that_a_layer_adds_counts_once(registry: Registry) -> None:
    class Adding(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
        def call(self, inputs: Any) -> Any:
            self.add_loss(keras.ops.mean(inputs * inputs, axis=1))  # one for each image
            return inputs

    weights = []
    for trainer in (Fit(), Resident()):
        keras.utils.set_random_seed(7)
        layers = [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(8), Adding()]
        model = keras.Sequential([*layers, keras.layers.Dense(10, "softmax")])
        trainer.start(model, TRAIN, SETTINGS).run_epoch(0, quietly)
        weights.append([np.array(weight.value) for weight in model.weights])
    for mine, other in zip(*weights, strict=True):
        np.testing.assert_allclose(mine, other, atol=2e-5)


def test_steps_are_told_of_and_the_last_has_the_epoch_s_metrics() -> None:
    told: list[tuple[int, Metrics]] = []
    _, training = start()
    metrics = training.run_epoch(0, lambda step, so_far: told.append((step, so_far)))
    assert told[-1] == (10, metrics)
    assert [step for step, _ in told] == sorted({step for step, _ in told})


@pytest.mark.slow
@computes_bfloat16
def test_precision_is_the_model_s(registry: Registry, tmp_path: Path) -> None:
    settings = {"trainer.precision": "mixed_bfloat16"}
    run = zoo.run("small", trainer="resident", settings=settings, out=tmp_path / "run", registry=registry, epochs=1)
    assert run.record.recipe.trainer.settings["precision"] == "mixed_bfloat16"
    model = zoo.load(run.path, registry=registry).model
    assert model.layers[0].dtype_policy.name == "mixed_bfloat16"
    assert model.layers[-1].dtype_policy.name == "float32"
    assert {str(weight.dtype) for weight in model.weights} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.slow
def test_run_is_stopped_and_gone_on_with(registry: Registry, tmp_path: Path) -> None:
    whole = zoo.train("small", trainer="resident", out=tmp_path / "whole", registry=registry)

    class Stop(NullProgress):
        def step(self, step: int, metrics: Metrics) -> None:
            if step > 7:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        zoo.train(
            "small", trainer="resident", out=tmp_path / "run", registry=registry, checkpoint_every=2, progress=Stop()
        )
    assert list((tmp_path / "run" / "checkpoints").iterdir())
    assert zoo.resume(tmp_path / "run", registry=registry).record.model_sha256 == whole.record.model_sha256


def test_data_too_large_for_the_device_are_taken_by_fit(monkeypatch: pytest.MonkeyPatch, golden: Golden) -> None:
    monkeypatch.setattr(resident, "device_memory", lambda: 100_000)
    model = build((28, 28, 1), 10, widths=(2, 2, 2), dense_width=2)
    with golden.warns(ZooWarning):
        config = replace(SETTINGS, learning=replace(BY_ADAM, learning_rate=0.5))
        training = Resident(clip_norm=3.0).start(model, TRAIN, config)
    assert type(training).__name__ == "FitTraining"
    assert float(model.optimizer.learning_rate) == 0.5
    assert model.optimizer.global_clipnorm == 3.0


def test_memory_without_an_accelerator_is_what_the_process_may_use() -> None:
    assert resident.device_memory() == zoo.utils.usable_memory()


def test_memory_of_a_gpu_on_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = [SimpleNamespace(device_type="CPU", memory_limit=1), SimpleNamespace(device_type="GPU", memory_limit=2)]
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: [kind])
    monkeypatch.setattr(device_lib, "list_local_devices", lambda: devices)
    assert resident.device_memory() == 2


@pytest.mark.parametrize("trainer", [Fit(), Resident()], ids=["fit", "resident"])
def test_shift_of_a_whole_image_is_refused(trainer: Fit | Resident, golden: Golden) -> None:
    config = replace(SETTINGS, learning=replace(BY_ADAM, augmentations=(partial(shift, pixels=28),)))
    with golden.raises(SettingError, name="augmentation.shift.pixels", value=28):
        trainer.start(build((28, 28, 1), 10, widths=(2, 2, 2), dense_width=2), TRAIN, config)


@pytest.mark.slow
@pytest.mark.parametrize("trainer", [Fit(), Resident()], ids=["fit", "resident"])
def test_changes_to_images_depend_on_seed_and_epoch_alone(trainer: Fit | Resident) -> None:
    def seen(epoch: int) -> list[float]:
        keras.utils.set_random_seed(0)
        model = build((28, 28, 1), 10, widths=(2, 2, 2), dense_width=2, dropout=0.0)
        config = replace(SETTINGS, learning=replace(BY_ADAM, augmentations=CHANGES))
        metrics = trainer.start(model, TRAIN, config).run_epoch(epoch, quietly)
        return [metrics.loss, metrics.accuracy, *(float(np.sum(weight)) for weight in model.get_weights())]

    keras.utils.set_random_seed(0)
    assert seen(0) == seen(0)
    assert seen(0) != seen(1)  # another order too; the next test says that the changes differ


def test_changes_to_images_differ_from_epoch_to_epoch() -> None:
    model = keras.Sequential([keras.Input((28, 28, 1)), *(make((28, 28, 1)) for make in CHANGES)])
    images = TRAIN[np.arange(50)][0] / np.float32(255)
    changed = []
    for seed, epoch in ((0, 0), (0, 0), (0, 1), (1, 0)):
        seed_random_layers(model, seed, epoch)
        changed.append(np.asarray(model(images, training=True)))
    assert (changed[0] == changed[1]).all()
    assert (changed[0] != changed[2]).any(axis=(1, 2, 3)).mean() > 0.9
    assert (changed[0] != changed[3]).any(axis=(1, 2, 3)).mean() > 0.9
    assert (np.asarray(model(images, training=False)) == images).all()


def test_loss_is_of_the_mixed_labels() -> None:
    model = build((28, 28, 1), 10, widths=(2, 2, 2), dense_width=2, dropout=0.0)
    loss, augmentations = partial(cross_entropy, label_smoothing=0.1), (partial(cutmix, share=1.0),)
    config = replace(SETTINGS, learning=replace(BY_ADAM, loss=loss, augmentations=augmentations))
    net = Resident().augmented(config, model, TRAIN)
    images, labels = TRAIN[np.arange(9)]
    truth = np.eye(10, dtype=np.float32)[labels]
    predicted = np.asarray(net(images / np.float32(255), training=True))
    mixed = np.asarray(net.layers[0].mix_labels(truth))
    assert (mixed.max(axis=1) < 1).any()
    expected = -((0.9 * mixed + 0.01) * np.log(predicted)).sum(axis=1).mean()
    assert float(Resident().make_loss(config, net, TRAIN)(truth, predicted)) == pytest.approx(expected, rel=1e-5)


def test_label_out_of_range_is_told_as_such(golden: Golden) -> None:
    examples = ArrayExamples(np.zeros((8, 28, 28, 1), np.uint8), np.array([0, 1, 2, 3, 4, 5, 6, 10]))
    training = Resident().start(build((28, 28, 1), 10, widths=(2, 2, 2), dense_width=2), examples, SETTINGS)
    with golden.raises(DataError):
        training.run_epoch(0, quietly)


def test_another_backend_is_refused(monkeypatch: pytest.MonkeyPatch, golden: Golden) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with golden.raises(SettingError):
        Resident().start(build((28, 28, 1), 10, widths=(2, 2, 2), dense_width=2), TRAIN, SETTINGS)
