"""The learning rates of a schedule, as numbers and as a line of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.recipes.components import default_component
from zoo.training.learning import make_schedule, rate_at

if TYPE_CHECKING:
    from zoo.recipes.components import Component
    from zoo.recipes.resolution import ResolvedRecipe
    from zoo.registry.catalog import Registered
    from zoo.registry.entries import Entry

_STEPS = 100  # per epoch; a schedule's shape hardly depends on it
_BARS = " ▁▂▃▄▅▆▇█"
_WIDTH = 60
_EPOCHS = 20  # for a schedule that is not part of a recipe


def rates_of_recipe(recipe: ResolvedRecipe) -> list[float]:
    """Return the learning rate at `_WIDTH` places of a run, evenly spaced; empty if the trainer has no schedule.

    Raises:
        PluginError: The schedule fails, or a rate is not a finite number of at least 0.
    """
    if recipe.schedule is None or recipe.optimizer is None:
        return []
    return _rates(recipe.schedule, recipe.optimizer.settings["learning_rate"], recipe.epochs)


def rates_of_schedule(registered: Registered[Entry]) -> list[float]:
    """Return the learning rates of a schedule with its default settings, a peak of 1 and 20 epochs.

    Raises:
        PluginError: As for `rates_of_recipe`.
        SettingError: A setting has no default.
    """
    return _rates(default_component(registered), 1.0, _EPOCHS)


def _rates(schedule: Component, peak: float, epochs: int) -> list[float]:
    import numpy as np

    steps = epochs * _STEPS
    made = make_schedule(schedule, peak, epochs, _STEPS)
    return [rate_at(schedule, made, int(step), steps) for step in np.linspace(0, steps - 1, _WIDTH).round()]


def as_bars(rates: list[float]) -> str:
    """Return rates as a line of bars, with the first, highest and last rate: ``"▁▄█▄▁  0 to 0.005 to 0"``."""
    highest = max(rates)
    bars = "".join(_BARS[round(rate / highest * (len(_BARS) - 1))] if highest else _BARS[0] for rate in rates)
    ends = list(dict.fromkeys(f"{rate:.3g}" for rate in (rates[0], highest, rates[-1])))
    return f"{bars}  {' to '.join(ends)}"
