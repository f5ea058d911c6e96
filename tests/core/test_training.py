"""The epochs of a run, with a trainer that is not Keras's: one that does one epoch gets all the rest."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.golden import Golden
from zoo import ArrayExamples, Metrics, PluginError, Split, Trainer, Training, TrainingConfig
from zoo.errors import DivergedError
from zoo.interfaces import Examples
from zoo.runs import EpochRecord
from zoo.training.history import History
from zoo.training.loop import train

EXAMPLES = ArrayExamples(np.zeros((10, 1, 1, 1), np.uint8), np.arange(10) % 2)


class Scripted(Trainer, Training):
    """A trainer whose model predicts class 0 with the next of given probabilities after each epoch."""

    def __init__(self, probabilities: list[float]) -> None:
        self.probabilities = probabilities

    def start(self, model: keras.Model, train: Examples, settings: TrainingConfig) -> Scripted:
        self.model = model
        return self

    def run_epoch(self, epoch: int, on_step: Callable[[int, Metrics], None]) -> Metrics:
        self.model.weights[0].assign([self.probabilities[epoch]])
        metrics = Metrics(loss=1.0 / (epoch + 1), accuracy=0.5)
        for step in (1, 2):
            on_step(step, metrics)
        return metrics

    def state(self) -> dict[str, NDArray[Any]]:
        raise NotImplementedError

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        raise NotImplementedError

    def predict(self, model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        probability = np.asarray(model.weights[0])[0]
        return np.tile([probability, 1 - probability], (len(images), 1))


class Watcher:
    """Progress that remembers."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def stage(self, text: str) -> None:
        self.seen.append(text)

    def epoch_started(self, epoch: int, epochs: int, steps: int) -> None:
        self.seen.append((epoch, epochs, steps))

    def step(self, step: int, metrics: Metrics) -> None:
        self.seen.append(step)

    def epoch_ended(self, record: EpochRecord, is_best: bool) -> None:
        self.seen.append(record.epoch)


def run(
    probabilities: list[float],
    *,
    callback: keras.callbacks.Callback | None = None,
    validation: bool = True,
    on_epoch: Callable[[History], None] = lambda _: None,
) -> tuple[History, float, list[Any]]:
    """Return the history, the weight that the model is left with, and what progress was told."""

    class Bias(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
        def build(self, _: Any) -> None:
            self.bias = self.add_weight(shape=(1,), name="bias")

        def call(self, inputs: Any) -> Any:
            return inputs + self.bias

    model = keras.Sequential([keras.Input((1,)), Bias()])
    watcher = Watcher()
    split = Split(
        train=EXAMPLES, test=EXAMPLES, validation=EXAMPLES if validation else None, class_names=("zero", "one")
    )
    settings = TrainingConfig(epochs=len(probabilities), batch_size=5, seed=0)
    history = train(
        Scripted(probabilities),
        model,
        split,
        settings,
        callbacks={} if callback is None else {"mine/callback": callback},
        progress=watcher,
        on_epoch=on_epoch,
    )
    return history, float(np.asarray(model.weights[0])[0]), watcher.seen


def test_keeps_the_epoch_with_the_lowest_validation_loss() -> None:
    history, weight, _ = run([0.9, 0.6, 0.5, 0.7])
    assert history.best_epoch == 3
    assert weight == 0.5
    assert history.validation == history.epochs[2].validation
    assert history.validation is not None
    assert history.validation.loss == pytest.approx(np.log(2))
    assert [record.epoch for record in history.epochs] == [1, 2, 3, 4]


def test_of_equal_epochs_keeps_the_first() -> None:
    assert run([0.6, 0.6])[0].best_epoch == 1


def test_by_accuracy_keeps_the_highest_and_of_equal_ones_the_lowest_loss() -> None:
    history = History(monitor="accuracy", mode="max")
    for number, (loss, accuracy) in enumerate([(0.1, 0.8), (0.3, 0.9), (0.2, 0.9), (0.2, 0.9), (0.1, 0.7)], 1):
        validation = Metrics(loss=loss, accuracy=accuracy)
        history = history.with_epoch(EpochRecord(epoch=number, train=validation, validation=validation, seconds=1.0))
    assert (history.best_epoch, history.validation) == (3, Metrics(loss=0.2, accuracy=0.9))


def test_without_validation_keeps_the_last() -> None:
    history, weight, _ = run([0.5, 0.9], validation=False)
    assert (history.best_epoch, history.validation) == (2, None)
    assert weight == np.float32(0.9)


def test_progress_is_told_of_epochs_and_steps() -> None:
    assert run([0.5, 0.5])[2] == [(1, 2, 2), 1, 2, 1, (2, 2, 2), 1, 2, 2]


def test_history_is_given_after_each_epoch() -> None:
    given: list[int] = []
    run([0.5, 0.6], on_epoch=lambda history: given.append(len(history.epochs)))
    assert given == [1, 2]


def test_callbacks_see_epochs_steps_and_logs() -> None:
    seen: list[tuple[str, Any]] = []
    callback = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: seen.append(("begin", None)),
        on_epoch_begin=lambda epoch, logs: seen.append(("epoch", epoch)),
        on_train_batch_end=lambda batch, logs: seen.append(("batch", batch)),
        on_epoch_end=lambda epoch, logs: seen.append(("end", sorted(logs))),
        on_train_end=lambda logs: seen.append(("done", None)),
    )
    run([0.5], callback=callback)
    assert seen == [
        ("begin", None),
        ("epoch", 0),
        ("batch", 0),
        ("batch", 1),
        ("end", ["accuracy", "loss", "val_accuracy", "val_loss"]),
        ("done", None),
    ]


