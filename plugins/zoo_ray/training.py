"""A training whose steps are done by workers, and whose state is here after each piece of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from zoo_keras import ResidentTraining, assign, values_of, variables_of

from zoo_ray.messages import WorkUnit, decode_arrays, encode_arrays

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import keras
    from numpy.typing import NDArray

    from zoo import Metrics, TrainingConfig
    from zoo_ray.engine import Engine


class RemoteSteps:
    """Steps that workers do: a piece is a state and the examples' order, and comes back as a state and sums.

    So nothing is lost with a worker, and whatever changes the variables here between two pieces, a callback or a
    resume, is known to the workers in the next.
    """

    def __init__(self, engine: Engine, variables: Mapping[str, keras.Variable], batch_size: int) -> None:
        """Hold what does them."""
        self._engine, self._variables, self._batch_size = engine, variables, batch_size
        self._number = 0
        self._state = b""  # what the last piece ended with

    def run(self, order: NDArray[np.intp], first: int, last: int) -> tuple[float, float]:
        """Take steps ``first`` to ``last - 1`` of an epoch; return the sums of loss and of right answers."""
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
        engine: Engine,
        count: int,
        settings: TrainingConfig,
    ) -> None:
        """Hold a model, its optimizer and what does the steps over so many examples."""
        steps = RemoteSteps(engine, variables_of(model, optimizer), settings.batch_size)
        super().__init__(model, optimizer, steps, count, settings)
        self._engine = engine

    def run_epoch(self, epoch: int, on_step: Callable[[int, Metrics], None], first_step: int = 0) -> Metrics:
        """Train one pass over the examples, or the rest of one; return its mean loss and accuracy."""
        metrics = super().run_epoch(epoch, on_step, first_step)
        if epoch + 1 == self._settings.epochs:
            self.close()  # what comes now, saving and testing, needs the processors
        return metrics

    def close(self) -> None:
        """End the workers."""
        self._engine.close()
