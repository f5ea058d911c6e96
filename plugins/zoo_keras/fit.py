"""The trainer ``fit``: Keras's own ``Model.fit``, one epoch at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo import Metrics, TrainingConfig
from zoo_keras.bias_gradients import float32_bias_gradients
from zoo_keras.keras_trainer import KerasTrainer
from zoo_keras.training import KerasTraining, averaged_weights
from zoo_keras.variables import assign, numbered, seed_random_layers, values_of, variables_of

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Mapping

    import keras
    from numpy.typing import NDArray

    from zoo.interfaces import Examples


@dataclass(frozen=True, kw_only=True)
class Fit(KerasTrainer):
    """Trains through Keras's own ``Model.fit``.

    The order of the examples and the random layers depend only on the seed and the epoch number, so a run can be
    repeated and resumed bit for bit.
    """

    def begin(self, model: keras.Model, train: Examples, settings: TrainingConfig) -> FitTraining:
        """Return a training."""
        optimizer = self.make_optimizer(settings, model, -(-len(train) // settings.batch_size))
        net = self.augmented(settings, model, train)
        return FitTraining(net, optimizer, self.make_loss(settings, net, train), train, settings)


class FitTraining(KerasTraining):
    """A model being trained by `Fit`."""

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        loss: keras.losses.Loss,
        train: Examples,
        settings: TrainingConfig,
    ) -> None:
        """Store a model, its optimizer and loss, the examples and the settings."""
        import keras

        self._model, self._optimizer, self._loss = model, optimizer, loss
        self._train, self._settings = train, settings
        # Keras's own loss includes regularization; Metrics.loss does not
        self._metrics = [
            keras.metrics.CategoricalCrossentropy(name="cross_entropy"),
            keras.metrics.CategoricalAccuracy(name="accuracy"),
        ]
        self._is_compiled = False

    @property
    def optimizer(self) -> keras.optimizers.Optimizer:
        """The optimizer, built."""
        return self._optimizer

    def run_epoch(self, epoch: int, on_step: Callable[[int, Metrics], None], first_step: int = 0) -> Metrics:
        """Train for one epoch, or for the remaining steps of one; return its mean loss and accuracy."""
        import keras

        from zoo_keras.batches import ShuffledBatches, as_fit_takes_them

        if not self._is_compiled:
            self._model.compile(optimizer=self._optimizer, loss=self._loss, metrics=self._metrics)
            self._is_compiled = True
        if not first_step:
            seed_random_layers(self._model, self._settings.seed, epoch)
            for metric in self._metrics:
                metric.reset_state()
        so_far = values_of(self._metric_variables())
        optimizer = self._optimizer
        averages = optimizer.use_ema

        def on_epoch_begin(*_: object) -> None:  # Keras has just reset any metrics that it already tracks
            assign(self._metric_variables(), so_far)

        def on_train_batch_end(batch: int, logs: Mapping[str, float]) -> None:
            if hasattr(self._model, "jax_state_sync"):  # on JAX, variables have no values within an epoch
                self._model.jax_state_sync()
            on_step(first_step + batch + 1, _metrics(logs))

        def on_epoch_end(*_: object) -> None:  # `fit` would replace the weights by their averages when it ends
            optimizer.use_ema = False

        callback = keras.callbacks.LambdaCallback(
            on_epoch_begin=on_epoch_begin, on_epoch_end=on_epoch_end, on_train_batch_end=on_train_batch_end
        )
        batches = ShuffledBatches(
            self._train,
            self._settings.batch_size,
            (self._settings.seed, epoch),
            self._model.output_shape[-1],
            first=first_step,
        )
        try:
            with float32_bias_gradients(), as_fit_takes_them(batches) as data:
                history = self._model.fit(
                    data, initial_epoch=epoch, epochs=epoch + 1, shuffle=False, verbose=0, callbacks=[callback]
                )
        except Exception:
            if batches.error is not None:  # the backend's own exception hides it
                raise batches.error from None
            raise
        finally:
            optimizer.use_ema = averages
        return _metrics({name: values[-1] for name, values in history.history.items()})

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of the weights, optimizer variables, states of random layers and metrics so far."""
        return values_of(self._variables())

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore a `state`."""
        assign(self._variables(), state)

    def averaged(self) -> contextlib.AbstractContextManager[None]:
        """Return a context in which the model has its averaged weights, if the optimizer averages them."""
        return averaged_weights(self._model, self._optimizer)

    def _variables(self) -> dict[str, keras.Variable]:
        return {**variables_of(self._model, self._optimizer), **self._metric_variables()}

    def _metric_variables(self) -> dict[str, keras.Variable]:
        return numbered("metric", [variable for metric in self._metrics for variable in metric.variables])


def _metrics(logs: Mapping[str, float]) -> Metrics:
    return Metrics(loss=float(logs["cross_entropy"]), accuracy=float(logs["accuracy"]))
