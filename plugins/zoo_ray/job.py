"""The job that all workers of a training receive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras
    from zoo_keras import KerasTrainer

    from zoo import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """The job that all workers receive.

    Args:
        trainer: The trainer with its settings.
        config: How to train: epochs, batch size over all workers, optimizer, augmentations and so on.
        build: Function that builds the model under its dtype policy.
        folder: Current folder of the run, to which file names may be relative.
    """

    trainer: KerasTrainer
    config: TrainingConfig
    build: Callable[[], keras.Model]
    folder: str
