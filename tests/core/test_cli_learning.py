"""The command line's side of how a model learns: schedules drawn, and names that people bring along."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pytest

from tests.support.command_line import Zoo
from tests.support.golden import Golden
from tests.support.small_recipe import SMALL
from zoo import Entry, Registry


@pytest.mark.parametrize(
    ("schedule", "first", "highest", "last"),
    [("constant", 1, 1, 1), ("one-cycle", 0, 1, 0), ("cosine", 1, 1, 0), ("linear", 1, 1, 0), ("step", 1, 1, 1)],
)
def test_schedule_is_drawn(run_zoo: Zoo, schedule: str, first: float, highest: float, last: float) -> None:
    (about,) = json.loads(run_zoo("show", schedule, "--rates", "--json").out)
    rates = about["rates"]
    assert [rates[0], max(rates), rates[-1]] == pytest.approx([first, highest, last], abs=0.02)
    text = run_zoo("show", schedule, "--rates").out
    assert "█" in text


def test_rates_of_a_recipe_are_those_of_its_optimizer(run_zoo: Zoo) -> None:
    (about,) = json.loads(run_zoo("show", "fashion-cnn-fast", "--rates", "--json").out)
    assert max(about["rates"]) == pytest.approx(5e-3, rel=0.02)


@pytest.mark.parametrize(
    "rate",
    [
        lambda step: -1.0,
        lambda step: float("nan"),
        lambda step: 1 - step / 1_000,
        float("inf"),
        "fast",
    ],
    ids=["negative", "NaN", "negative at the end", "infinite", "text"],
)
def test_rate_that_cannot_be_drawn_is_an_error(run_zoo: Zoo, golden: Golden, registry: Registry, rate: Any) -> None:
    def bad(learning_rate: float, epochs: int, steps_per_epoch: int) -> Any:
        return rate

    registry.schedules.add(Entry(name="bad", target=bad, summary="Bad."))
    done = run_zoo("show", "bad", "--rates")
    assert (done.status, done.out) == (1, "")
    assert [line.startswith("Error: ") for line in done.err.splitlines() if line != "loading Keras"] == [True]
    golden.says(done.err.splitlines()[-1])


def test_rates_of_what_has_none_are_refused(run_zoo: Zoo, golden: Golden) -> None:
    done = run_zoo("show", "plateau", "--rates")
    assert (done.status, done.out) == (2, "")
    golden.says(done.err.splitlines()[-1])


def test_rates_of_a_recipe_without_a_schedule_are_none(run_zoo: Zoo, registry: Registry) -> None:
    registry.trainers.add(Entry(name="plain", target=lambda: None, summary="Has its own optimizer."))
    registry.recipes.add(dataclasses.replace(SMALL, name="scheduled-by-itself", trainer="plain", settings={}))
    done = run_zoo("show", "scheduled-by-itself", "--rates")
    assert done.status == 0
    assert re.search("^rates +none: the trainer uses no schedule$", done.out, re.M)


@pytest.mark.parametrize("option", ["--lr", "--weights", "--patience", "--scheduler", "--weight-decay"])
def test_option_of_other_programs_has_a_hint(run_zoo: Zoo, golden: Golden, option: str) -> None:
    done = run_zoo("train", "small", option, "3")
    assert done.status == 2
    golden.says(done.err.splitlines()[-1])


@pytest.mark.parametrize(
    "setting", ["trainer.lr", "lr", "trainer.learning_rate", "trainer.weight_decay", "model.label_smoothing"]
)
def test_setting_of_another_component_has_a_hint(run_zoo: Zoo, golden: Golden, setting: str) -> None:
    done = run_zoo("train", "small", "--set", f"{setting}=0.1")
    assert done.status == 1
    golden.says(done.err)
