"""Callbacks: Keras's decide by the run's metrics, errors name them, they resume, and what they log is recorded."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

import zoo
from tests.support.golden import Golden
from zoo import ArrayExamples, Entry, Metrics, PluginError, Registry, Run, SettingError, Split, Trainer, TrainingConfig
from zoo.errors import DataError, ZooWarning
from zoo.interfaces import Examples, SteppedTraining
from zoo.recipes.components import Component
from zoo.runs.checkpoints import Checkpoints
from zoo.runs.run_folder import history_csv
from zoo.training.checkpointing import Checkpointer
from zoo.training.history import History
from zoo.training.loop import train
from zoo.training.progress import NullProgress
from zoo.training.trackers import Trackers

LABELS = np.array([0] * 8 + [1] * 2)  # so the accuracy is 0.8 or 0.2
EXAMPLES = ArrayExamples(np.zeros((10, 1, 1, 1), np.uint8), LABELS)
EVENTS = [name for name in dir(keras.callbacks.Callback) if name.startswith("on_")]


class Scripted(Trainer, SteppedTraining):
    """A trainer whose model predicts class 0 with the next of given probabilities after each epoch."""

    def __init__(self, probabilities: list[float]) -> None:
        self.probabilities = probabilities

    def start(self, model: keras.Model, train: Examples, settings: TrainingConfig) -> Scripted:
        self.model = model
        model.optimizer = keras.optimizers.SGD(1.0)
        model.optimizer.build(model.trainable_variables)
        return self

    def run_epoch(self, epoch: int, on_step: Callable[[int, Metrics], None], first_step: int = 0) -> Metrics:
        self.model.weights[0].assign([self.probabilities[epoch]])
        metrics = Metrics(loss=1.0 / (epoch + 1), accuracy=0.5)
        for step in range(first_step, 2):
            on_step(step + 1, metrics)
        return metrics

    def state(self) -> dict[str, NDArray[Any]]:
        return {
            "weight": np.array(self.model.weights[0]),
            "rate": np.array(self.model.optimizer.learning_rate),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self.model.weights[0].assign(state["weight"])
        self.model.optimizer.learning_rate = float(state["rate"])

    def predict(self, model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        probability = np.asarray(model.weights[0])[0]
        return np.tile([probability, 1 - probability], (len(images), 1))


class Bias(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """A layer with one weight."""

    def build(self, _: Any) -> None:
        self.bias = self.add_weight(shape=(1,), name="bias")

    def call(self, inputs: Any) -> Any:
        return inputs + self.bias


class StopAt(NullProgress):
    """Somebody who presses Ctrl-C after a number of steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def step(self, step: int, metrics: Metrics) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def share(mode: str) -> Component:
    """Return a metric that is the predicted probability of class 0."""
    return Component(
        kind="metric",
        name=f"share-{mode}",
        plugin="mine",
        target=lambda probabilities, labels: probabilities[0, 0],
        settings={},
        mode=mode,
    )


def run(
    *callbacks: keras.callbacks.Callback,
    probabilities: tuple[float, ...] = (0.6, 0.7, 0.8),
    validation: bool = True,
    **options: Any,
) -> History:
    """Train with callbacks ``mine/0``, ``mine/1``, ..."""
    return train(
        Scripted(list(probabilities)),
        keras.Sequential([keras.Input((1,)), Bias()]),
        Split(train=EXAMPLES, test=EXAMPLES, validation=EXAMPLES if validation else None, class_names=("a", "b")),
        TrainingConfig(epochs=len(probabilities), batch_size=5, seed=0),
        callbacks={f"mine/{number}": callback for number, callback in enumerate(callbacks)},
        metrics=(share("max"), share("min")),
        **options,
    )


def adding(key: str, value: Any) -> keras.callbacks.Callback:
    """Return a callback that adds a value to the logs of each epoch."""
    return keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update({key: value}))


