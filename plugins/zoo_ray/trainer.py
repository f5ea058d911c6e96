"""The trainer ``ray``: one model, with each batch split over worker processes."""

from __future__ import annotations

import importlib.util
import os
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta
from zoo_keras import KerasTrainer, read_all

from zoo import SettingError, TrainingConfig
from zoo.errors import ZooWarning
from zoo.utils import missing_extra, usable_memory
from zoo_ray.addresses import is_address
from zoo_ray.engine import Engine
from zoo_ray.job import TrainingJob
from zoo_ray.messages import Start
from zoo_ray.sending import serialize_job
from zoo_ray.statistics import statistics_of
from zoo_ray.training import RayTraining

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras

    from zoo.interfaces import Examples

_SHARE = 0.25  # share of the memory that the data may use, three times: as read, in a temporary file, in Ray's store


@dataclass(frozen=True, kw_only=True)
class RayTrainer(KerasTrainer):
    """Like `Fit`, with each batch split over workers whose gradients are summed.

    Args:
        workers: Number of processes that share every batch.
        threads: Threads of each worker, and CPUs that it reserves on the cluster; None for an equal share of those
            available.
        address: Address of a Ray cluster: ``"10.0.0.1:6379"``, or ``"auto"`` for the one that this machine belongs to.
            None or ``"local"`` starts the run's own cluster, on this machine only.
        patience: Seconds without a finished step after which the run ends with an error.
        restarts: How often, in the whole run, workers that died are restarted.
    """

    workers: Annotated[int, Meta(ge=1, le=1000)] = 2
    threads: Annotated[int, Meta(ge=1, le=1024)] | None = None
    address: str | None = None
    patience: Annotated[float, Meta(gt=0, le=86_400)] = 300.0
    restarts: Annotated[int, Meta(ge=0, le=1000)] = 3

    def begin(self, model: keras.Model, train: Examples, settings: TrainingConfig) -> RayTraining:
        """Return a training, which starts the workers.

        Raises:
            PluginError: Ray is not installed, or the model's builder cannot be sent to other processes.
            SettingError: The backend or a setting is not supported, or the data do not fit into memory.
        """
        build, address = self._checked_build(train, settings), self._cluster()
        optimizer = self.make_optimizer(settings, model, -(-len(train) // settings.batch_size))
        if self.workers > 1 and statistics_of(model):
            warnings.warn(
                "The model uses batch statistics (batch normalization). Each worker computes them from its own share "
                "of a batch, so the result is close to that of trainer fit, but not the same.",
                ZooWarning,
                stacklevel=2,
            )
        net = self.augmented(settings, model, train)
        start = Start(
            job=serialize_job(TrainingJob(trainer=self, config=settings, build=build, folder=os.getcwd())),
            workers=self.workers,
            threads=self.threads,
            address=address,
            patience=self.patience,
            restarts=self.restarts,
            folder="",
        )
        num_classes = model.output_shape[-1]
        return RayTraining(net, optimizer, lambda: Engine(start, *read_all(train, num_classes)), len(train), settings)

    def _cluster(self) -> str | None:
        """Return the address of the cluster, or None for the run's own."""
        address, named = self.address or "", f"trainer.address={self.address!r}"
        if address == "auto" and os.environ.get("RAY_ADDRESS"):  # as Ray itself does
            address = os.environ["RAY_ADDRESS"]
            named += f", RAY_ADDRESS={address!r}"
        if self.address is not None and not is_address(address):
            raise SettingError(
                f"The address of a Ray cluster must be HOST:PORT, auto or local. Received: {named}",
                name="trainer.address",
                value=self.address,
            )
        return None if address in ("", "local") else address

    def _checked_build(self, train: Examples, settings: TrainingConfig) -> Callable[[], keras.Model]:
        """Raise an error for unsupported settings; return the function that builds the model."""
        import keras
        import numpy as np

        if importlib.util.find_spec("ray") is None:
            raise missing_extra("Trainer ray", "ray", "no module named 'ray'")
        if keras.backend.backend() != "tensorflow":
            raise SettingError(
                "Trainer ray requires the TensorFlow backend. Set KERAS_BACKEND=tensorflow. "
                f"Received: KERAS_BACKEND={keras.backend.backend()}"
            )
        if settings.build is None:
            raise SettingError(
                "Trainer ray builds the model again in each worker. Set `TrainingConfig.build`. Received: build=None"
            )
        if settings.batch_size < self.workers:
            raise SettingError(
                f"A batch of {settings.batch_size} images cannot be split over {self.workers} workers. Use fewer "
                "workers or a larger batch. "
                f"Received: batch_size={settings.batch_size}, trainer.workers={self.workers}",
                name="trainer.workers",
                value=self.workers,
            )
        size = len(train) * train[np.arange(1)][0].nbytes
        if size > _SHARE * usable_memory():
            raise SettingError(
                f"The training images take {size:.2g} bytes, more than a quarter of the usable memory, and every node "
                "must hold them. Use trainer fit. Received: trainer=ray"
            )
        return settings.build
