"""What all workers of a training are to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras
    from zoo_keras import KerasTrainer


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """What all workers are to do.

    Args:
        learning: The settings.
        build: Builds the model, under its dtype policy.
        folder: Current folder of the run, which names of files may be relative to.
        steps: Of the whole run.
        batch_size: Of all workers together.
    """

    learning: KerasTrainer
    build: Callable[[], keras.Model]
    folder: str
    steps: int
    batch_size: int