class Noting(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """A callback that notes all events."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, Any, dict[str, float]]] = []
        for event in EVENTS:
            setattr(self, event, self._noting(event))

    def _noting(self, event: str) -> Callable[..., None]:
        def note(*arguments: Any, logs: dict[str, float] | None = None) -> None:
            *where, given = (*arguments, logs) if logs is not None else arguments
            self.seen.append((event, where[0] if where else None, dict(given)))

        note.__module__ = "keras"  # no warning about events that zoo does not call
        return note


@pytest.mark.parametrize(
    ("monitor", "mode"),
    [
        ("loss", "min"),
        ("accuracy", "max"),
        ("val_loss", "min"),
        ("val_accuracy", "max"),
        ("val_share-max", "max"),
        ("val_share-min", "min"),
    ],
)
def test_keras_callbacks_know_the_direction_of_every_metric(monitor: str, mode: str, tmp_path: Path) -> None:
    callbacks = [
        keras.callbacks.EarlyStopping(monitor, patience=9),
        keras.callbacks.ReduceLROnPlateau(monitor, patience=9),
        keras.callbacks.ModelCheckpoint(
            tmp_path / "best.weights.h5", monitor, save_best_only=True, save_weights_only=True
        ),
        keras.callbacks.ModelCheckpoint(tmp_path / "each.weights.h5", monitor, save_weights_only=True),
    ]
    assert len(run(*callbacks).epochs) == 3
    assert [callback.mode for callback in callbacks] == [mode] * 4
    opposite = {"min": "max", "max": "min"}[mode]
    own = keras.callbacks.EarlyStopping(monitor, patience=9, mode=opposite)
    run(own)
    assert own.mode == opposite  # as its author wants it


@pytest.mark.parametrize(
    ("monitor", "probabilities", "epochs"),
    [
        ("val_accuracy", (0.4, 0.6, 0.6, 0.7), 3),
        ("val_accuracy", (0.6, 0.4, 0.6, 0.6), 2),
        ("val_loss", (0.6, 0.7, 0.5, 0.8), 3),
        ("val_share-max", (0.6, 0.7, 0.5, 0.8), 3),
        ("val_share-min", (0.6, 0.7, 0.5, 0.8), 2),
    ],
)
def test_early_stopping_ends_where_a_metric_stops_improving(
    monitor: str, probabilities: tuple[float, ...], epochs: int
) -> None:
    stopping = keras.callbacks.EarlyStopping(monitor, patience=1)
    assert len(run(stopping, probabilities=probabilities).epochs) == epochs


@pytest.mark.filterwarnings("ignore::UserWarning")  # Keras's own
@pytest.mark.parametrize("kind", [keras.callbacks.EarlyStopping, keras.callbacks.ReduceLROnPlateau])
@pytest.mark.parametrize(("monitor", "validation"), [("val_acuracy", True), ("val_loss", False)])
def test_metric_that_does_not_exist_is_told(
    golden: Golden, kind: type[keras.callbacks.Callback], monitor: str, validation: bool
) -> None:
    noting = Noting()
    with golden.warns(ZooWarning), golden.raises(PluginError, plugin="mine"):
        run(noting, kind(monitor=monitor), validation=validation)
    assert [event for event, _, _ in noting.seen].count("on_epoch_end") == 1


@pytest.mark.filterwarnings("ignore::zoo.errors.ZooWarning")
def test_metric_of_an_earlier_callback_can_be_monitored() -> None:
    stopping = keras.callbacks.EarlyStopping("mine", patience=1, mode="max")
    assert len(run(adding("mine", 1.0), stopping).epochs) == 2
    with pytest.raises(PluginError):
        run(stopping, adding("mine", 1.0))

    class Own(keras.callbacks.EarlyStopping):  # type: ignore[misc]  # Keras ships no types
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            logs["mine"] = 1.0
            super().on_epoch_end(epoch, logs)

    assert len(run(Own("mine", patience=1, mode="max")).epochs) == 2


def test_checkpoint_that_compares_nothing_needs_no_metric(tmp_path: Path) -> None:
    callback = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.weights.h5", save_weights_only=True)
    run(callback, validation=False)
    assert {path.name for path in tmp_path.iterdir()} == {"1.weights.h5", "2.weights.h5", "3.weights.h5"}


def test_events_are_those_of_keras_in_its_order() -> None:
    noting = Noting()
    run(noting, probabilities=(0.6, 0.7))
    assert noting.params == {"epochs": 2, "steps": 2, "verbose": 0}
    steps = [
        ("on_train_batch_begin", 0),
        ("on_train_batch_end", 0),
        ("on_train_batch_begin", 1),
        ("on_train_batch_end", 1),
        ("on_test_begin", None),
        ("on_test_end", None),
    ]
    epochs = [[("on_epoch_begin", epoch), *steps, ("on_epoch_end", epoch)] for epoch in (0, 1)]
    expected = [("on_train_begin", None), *epochs[0], *epochs[1], ("on_train_end", None)]
    assert [(event, where) for event, where, _ in noting.seen] == expected
    logs = {event: set(given) for event, _, given in noting.seen}
    own = {"loss", "accuracy"}
    others = {"share-max", "share-min"}
    assert logs["on_train_batch_end"] == own
    assert logs["on_test_end"] == own | others
    assert logs["on_epoch_end"] == logs["on_train_end"] == own | {f"val_{name}" for name in own | others}


def test_event_that_is_never_called_is_told(golden: Golden) -> None:
    class Waiting(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
        def on_test_batch_end(self, batch: int, logs: Any = None) -> None: ...

    with golden.warns(ZooWarning):
        run(Waiting())


@pytest.mark.slow
def test_added_logs_are_recorded_and_shared(small_run: Run) -> None:
    first, last, tracker = adding("rate", np.float32(0.5)), Noting(), Noting()
    history = run(first, last, adding("loss.mine, too", 3), trackers=Trackers({"tracker": tracker}))
    assert [record.logs for record in history.epochs] == [{"rate": 0.5, "loss.mine, too": 3.0}] * 3
    (given, *_) = [given for event, _, given in last.seen if event == "on_epoch_end"]
    assert given["rate"] == 0.5
    (given, *_) = [given for event, _, given in tracker.seen if event == "on_epoch_end"]
    assert (given["rate"], given["loss.mine, too"]) == (0.5, 3.0)
    assert tracker.seen[-1][2]["rate"] == 0.5  # at the end of training
    record = msgspec.structs.replace(small_run.record, history=list(history.epochs[:1]), best_epoch=1)
    assert msgspec.json.decode(msgspec.json.encode(record), type=type(record)) == record
    header, line = history_csv(record).decode().splitlines()
    assert header == (
        "epoch,loss,accuracy,validation_loss,validation_accuracy,seconds,validation_share-max,validation_share-min,"
        'rate,"loss.mine, too"'
    )
    assert line.endswith(",0.5,3.0")


def test_added_log_with_the_name_of_a_column_has_its_own(small_run: Run) -> None:
    history = run(adding("seconds", 7.0), probabilities=(0.6,))
    record = msgspec.structs.replace(small_run.record, history=list(history.epochs), best_epoch=1)
    assert history_csv(record).decode().splitlines()[0].endswith(",logs_seconds")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "0.5", [1.0, 2.0], 1e31])
def test_added_log_that_is_no_number_is_refused(golden: Golden, value: Any) -> None:
    with golden.raises(PluginError, plugin="mine"):
        run(adding("odd", value))


def test_changed_metric_is_not_recorded() -> None:
    history = run(adding("val_loss", 0.0))
    assert history.validation is not None
    assert history.validation.loss > 0


def test_request_to_stop_within_an_epoch_completes_it() -> None:
    class Stop(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_training = True

    noting = Noting()
    assert len(run(Stop(), noting).epochs) == 1
    assert [where for event, where, _ in noting.seen if event == "on_train_batch_begin"] == [0, 1]


def test_tracker_cannot_stop_or_add() -> None:
    class Stop(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.stop_training = True
            logs["mine"] = 1.0

    best = keras.callbacks.EarlyStopping("val_accuracy")
    history = run(trackers=Trackers({"stop": Stop(), "best": best}))
    assert (len(history.epochs), history.epochs[0].logs) == (3, {})
    assert best.mode == "max"


def test_members_of_a_list_are_callbacks() -> None:
    stopping = keras.callbacks.EarlyStopping("val_accuracy", patience=1)
    several = keras.callbacks.CallbackList([adding("rate", 1.0), stopping], add_history=True)
    history = run(several)
    assert [record.logs for record in history.epochs] == [{"rate": 1.0}] * 2
    assert several.callbacks[2].history["rate"] == [1.0, 1.0]
    with pytest.raises(PluginError) as raised:
        run(keras.callbacks.CallbackList([adding("rate", None)]))
    assert "mine/0[0]" in str(raised.value)


@pytest.mark.parametrize("event", [event for event in EVENTS if "predict" not in event and "test_batch" not in event])
@pytest.mark.parametrize("kind", [RuntimeError, SystemExit, DataError])
def test_failure_in_any_event_names_the_callback(event: str, kind: type[BaseException]) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise kind("no")

    callback = keras.callbacks.Callback()
    setattr(callback, event, fail)
    with pytest.raises(DataError if kind is DataError else PluginError) as raised:
        run(callback)
    called = event if event not in ("on_batch_begin", "on_batch_end") else event.replace("on_", "on_train_")
    assert f"callback mine/0 failed to run {called}: " in str(raised.value)
    if isinstance(raised.value, PluginError):
        assert (raised.value.plugin, Path(str(raised.value.file)).name) == ("mine", "test_callbacks.py")


@pytest.mark.parametrize("method", ["set_model", "set_params", "state", "restore"])
def test_failure_elsewhere_names_the_callback(method: str, tmp_path: Path) -> None:
    class Failing(zoo.Callback):
        pass

    callback, checkpoints = Failing(), Checkpoints(tmp_path, "id")
    with pytest.raises(KeyboardInterrupt):
        run(callback, progress=StopAt(3), checkpointer=Checkpointer(checkpoints=checkpoints))
    setattr(callback, method, lambda *_: sys.exit("no"))
    with pytest.raises(PluginError) as raised:
        run(callback, checkpointer=Checkpointer(checkpoints=checkpoints, resume=True))
    assert raised.value.plugin == "mine"
    assert "callback mine/0 " in str(raised.value)


def raising() -> None:
    raise OSError("no")


def leaving() -> None:
    sys.exit(3)


def no_callback() -> dict[str, int]:
    return {"epochs": 1}


def misspelled() -> type:
    class Mine(zoo.Callback):
        def on_epoch_ende(self, epoch: int, logs: Any = None) -> None: ...

    return Mine


@pytest.mark.parametrize("target", [raising, leaving, misspelled, no_callback])
def test_callback_that_cannot_be_made_is_named(
    registry: Registry, tmp_path: Path, golden: Golden, target: Callable[[], Any]
) -> None:
    registry.callbacks.add(Entry(name="odd", target=target, summary="Odd."), plugin="mine")
    with golden.raises(PluginError, plugin="mine"):
        zoo.train("small", callbacks=["odd"], out=tmp_path / "run", registry=registry)
    assert zoo.open_run(tmp_path / "run").record.status == "failed"


@pytest.mark.parametrize("name", ["plateau", "scheduler", "own"])
def test_schedule_that_changes_the_rate_is_refused_with_a_callback_that_does(
    registry: Registry, tmp_path: Path, golden: Golden, name: str
) -> None:
    class Own(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.model.optimizer.learning_rate = 0.5

    def scheduler() -> keras.callbacks.Callback:
        return keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate)

    registry.callbacks.add(Entry(name="scheduler", target=scheduler, summary="The same rate."))
    registry.callbacks.add(Entry(name="own", target=Own, summary="Its own rate."))
    kind: type[zoo.ZooError] = PluginError if name == "own" else SettingError
    facts = {"plugin": "local"} if name == "own" else {"name": "schedule", "value": "keras/cosine"}
    with golden.raises(kind, **facts):
        zoo.train("small", callbacks=[name], schedule="cosine", out=tmp_path / "run", registry=registry)
    assert zoo.open_run(tmp_path / "run").record.history == []


class Ending(zoo.Callback):
    """Notes how runs end, or fails."""

    seen: list[tuple[str, bool]]

    def on_run_end(self, run: Run) -> None:
        self.seen.append((run.record.status, (run.path / "history.csv").exists()))
        if run.record.status == "trained":
            sys.exit("no")


@pytest.mark.slow
def test_callback_is_told_how_a_run_ends(registry: Registry, tmp_path: Path, golden: Golden) -> None:
    Ending.seen = []
    registry.callbacks.add(Entry(name="ending", target=Ending, summary="Notes the end."))
    registry.callbacks.add(Entry(name="odd", target=raising, summary="Fails."))
    options: dict[str, Any] = {"registry": registry, "epochs": 1}
    with golden.warns(ZooWarning):
        done = zoo.train("small", out=tmp_path / "a", callbacks=["ending"], metrics=["macro-f1"], **options)
    assert done.record.status == "trained"
    assert "validation_macro-f1" in (done.path / "history.csv").read_text().splitlines()[0]
    with pytest.raises(PluginError):
        zoo.train("small", out=tmp_path / "b", callbacks=["ending", "odd"], **options)
    with pytest.raises(KeyboardInterrupt):
        zoo.train("small", out=tmp_path / "c", callbacks=["ending"], progress=StopAt(3), **options)
    assert Ending.seen == [("trained", True), ("failed", False), ("interrupted", False)]


class Counting(zoo.Callback):
    """Stops after a number of epochs that it counts itself, in any process."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.count += 1
        logs["count"] = self.count
        self.model.stop_training = self.count == 5

    def state(self) -> dict[str, bool | int | float | str | None]:
        return {"count": self.count}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.count = state["count"]


class Rates(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """Adds the learning rate to the logs."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs["rate"] = float(np.asarray(self.model.optimizer.learning_rate))


MADE: dict[str, Callable[[], keras.callbacks.Callback]] = {
    "counting": Counting,
    "accuracy": lambda: keras.callbacks.EarlyStopping("val_accuracy", patience=3),
    "loss": lambda: keras.callbacks.EarlyStopping("val_loss", patience=3, min_delta=0.05),
    "max": lambda: keras.callbacks.EarlyStopping("val_share-max", patience=2, start_from_epoch=2),
    "min": lambda: keras.callbacks.ReduceLROnPlateau("val_share-min", patience=2, factor=0.5, cooldown=1),
    "rate": lambda: keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
    "list": lambda: keras.callbacks.CallbackList([Counting(), keras.callbacks.ReduceLROnPlateau(patience=1)]),
}


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("steps", [2, 3, 5])
def test_resumed_callbacks_decide_the_same(name: str, steps: int, tmp_path: Path) -> None:
    def go(**options: Any) -> list[tuple[int, Metrics | None, dict[str, float]]]:
        history = run(MADE[name](), Rates(), probabilities=(0.6, 0.8, 0.7, 0.7, 0.7, 0.6, 0.6, 0.9), **options)
        return [(record.epoch, record.validation, record.logs) for record in history.epochs]

    expected = go()
    checkpoints = Checkpoints(tmp_path, "id")
    with pytest.raises(KeyboardInterrupt):
        go(checkpointer=Checkpointer(checkpoints=checkpoints, every=1), progress=StopAt(steps))
    with pytest.raises(KeyboardInterrupt):
        go(checkpointer=Checkpointer(checkpoints=checkpoints, every=1, resume=True), progress=StopAt(2))
    assert go(checkpointer=Checkpointer(checkpoints=checkpoints, every=1, resume=True)) == expected
    assert len({tuple(logs.values()) for _, _, logs in expected}) > 1 or len(expected) < 8  # it decided something


def test_callbacks_that_changed_between_are_told(tmp_path: Path, golden: Golden) -> None:
    checkpoints = Checkpoints(tmp_path, "id")
    with pytest.raises(KeyboardInterrupt):
        run(Counting(), Counting(), progress=StopAt(3), checkpointer=Checkpointer(checkpoints=checkpoints))
    with golden.warns(ZooWarning, 2):
        run(adding("rate", 1.0), checkpointer=Checkpointer(checkpoints=checkpoints, resume=True))
