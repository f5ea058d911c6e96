"""Callbacks with Keras's trainers: all of `keras.callbacks`, and the registered ones, also resumed."""

from __future__ import annotations

import csv
import itertools
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from zoo_keras import KerasTrainer, augmentations, losses, optimizers, schedules
from zoo_keras.fit import Fit
from zoo_keras.resident import Resident

import zoo
from tests.support import ROOT
from tests.support.command_line import Zoo
from tests.support.golden import Golden
from zoo import ArrayExamples, Learning, Metrics, PluginError, Registry, SettingError, Split, TrainingConfig
from zoo.errors import ZooWarning
from zoo.runs.checkpoints import Checkpoints
from zoo.training.checkpointing import Checkpointer
from zoo.training.history import History
from zoo.training.loop import train
from zoo.training.progress import NullProgress

WORKING = {
    "CSVLogger", "Callback", "CallbackList", "EarlyStopping", "History", "LambdaCallback", "LearningRateScheduler",
    "ModelCheckpoint", "ProgbarLogger", "ReduceLROnPlateau", "RemoteMonitor", "SwapEMAWeights", "TensorBoard",
    "TerminateOnNaN",
}  # fmt: skip
REFUSED = {"BackupAndRestore"}
NOT_INSTALLED = {"OrbaxCheckpoint"}
TRAINERS = {
    "fit": (Fit, False),
    "fit, augmented": (Fit, True),
    "resident": (Resident, False),
    "resident, augmented": (Resident, True),
}

SLOW_CLOCK = SimpleNamespace(perf_counter=itertools.count(0.0, 1e6).__next__)
"""By this clock, each call of `resident` takes so long that it has a single step, which is reported."""


class StopAt(NullProgress):
    """Somebody who presses Ctrl-C after a number of steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def step(self, step: int, metrics: Metrics) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def small_net() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")]
    )


def fit_small(
    trainer: KerasTrainer,
    is_augmented: bool,
    callbacks: Mapping[str, keras.callbacks.Callback],
    model: keras.Model | None = None,
    epochs: int = 3,
    **options: Any,
) -> History:
    """Train on 48 images, three steps per epoch."""
    labels = np.arange(48) % 2
    noise = np.random.default_rng(0).integers(0, 100, (48, 6, 6, 1))
    images = (noise + 100 * labels[:, None, None, None]).astype(np.uint8)
    examples = ArrayExamples(images, labels)
    learning = Learning(
        optimizer=optimizers.adam,
        learning_rate=1e-2,
        schedule=schedules.constant,
        loss=losses.cross_entropy,
        augmentations=(augmentations.shift, augmentations.mixup) if is_augmented else (),
    )
    return train(
        trainer,
        small_net() if model is None else model,
        Split(train=examples, validation=examples, test=examples, class_names=("dark", "light")),
        TrainingConfig(epochs=epochs, batch_size=16, seed=0, learning=learning),
        callbacks=callbacks,
        **options,
    )


def of_keras(folder: Path, posted: list[Any]) -> dict[str, keras.callbacks.Callback]:
    """Return all callbacks of Keras's that work, with settings that make them do what they do."""
    of = keras.callbacks
    return {
        "CSVLogger": of.CSVLogger(folder / "log.csv"),
        "Callback": of.Callback(),
        "CallbackList": of.CallbackList([of.History()]),
        "EarlyStopping": of.EarlyStopping("val_accuracy", min_delta=1.0, patience=1),
        "History": of.History(),
        "LambdaCallback": of.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(mine=epoch)),
        "LearningRateScheduler": of.LearningRateScheduler(lambda epoch, rate: rate / 2),
        "ModelCheckpoint": of.ModelCheckpoint(folder / "{epoch}.keras"),
        "ModelCheckpoint/best": of.ModelCheckpoint(
            folder / "best.weights.h5", "val_loss", save_best_only=True, save_weights_only=True
        ),
        "ModelCheckpoint/steps": of.ModelCheckpoint(folder / "steps.weights.h5", save_weights_only=True, save_freq=2),
        "ProgbarLogger": of.ProgbarLogger(),
        "ReduceLROnPlateau": of.ReduceLROnPlateau("val_loss", factor=0.5, patience=1, min_delta=10.0),
        "RemoteMonitor": of.RemoteMonitor(send_as_json=True),
        "SwapEMAWeights": of.SwapEMAWeights(),
        "SwapEMAWeights/epoch": of.SwapEMAWeights(swap_on_epoch=True),
        "TensorBoard": of.TensorBoard(
            folder / "board", histogram_freq=1, update_freq="batch", write_steps_per_second=True, profile_batch=(1, 2)
        ),
        "TerminateOnNaN": of.TerminateOnNaN(),
    }


