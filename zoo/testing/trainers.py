"""Checks of trainers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.errors import CheckFailedError
from zoo.interfaces import Split, SteppedTraining, TrainingConfig
from zoo.models import weights
from zoo.recipes.components import default_component
from zoo.runs import array_io
from zoo.testing.common import SHAPE, Checks, Subject, ignore_step, noise, require, settings, small_model
from zoo.training.loop import train
from zoo.training.trainer import close_on_exit

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from zoo.interfaces import Trainer
    from zoo.runs.records import Metrics


def _run_epochs(subject: Subject, seed: int, epochs: int = 2) -> tuple[bytes, list[Metrics]]:
    model = small_model()
    trainer: Trainer = default_component(subject.registered).make()
    with close_on_exit(trainer.start(model, noise(SHAPE, 3), _settings(epochs, seed))) as started:
        metrics = [started.run_epoch(epoch, ignore_step) for epoch in range(epochs)]
    return weights.encode(model), metrics


def _settings(epochs: int, seed: int = 0) -> TrainingConfig:
    return TrainingConfig(epochs=epochs, batch_size=16, seed=seed, build=small_model)


def seed_decides(subject: Subject) -> None:
    """Require bit-identical results for the same seed, and different weights for another."""
    first, again, other = (_run_epochs(subject, seed) for seed in (1, 1, 2))
    require(
        first == again,
        f"{subject.title}: two trainings with the same seed differ: make the order of the examples and the random "
        "layers depend only on the seed and the epoch number.",
    )
    require(
        first[0] != other[0],
        f"{subject.title}: trainings with two different seeds give the same weights: shuffle with the seed.",
    )


def trains(subject: Subject) -> None:
    """Require the requested number of epochs, calls of callbacks, changed weights and valid metrics."""
    import keras

    seen: list[tuple[int, list[str]]] = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append((epoch, sorted(logs))))
    model, examples = small_model(), noise(SHAPE, 3)
    before = weights.encode(model)
    split = Split(train=examples, validation=examples, test=examples, class_names=("a", "b", "c"))
    trainer: Trainer = default_component(subject.registered).make()
    history = train(trainer, model, split, _settings(3), callbacks={"check": callback})
    require(len(history.epochs) == 3, f"{subject.title}: it trained {len(history.epochs)} of 3 epochs.")
    require(
        [epoch for epoch, _ in seen] == [0, 1, 2],
        f"{subject.title}: callbacks were not called at the end of epochs 0, 1, 2. Received: {seen}",
    )
    require(
        weights.encode(model) != before,
        f"{subject.title}: no weight changes in three epochs: train the model that is passed to `start`.",
    )
    for record in history.epochs:
        require(
            0 <= record.train.accuracy <= 1 and record.train.loss > 0,
            f"{subject.title}: run_epoch must return the epoch's mean loss and accuracy (0 to 1). Received: "
            f"{record.train}",
        )


def resumes(subject: Subject) -> None:
    """Require bit-identical weights from a training that is resumed after an epoch."""
    import keras

    examples, settings = noise(SHAPE, 3), _settings(3)
    trainer: Trainer = default_component(subject.registered).make()
    model = small_model()
    with close_on_exit(trainer.start(model, examples, settings)) as whole:
        whole.run_epoch(0, ignore_step)
        state = {name: array.copy() for name, array in whole.state().items()}
        kept = whole.state()
        whole.run_epoch(1, ignore_step)
    require(
        all((kept[name] == array).all() for name, array in state.items()),
        f"{subject.title}: the arrays that `state` returned changed in the next epoch: return copies.",
    )
    resumed_model = small_model(seed=5)
    with close_on_exit(trainer.start(resumed_model, examples, settings)) as resumed:
        require(
            array_io.layout_of_arrays(resumed.state()) == array_io.layout_of_arrays(state),
            f"{subject.title}: the names, shapes or types that `state` returns vary: always return the same.",
        )
        keras.random.normal((7,))  # other random draws must not matter
        resumed.restore(state)
        resumed.run_epoch(1, ignore_step)
    require(
        weights.encode(resumed_model) == weights.encode(model),
        f"{subject.title}: resumed from `state` after an epoch, the next epoch gives different weights: include the "
        "weights and all of the optimizer in `state`, and build the optimizer before restoring it.",
    )


def resumes_within_an_epoch(subject: Subject) -> None:
    """Require bit-identical weights and the same metrics from a training that is resumed within an epoch."""
    examples, settings = noise(SHAPE, 3), _settings(2)
    trainer: Trainer = default_component(subject.registered).make()
    model, resumed_model = small_model(), small_model(seed=5)
    states: dict[int, dict[str, NDArray[Any]]] = {}
    with close_on_exit(trainer.start(model, examples, settings)) as whole:
        if not isinstance(whole, SteppedTraining):
            return  # optional for a trainer
        whole.run_epoch(0, ignore_step)
        expected = whole.run_epoch(1, lambda step, _: states.update({step: whole.state()}))
    steps = -(-len(examples) // settings.batch_size)
    require(
        max(states, default=0) == steps,
        f"{subject.title}: run_epoch must call on_step after the last step of the epoch.",
    )
    first = min(states)
    if first == steps:
        return  # it runs all steps in one call
    told: list[int] = []
    with close_on_exit(trainer.start(resumed_model, examples, settings)) as resumed:
        if not isinstance(resumed, SteppedTraining):
            raise CheckFailedError(
                f"{subject.title}: start returned a zoo.SteppedTraining once and another zoo.Training now: always "
                "return the same class."
            )
        resumed.restore(states[first])
        metrics = resumed.run_epoch(1, lambda step, _: told.append(step), first_step=first)
    require(
        weights.encode(resumed_model) == weights.encode(model) and metrics == expected,
        f"{subject.title}: resumed after step {first} of an epoch, the rest gives different weights or metrics: "
        "include the random layers' states and the metrics so far in `state`, and skip the batches already done.",
    )
    require(
        told == sorted(set(told)) and told[0] > first and told[-1] == steps,
        f"{subject.title}: resumed after step {first}, on_step must continue counting from there. "
        f"Received: steps={told}",
    )


def predicts(subject: Subject) -> None:
    """Require probabilities."""
    import numpy as np

    trainer: Trainer = default_component(subject.registered).make()
    predicted = np.asarray(trainer.predict(small_model(), noise(SHAPE, 3, 5).images))
    require(
        predicted.shape == (5, 3) and np.allclose(predicted.sum(axis=1), 1, atol=1e-2),
        f"{subject.title}: predict must return probabilities (n, num_classes). Received: shape={predicted.shape}",
    )


TRAINER: Checks = {
    "settings have types and valid defaults": settings,
    "seed determines the result": seed_decides,
    "trains the requested epochs and calls callbacks": trains,
    "resumes bit-identically after an epoch": resumes,
    "resumes bit-identically within an epoch, if supported": resumes_within_an_epoch,
    "predicts probabilities": predicts,
}
"""The checks of a trainer, by requirement."""
