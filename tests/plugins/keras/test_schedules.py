"""The learning rate schedules: the rate of each step, from the first to the last."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import pytest
from zoo_keras.fit import Fit
from zoo_keras.losses import cross_entropy
from zoo_keras.optimizers import adam
from zoo_keras.schedules import constant, cosine, linear, one_cycle, step

from zoo import Learning, TrainingConfig
from zoo.recipes.components import Component
from zoo.training.learning import make_schedule


def rates(schedule: Any, epochs: int, steps_per_epoch: int) -> list[float]:
    """Return the rates of all steps with a peak of 1, as an optimizer has them."""
    component = Component(kind="schedule", name="it", plugin="x", target=schedule, settings={})
    learning = Learning(
        optimizer=adam, learning_rate=1.0, schedule=partial(make_schedule, component), loss=cross_entropy
    )
    config = TrainingConfig(epochs=epochs, batch_size=1, seed=0, learning=learning)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    optimizer = Fit().make_optimizer(config, model, steps_per_epoch)
    found = []
    for number in range(epochs * steps_per_epoch):
        optimizer.iterations.assign(number)
        found.append(float(optimizer.learning_rate))
    return found


@pytest.mark.parametrize(
    ("steps", "warm_up", "expected"),
    [
        (1, 0.25, [1.0]),
        (2, 0.25, [1.0, 0.5]),
        (4, 0.0, [1.0, 0.854, 0.5, 0.146]),
        (4, 0.5, [0.0, 0.5, 1.0, 0.5]),
        (4, 0.99, [0.0, 1 / 3, 2 / 3, 1.0]),
    ],
)
def test_one_cycle_rises_and_falls_however_few_the_steps(steps: int, warm_up: float, expected: list[float]) -> None:
    assert rates(partial(one_cycle, warmup_fraction=warm_up), 1, steps) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        pytest.param(constant, [1.0] * 8, id="constant"),
        pytest.param(linear, [1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8], id="linear"),
        pytest.param(
            partial(linear, warmup_epochs=1.0, final_fraction=0.5),
            [0, 0.5, 1, 11 / 12, 10 / 12, 9 / 12, 8 / 12, 7 / 12],
            id="linear, warm-up, not to 0",
        ),
        pytest.param(cosine, [1, 0.962, 0.854, 0.691, 0.5, 0.309, 0.146, 0.038], id="cosine"),
        pytest.param(
            partial(cosine, warmup_epochs=1.0, restarts=1, final_fraction=0.1),
            [0, 0.5, 1, 0.775, 0.325, 1, 0.775, 0.325],
            id="cosine, warm-up, restart, not to 0",
        ),
        pytest.param(partial(cosine, warmup_epochs=9.0), [k / 7 for k in range(8)], id="cosine, warm-up too long"),
        pytest.param(step, [1.0] * 8, id="step, no milestones"),
        pytest.param(
            partial(step, milestones=(1.0, 2.5), factor=0.5), [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25], id="step"
        ),
    ],
)
def test_each_step_has_its_rate(schedule: Any, expected: list[float]) -> None:
    assert rates(schedule, 4, 2) == pytest.approx(expected, abs=1e-3)