def check_all_of_keras(name: str, folder: Path, posted: list[Any]) -> None:
    """Train with all callbacks of Keras's, and check what each has done."""
    made = of_keras(folder, posted)
    assert {key.partition("/")[0] for key in made} == WORKING
    trainer, is_augmented = TRAINERS[name]
    model = small_net()
    callbacks = {f"keras/{key}": callback for key, callback in made.items()}
    history = fit_small(trainer(average_momentum=0.5), is_augmented, callbacks, model)
    assert len(history.epochs) == 2  # the last that EarlyStopping waited for
    logs = [record.logs for record in history.epochs]
    assert [each["mine"] for each in logs] == [0, 1]
    assert [each["learning_rate"] for each in logs] == pytest.approx([5e-3, 2.5e-3])
    assert float(np.asarray(model.optimizer.learning_rate)) == pytest.approx(1.25e-3)  # on a plateau from the start
    assert [float(row["val_loss"]) for row in csv.DictReader((folder / "log.csv").open())] == pytest.approx(
        [record.validation.loss for record in history.epochs if record.validation]
    )
    losses = [record.train.loss for record in history.epochs]
    for recorded in (made["History"], made["CallbackList"].callbacks[0]):
        assert recorded.history["loss"] == pytest.approx(losses)
    assert [each["loss"] for each in posted] == pytest.approx(losses)
    loaded = keras.models.load_model(folder / f"{history.best_epoch}.keras", compile=False)
    assert [weight.shape for weight in loaded.weights] == [weight.shape for weight in model.weights]
    assert {path.name for path in folder.glob("*h5")} == {"best.weights.h5", "steps.weights.h5"}
    assert list((folder / "board" / "train").iterdir())
    assert list((folder / "board" / "validation").iterdir())


@pytest.mark.filterwarnings("ignore::UserWarning")  # Keras's own
@pytest.mark.parametrize("name", TRAINERS)
def test_all_callbacks_of_keras_work(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    posted: list[Any] = []
    requests = pytest.importorskip("requests")
    monkeypatch.setattr(requests, "post", lambda *_, **options: posted.append(options["json"]))
    check_all_of_keras(name, tmp_path, posted)
    assert capfd.readouterr().out == ""  # zoo shows progress itself


def test_every_callback_of_this_keras_is_known() -> None:
    found = {name for name in dir(keras.callbacks) if isinstance(getattr(keras.callbacks, name), type)}
    assert found == WORKING | REFUSED | NOT_INSTALLED


@pytest.mark.full
def test_all_callbacks_of_keras_work_on_jax(tmp_path: Path) -> None:
    code = (
        "import pathlib, requests, tests.plugins.keras.test_callbacks as t, zoo_keras.resident as resident\n"
        "resident.time = t.SLOW_CLOCK\n"
        "for name in t.TRAINERS:\n"
        f"    folder, posted = pathlib.Path({str(tmp_path)!r}, name), []\n"
        "    folder.mkdir()\n"
        "    requests.post = lambda *_, **options: posted.append(options['json'])\n"
        "    t.check_all_of_keras(name, folder, posted)\n"
        "    t.check_resumed(name, folder)\n"
    )
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "compiled"),  # what is compiled is kept for the same again
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "XLA_FLAGS": "--xla_backend_optimization_level=0",  # and is not made as fast as it can be
    }
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("trainer", [Fit(), Resident()])
def test_callback_that_cannot_work_is_refused_before_the_first_epoch(
    tmp_path: Path, golden: Golden, trainer: KerasTrainer
) -> None:
    with golden.raises(PluginError, plugin="keras"):
        fit_small(trainer, False, {"keras/backup": keras.callbacks.BackupAndRestore(tmp_path / "backup")})
    with golden.raises(PluginError, plugin="keras"):
        fit_small(trainer, False, {"keras/averages": keras.callbacks.SwapEMAWeights()})
    assert not list(tmp_path.iterdir())


