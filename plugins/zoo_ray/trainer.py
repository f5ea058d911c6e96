"""The trainer ``ray``: one model, its batches shared out over worker processes."""

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

_SHARE = 0.25  # of a machine's memory that the data may take, three times: read, for workers, and a file in memory


@dataclass(frozen=True, kw_only=True)
class RayTrainer(KerasTrainer):
    """What `Fit` does, with each batch shared out over workers, whose gradients are added up.

    Args:
        workers: Processes that take a share of every batch.
        threads: Threads that each computes with; none for an equal share of the processors there are.
        address: Of a Ray cluster, ``"10.0.0.1:6379"``, or ``"auto"`` for the one that this machine is in; none, or
            ``"local"``, for processes on this machine alone.
        patience: Seconds without a finished step after which the run ends with an error.
        restarts: How often workers that died are started again.
    """

    workers: Annotated[int, Meta(ge=1, le=1000)] = 2
    threads: Annotated[int, Meta(ge=1, le=1024)] | None = None
    address: str | None = None
    patience: Annotated[float, Meta(gt=0, le=86_400)] = 300.0
    restarts: Annotated[int, Meta(ge=0, le=1000)] = 3

    def start(self, model: keras.Model, train: Examples, settings: TrainingConfig) -> RayTraining:
        """Start the workers and return a training.

        Raises:
            PluginError: Ray is not installed, or the model's builder cannot be sent to other processes.
            SettingError: The batches cannot be shared out so, or the data do not fit into memory.
        """
        build, address = self._checked_build(model, train, settings), self._cluster()
        steps = settings.epochs * -(-len(train) // settings.batch_size)
        optimizer = self.make_optimizer(steps)
        optimizer.build(model.trainable_variables)
        model.optimizer = optimizer  # where callbacks look for it
        net = self.augmented(model, train)
        images, labels = read_all(train, model.output_shape[-1])
        job = TrainingJob(learning=self, build=build, folder=os.getcwd(), steps=steps, batch_size=settings.batch_size)
        engine = Engine(
            Start(
                job=serialize_job(job),
                workers=self.workers,
                threads=self.threads,
                address=address,
                patience=self.patience,
                restarts=self.restarts,
                folder="",
            ),
            images,
            labels,
        )
        return RayTraining(net, optimizer, engine, len(train), settings)

    def _cluster(self) -> str | None:
        """Return the address of the cluster to work on, None for one of our own."""
        address, named = self.address or "", f"trainer.address={self.address!r}"
        if address == "auto" and os.environ.get("RAY_ADDRESS"):  # as Ray has it
            address = os.environ["RAY_ADDRESS"]
            named += f", RAY_ADDRESS={address!r}"
        if self.address is not None and not is_address(address):
            raise SettingError(f"The address of a cluster is HOST:PORT, auto or local. Received: {named}")
        return None if address in ("", "local") else address

    def _checked_build(
        self, model: keras.Model, train: Examples, settings: TrainingConfig
    ) -> Callable[[], keras.Model]:
        """Refuse what cannot be done; return what builds the model."""
        import keras
        import numpy as np

        if importlib.util.find_spec("ray") is None:
            raise missing_extra("Trainer ray", "ray", "no module named 'ray'")
        if keras.backend.backend() != "tensorflow":
            raise SettingError(
                f"The trainer ray needs the backend tensorflow. Received: KERAS_BACKEND={keras.backend.backend()}"
            )
        if settings.build is None:
            raise SettingError(
                "The trainer ray builds the model anew in each worker: give it a builder. Received: build=None"
            )
        if settings.batch_size < self.workers:
            raise SettingError(
                f"A batch of {settings.batch_size} cannot be shared out over {self.workers} workers: take fewer, "
                f"or a larger batch. Received: batch_size={settings.batch_size}, trainer.workers={self.workers}"
            )
        size = len(train) * train[np.arange(1)][0].nbytes
        if size > _SHARE * usable_memory():
            raise SettingError(
                f"The training images take {size:.2g} bytes, and each node must hold them all: take trainer fit. "
                "Received: trainer=ray"
            )
        if self.workers > 1 and statistics_of(model):
            warnings.warn(
                "The model has statistics of batches (batch normalization): each worker takes those of its own share "
                "of a batch, so the result is near that of trainer fit, and not the same.",
                ZooWarning,
                stacklevel=3,
            )
        return settings.build