@pytest.mark.parametrize("event", ["on_train_begin", "on_epoch_begin", "on_epoch_end"])
def test_asking_to_stop_ends_it_after_an_epoch(event: str) -> None:
    class Stop(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
        pass

    def stop(self: Stop, *_: object, **__: object) -> None:
        self.model.stop_training = True

    setattr(Stop, event, stop)
    assert len(run([0.5, 0.6, 0.7], callback=Stop())[0].epochs) == 1


@pytest.mark.parametrize(
    ("seen", "cause"),
    [(None, AttributeError), (Metrics(loss=None, accuracy=0.5), TypeError)],  # type: ignore[arg-type]  # on purpose
)
def test_metrics_that_are_none_are_told_as_the_trainer_s(
    monkeypatch: pytest.MonkeyPatch, seen: Any, cause: type[Exception]
) -> None:
    monkeypatch.setattr(Scripted, "run_epoch", lambda *_: seen)
    with pytest.raises(PluginError) as raised:
        run([0.5])
    assert type(raised.value.__cause__) is cause
    assert "trainer" in str(raised.value)  # not golden: the rest are words of Python


def test_numpy_metrics_are_numbers_too(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Any = Metrics(loss=np.float64(0.5), accuracy=np.float32(0.5))  # type: ignore[arg-type]  # not Python's own
    monkeypatch.setattr(Scripted, "run_epoch", lambda *_: seen)
    monkeypatch.setattr(Scripted, "predict", lambda _, __, images: np.full((len(images), 2), 0.5))
    (epoch,) = run([0.5])[0].epochs
    assert [type(value) for value in (epoch.train.loss, epoch.train.accuracy)] == [float, float]


def test_early_stopping_stops() -> None:
    history, _, _ = run([0.5, 0.6, 0.7, 0.8], callback=keras.callbacks.EarlyStopping(patience=1))
    assert len(history.epochs) == 2


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_divergence_names_the_epoch(golden: Golden, wrong: float) -> None:
    with golden.raises(DivergedError, epoch=2, step=2):
        run([0.5, wrong, 0.5])


def test_nan_in_a_weight_is_seen_even_if_the_losses_are_finite(monkeypatch: pytest.MonkeyPatch, golden: Golden) -> None:
    monkeypatch.setattr(Scripted, "predict", lambda _, __, images: np.full((len(images), 2), 0.5))
    with golden.raises(DivergedError, epoch=1, step=2) as raised:
        run([float("nan")])
    assert "'000.bias'" in str(raised.value)


class Closing(Scripted):
    """A trainer whose training counts how often it is closed; the probabilities are its losses."""

    times_closed = 0

    def run_epoch(self, epoch: int, on_step: Callable[[int, Metrics], None]) -> Metrics:
        return Metrics(loss=self.probabilities[epoch], accuracy=0.5)

    def predict(self, model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        return np.full((len(images), 2), 0.5)

    def close(self) -> None:
        self.times_closed += 1


@pytest.mark.parametrize(("probabilities", "error"), [([0.9, 0.6], None), ([0.9, float("nan")], DivergedError)])
def test_training_is_closed_once_however_it_ends(probabilities: list[float], error: type[Exception] | None) -> None:
    model = keras.Sequential([keras.Input((1, 1, 1)), keras.layers.Flatten(), keras.layers.Dense(2, use_bias=False)])
    trainer = Closing(probabilities)
    split = Split(train=EXAMPLES, test=EXAMPLES, validation=EXAMPLES, class_names=("zero", "one"))
    with pytest.raises(error) if error else contextlib.nullcontext():
        train(trainer, model, split, TrainingConfig(epochs=2, batch_size=5, seed=0))
    assert trainer.times_closed == 1
