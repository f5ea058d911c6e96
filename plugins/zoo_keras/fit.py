"""The trainer ``fit``: Keras's own ``Model.fit``, one epoch at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from zoo import Metrics, RunSettings, scale_pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import keras
    import numpy as np
    from numpy.typing import NDArray

    from zoo import Examples

_PREDICT_BATCH = 500  # bounds memory; always the same, since the last bits may depend on it


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Adam on categorical cross-entropy, through ``Model.fit``.

    The order of the examples and the random layers depend on the seed and the number of the epoch alone, so a run can
    be repeated, and gone on with, bit for bit.

    Args:
        learning_rate: Adam's step size; its other settings are Keras's defaults.
    """

    learning_rate: Annotated[float, Meta(gt=0)] = 1e-3

    def start(self, model: keras.Model, train: Examples, settings: RunSettings) -> FitTraining:
        """Compile the model and return its training."""
        import keras

        # the loss that Keras tells of includes regularization; Metrics.loss does not
        metrics = [
            keras.metrics.CategoricalCrossentropy(name="cross_entropy"),
            keras.metrics.CategoricalAccuracy(name="accuracy"),
        ]
        model.compile(
            optimizer=keras.optimizers.Adam(learning_rate=self.learning_rate),
            loss=keras.losses.CategoricalCrossentropy(),
            metrics=metrics,
        )
        # otherwise its variables are made in the first step, too late to restore them
        model.optimizer.build(model.trainable_variables)
        return FitTraining(model, metrics, train, settings)

    def predict(self, model: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
        """Return probabilities ``(n, num_classes)`` for images ``(n, height, width, channels)`` uint8."""
        import numpy as np

        if not len(images):
            return np.zeros((0, model.output_shape[-1]), np.float32)
        return np.concatenate(
            [
                np.asarray(model.predict_on_batch(scale_pixels(images[start : start + _PREDICT_BATCH])))
                for start in range(0, len(images), _PREDICT_BATCH)
            ]
        )


class FitTraining:
    """A model being trained by `Fit`."""

    def __init__(
        self, model: keras.Model, metrics: list[keras.metrics.Metric], train: Examples, settings: RunSettings
    ) -> None:
        """Hold a compiled model, the metrics it was compiled with, its examples and settings."""
        self._model = model
        self._metrics = metrics
        self._train = train
        self._settings = settings

    def run_epoch(self, epoch: int, on_step: Callable[[int, Metrics], None], first_step: int = 0) -> Metrics:
        """Train one pass over the examples, or the rest of one; return its mean loss and accuracy."""
        import keras

        from zoo_keras.batches import ShuffledBatches

        if not first_step:
            seed_random_layers(self._model, self._settings.seed, epoch)
            for metric in self._metrics:
                metric.reset_state()
        so_far = values_of(self._metric_variables())

        def on_epoch_begin(*_: object) -> None:  # Keras has just reset its metrics, if it knew them already
            assign(self._metric_variables(), so_far)

        def on_train_batch_end(batch: int, logs: Mapping[str, float]) -> None:
            on_step(first_step + batch + 1, _metrics(logs))

        batches = ShuffledBatches(
            self._train,
            self._settings.batch_size,
            (self._settings.seed, epoch),
            self._model.output_shape[-1],
            first=first_step,
        )
        try:
            history = self._model.fit(
                batches,
                initial_epoch=epoch,
                epochs=epoch + 1,
                shuffle=False,
                verbose=0,
                callbacks=[
                    keras.callbacks.LambdaCallback(on_epoch_begin=on_epoch_begin, on_train_batch_end=on_train_batch_end)
                ],
            )
        except Exception:
            if batches.error is not None:  # the backend has wrapped it beyond recognition
                raise batches.error from None
            raise
        return _metrics({name: values[-1] for name, values in history.history.items()})

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of the weights, the optimizer's variables, the random layers' states and the metrics so far."""
        return values_of(self._variables())

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Assign what `state` returned."""
        assign(self._variables(), state)

    def _variables(self) -> dict[str, keras.Variable]:
        return {
            **_numbered("model", self._model.weights),
            **_numbered("optimizer", self._model.optimizer.variables),
            **_numbered("seed", _random_states(self._model)),
            **self._metric_variables(),
        }

    def _metric_variables(self) -> dict[str, keras.Variable]:
        return _numbered("metric", [variable for metric in self._metrics for variable in metric.variables])


def values_of(variables: Mapping[str, keras.Variable]) -> dict[str, NDArray[Any]]:
    """Return copies of the values of variables."""
    import keras
    import numpy as np

    return {name: np.array(keras.ops.convert_to_numpy(variable.value)) for name, variable in variables.items()}


def assign(variables: Mapping[str, keras.Variable], values: Mapping[str, NDArray[Any]]) -> None:
    """Give variables their values by name."""
    for name, value in values.items():
        variables[name].assign(value)


def _numbered(owner: str, variables: list[keras.Variable]) -> dict[str, keras.Variable]:
    return {f"{owner}.{i:03d}": variable for i, variable in enumerate(variables)}


def _random_states(model: keras.Model) -> list[keras.Variable]:
    """Return the states of a model's seed generators, which Keras saves nowhere."""
    return [variable for variable in model.variables if variable.path.endswith("seed_generator_state")]


def seed_random_layers(model: keras.Model, seed: int, epoch: int) -> None:
    """Set the state of every seed generator in a model from the seed, the epoch and its position."""
    import numpy as np

    for position, state in enumerate(_random_states(model)):
        generator = np.random.default_rng([seed, epoch, position])
        state.assign(generator.integers(0, 2**32, size=state.shape, dtype=np.uint32))


def _metrics(logs: Mapping[str, float]) -> Metrics:
    return Metrics(loss=float(logs["cross_entropy"]), accuracy=float(logs["accuracy"]))
