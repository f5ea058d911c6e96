"""A training whose steps run in workers, and whose state returns here after each work unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from zoo_keras import ResidentTraining, assign, values_of, variables_of

from zoo_ray.messages import WorkUnit, decode_arrays, encode_arrays

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import keras
    from numpy.typing import NDArray

    from zoo import TrainingConfig
    from zoo_ray.engine import Engine


class RemoteSteps:
    """Steps that run in workers: a work unit is a state and an order of examples, and its result a state and sums.

    So nothing is lost with a worker, and if a callback or a resume changes the variables here between two work units,
    the workers receive the changed variables.
    """

    def __init__(self, engine: Engine, variables: Mapping[str, keras.Variable], batch_size: int) -> None:
        """Store the engine that runs the steps, and the variables of the model."""
        self._engine, self._variables, self._batch_size = engine, variables, batch_size
        self._number = 0
        self._state = b""  # state at the end of the last work unit

    def run(self, order: NDArray[np.intp], first: int, last: int) -> tuple[float, float]:
        """Run steps ``first`` to ``last - 1`` of an epoch; return the sums of loss and of correct predictions."""
        state = encode_arrays(values_of(self._variables))
        taken = order[first * self._batch_size : last * self._batch_size].astype(np.int32)
        piece = WorkUnit(number=self._number, state=state, known=state == self._state, order=taken.tobytes())
        done = self._engine.train(piece)
        self._number, self._state = self._number + 1, done.state
        assign(self._variables, decode_arrays(done.state))
        return done.loss, done.right


class RayTraining(ResidentTraining):
    """A model being trained by `RayTrainer`."""

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        make_engine: Callable[[], Engine],
        count: int,
        settings: TrainingConfig,
    ) -> None:
        """Store a model, its optimizer, what starts the engine that runs the steps, and the number of examples."""
        self._engine: Engine | None = None

        def make_steps() -> RemoteSteps:
            self._engine = make_engine()
            return RemoteSteps(self._engine, variables_of(model, optimizer), settings.batch_size)

        super().__init__(model, optimizer, make_steps, count, settings)

    def close(self) -> None:
        """End the workers."""
        super().close()
        if self._engine is not None:
            self._engine.close()
            self._engine = None
