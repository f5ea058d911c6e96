"""The job that all workers of a training receive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras
    from zoo_keras import KerasTrainer


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """The job that all workers receive.

    Args:
        learning: The trainer with its settings.
        build: Function that builds the model under its dtype policy.
        folder: Current folder of the run, to which file names may be relative.
        steps: Number of steps in the whole run.
        batch_size: Batch size over all workers.
    """

    learning: KerasTrainer
    build: Callable[[], keras.Model]
    folder: str
    steps: int
    batch_size: int