def check_resumed(name: str, folder: Path) -> None:
    """Check that a training with callbacks that is stopped twice goes on as if it had not been."""
    trainer, is_augmented = TRAINERS[name]

    def go(**options: Any) -> tuple[History, list[Any]]:
        callbacks = {
            "keras/swap": keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
            "keras/plateau": keras.callbacks.ReduceLROnPlateau("val_loss", 0.5, patience=1, min_delta=0.5),
            "keras/stop": keras.callbacks.EarlyStopping("val_loss", patience=4, min_delta=0.5),
        }
        model = small_net()
        history = fit_small(trainer(average_momentum=0.5), is_augmented, callbacks, model, epochs=9, **options)
        return history, model.get_weights()

    checkpoints = Checkpoints(folder, "id")
    for steps in (5, 6):  # in the second epoch, and in the fourth
        with pytest.raises(KeyboardInterrupt):
            go(
                checkpointer=Checkpointer(checkpoints=checkpoints, every=1, resume=steps > 5),
                progress=StopAt(steps),
            )
    resumed, weights = go(checkpointer=Checkpointer(checkpoints=checkpoints, every=1, resume=True))
    whole, expected = go()
    assert [(each.train, each.validation, each.logs) for each in resumed.epochs] == [
        (each.train, each.validation, each.logs) for each in whole.epochs
    ]
    assert len({each.logs["learning_rate"] for each in whole.epochs}) > 2
    assert len(whole.epochs) < 9
    for one, other in zip(weights, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINERS)
def test_resumed_training_goes_on_to_the_same_decisions(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo_keras.resident.time", SLOW_CLOCK)
    check_resumed(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trainer", "monitor"),
    [("fit", None), ("fit", "ece"), ("resident", "accuracy"), ("resident", "balanced-accuracy")],
)
def test_registered_callbacks_decide_by_any_metric_of_the_run(
    registry: Registry, tmp_path: Path, trainer: str, monitor: str | None
) -> None:
    options: dict[str, Any] = {
        "registry": registry,
        "trainer": trainer,
        "callbacks": ["plateau", "early-stopping"],
        "metrics": ["balanced-accuracy", "ece"],
        "epochs": 6,
    }
    settings: dict[str, Any] = {
        "callback.early-stopping.patience": 3,
        "callback.early-stopping.min_delta": 9.0,
        "callback.plateau.patience": 1,
        "callback.plateau.min_delta": 9.0,
        "callback.plateau.factor": 0.5,
        "model.widths": (2, 2, 2),
        "dataset.train": 200,
    }
    if monitor is not None:
        settings |= {f"callback.{name}.monitor": monitor for name in ("early-stopping", "plateau")}
    whole = zoo.train("small", out=tmp_path / "whole", settings=settings, **options)
    rates = [epoch.logs["learning_rate"] for epoch in whole.record.history]
    assert [rate / rates[0] for rate in rates] == pytest.approx([1, 1, 0.5, 0.25])
    stopped = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        zoo.train("small", out=stopped, settings=settings, progress=StopAt(6), **options)
    resumed = zoo.resume(stopped, registry=registry).record
    assert [(each.validation, each.logs) for each in resumed.history] == [
        (each.validation, each.logs) for each in whole.record.history
    ]
    assert resumed.model_sha256 == whole.record.model_sha256


def test_run_that_a_callback_stopped_says_so(run_zoo: Zoo, tmp_path: Path) -> None:
    done = run_zoo(
        "run", "small", "--epochs", "4", "--callback", "early-stopping", "--out", tmp_path / "run",
        "--set", "callback.early-stopping.patience=1", "--set", "callback.early-stopping.min_delta=9",
    )  # fmt: skip
    assert "stopped by a callback after 2 of 4 epochs" in done.out
    report = run_zoo("report", tmp_path / "run")
    assert report.status == 0
    assert "of 4, stopped by a callback" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize("name", ["early-stopping", "plateau"])
def test_registered_callback_needs_validation_images(
    registry: Registry, tmp_path: Path, golden: Golden, name: str
) -> None:
    with golden.raises(SettingError, name="validation", value=0):
        zoo.train("small", registry=registry, callbacks=[name], validation=0, out=tmp_path / "run")


@pytest.mark.filterwarnings("ignore::UserWarning")  # Keras's own
def test_registered_callback_with_an_unknown_metric_is_told(registry: Registry, tmp_path: Path, golden: Golden) -> None:
    settings = {"callback.early-stopping.monitor": "balanced-acuracy"}
    with golden.warns(ZooWarning), golden.raises(PluginError, plugin="keras"):
        zoo.train("small", registry=registry, callbacks=["early-stopping"], settings=settings, out=tmp_path / "run")
