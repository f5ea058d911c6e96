"""The trainer ``resident``: the dataset on the device, and many steps in one compiled call."""

from __future__ import annotations

import dataclasses
import time
import warnings
from typing import TYPE_CHECKING, Any

from zoo import Metrics, SettingError, TrainingConfig
from zoo.data import check_labels
from zoo.errors import ZooWarning
from zoo.utils import usable_memory
from zoo_keras.fit import Fit
from zoo_keras.keras_trainer import KerasTrainer
from zoo_keras.training import KerasTraining, averaged_weights
from zoo_keras.variables import assign, order_of, seed_random_layers, values_of, variables_of

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Mapping

    import keras
    import numpy as np
    from numpy.typing import NDArray

    from zoo.interfaces import Examples
    from zoo_keras.steps import Steps, StepsOfEpoch

_READ = 5_000  # examples read at a time
_SHARE = 0.25  # share of the device's memory that the data may use
_PAUSE = 1.0  # approximate seconds between progress reports


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resident(KerasTrainer):
    """Like `Fit`, with the data on the device as uint8 and about one second of steps per compiled call."""

    def begin(self, model: keras.Model, train: Examples, settings: TrainingConfig) -> KerasTraining:
        """Return a training; if the data do not fit on the device, warn and return that of `Fit`."""
        import keras
        import numpy as np

        make = _steps_of(keras.backend.backend())
        size = len(train) * train[np.arange(1)][0].nbytes
        if size > _SHARE * device_memory():
            warnings.warn(
                f"The training images take {size:.2g} bytes, more than a quarter of the device's memory, so trainer "
                "fit is used instead. Select it with `--trainer fit` to avoid this warning.",
                ZooWarning,
                stacklevel=2,
            )
            same = {field.name: getattr(self, field.name) for field in dataclasses.fields(KerasTrainer)}
            return Fit(**same).begin(model, train, settings)
        optimizer = self.make_optimizer(settings, model, -(-len(train) // settings.batch_size))
        net = self.augmented(settings, model, train)
        loss = self.make_loss(settings, net, train)

        def make_steps() -> Steps:
            images, labels = read_all(train, net.output_shape[-1])
            return make(net, optimizer, loss, images, labels, settings.batch_size)

        return ResidentTraining(net, optimizer, make_steps, len(train), settings)


class ResidentTraining(KerasTraining):
    """A model being trained by `Resident`."""

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        make_steps: Callable[[], StepsOfEpoch],
        count: int,
        settings: TrainingConfig,
    ) -> None:
        """Store a model, its optimizer, what makes its compiled steps, and the number of examples."""
        self._model, self._optimizer, self._make_steps = model, optimizer, make_steps
        self._compiled: StepsOfEpoch | None = None
        self._count, self._settings = count, settings
        self._steps = -(-count // settings.batch_size)
        self._sums = (0.0, 0.0)  # of this epoch: loss, correct predictions
        self._at_once = 1  # number of steps that take about `_PAUSE` seconds
        self._is_warm = False

    def run_epoch(self, epoch: int, on_step: Callable[[int, Metrics], None], first_step: int = 0) -> Metrics:
        """Train for one epoch, or for the remaining steps of one; return its mean loss and accuracy."""
        if self._compiled is None:
            self._compiled = self._make_steps()
        if not first_step:
            seed_random_layers(self._model, self._settings.seed, epoch)
            self._sums = (0.0, 0.0)
        order, step = order_of(self._settings.seed, epoch, self._count), first_step
        while True:
            last, started = min(step + self._at_once, self._steps), time.perf_counter()
            loss, right = self._compiled.run(order, step, last)
            self._sums = (self._sums[0] + loss, self._sums[1] + right)
            if self._is_warm:  # the first call compiles
                seconds = time.perf_counter() - started
                self._at_once = max(1, min(round((last - step) * _PAUSE / seconds), 2 * self._at_once))
            self._is_warm, step = True, last
            seen = min(step * self._settings.batch_size, self._count)
            metrics = Metrics(loss=self._sums[0] / seen, accuracy=self._sums[1] / seen)
            on_step(step, metrics)
            if step == self._steps:
                return metrics

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of the weights, optimizer variables, states of random layers and metrics so far."""
        import numpy as np

        return {**values_of(self._variables()), "sums": np.array(self._sums)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore a `state`."""
        assign(self._variables(), state)
        self._sums = (float(state["sums"][0]), float(state["sums"][1]))

    def averaged(self) -> contextlib.AbstractContextManager[None]:
        """Return a context in which the model has its averaged weights, if the optimizer averages them."""
        return averaged_weights(self._model, self._optimizer)

    @property
    def optimizer(self) -> keras.optimizers.Optimizer:
        """The optimizer, built."""
        return self._optimizer

    def close(self) -> None:
        """Free the data on the device."""
        self._compiled = None

    def _variables(self) -> dict[str, keras.Variable]:
        return variables_of(self._model, self._optimizer)


def device_memory() -> int:
    """Return the memory of the backend's accelerator, or without one the memory this process may use, in bytes."""
    import keras

    known = None
    if keras.backend.backend() == "jax":
        from zoo_keras import steps_jax

        known = steps_jax.device_memory()
    elif keras.backend.backend() == "tensorflow":
        from zoo_keras import steps_tensorflow

        known = steps_tensorflow.device_memory()
    return usable_memory() if known is None else known


def _steps_of(backend: str) -> type[Steps]:
    if backend == "tensorflow":
        from zoo_keras.steps_tensorflow import TensorflowSteps

        return TensorflowSteps
    if backend == "jax":
        from zoo_keras.steps_jax import JaxSteps

        return JaxSteps
    raise SettingError(
        "Trainer resident requires the TensorFlow or JAX backend. Set KERAS_BACKEND to tensorflow or jax. "
        f"Received: KERAS_BACKEND={backend}"
    )


def read_all(train: Examples, num_classes: int) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Read all images ``(n, height, width, channels)`` and labels ``(n,)``, and check the labels."""
    import numpy as np

    shape = train[np.arange(1)][0].shape[1:]
    images, labels = np.empty((len(train), *shape), np.uint8), np.empty(len(train), np.int32)
    for start in range(0, len(train), _READ):
        part = np.arange(start, min(start + _READ, len(train)))
        images[part], truth = train[part]
        check_labels(truth, num_classes)
        labels[part] = truth
    return images, labels
