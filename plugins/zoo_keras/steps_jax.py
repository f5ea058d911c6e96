"""The steps of trainer ``resident`` on JAX: one ``lax.scan`` over Keras's stateless model and optimizer."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray


def device_memory() -> int | None:
    """Return the bytes of memory of the device, None if it does not say."""
    statistics = jax.devices()[0].memory_stats() or {}
    return statistics.get("bytes_limit")


def keep_what_is_compiled() -> None:
    """Let JAX keep compiled code for later processes: for a GPU, compiling takes longer than training.

    A folder that is set already, with JAX_COMPILATION_CACHE_DIR for example, stays.
    """
    config: Any = jax.config
    if jax.default_backend() != "cpu" and not config.jax_compilation_cache_dir:
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        config.update("jax_compilation_cache_dir", os.path.join(cache, "keras-zoo", "jax"))


class JaxSteps:
    """Steps over images and labels that stay on the device."""

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        loss: keras.losses.Loss,
        images: NDArray[np.uint8],
        labels: NDArray[np.int32],
        batch_size: int,
    ) -> None:
        """Put the data on the device."""
        keep_what_is_compiled()
        self._model, self._optimizer, self._loss = model, optimizer, loss
        self._data = (jnp.asarray(images), jnp.asarray(labels))
        self._num_classes = model.output_shape[-1]
        self._batch_size = batch_size
        self._whole = len(labels) // batch_size  # steps with a batch of full size
        # the old state is of no use once there is a new one
        self._loop = jax.jit(self._take, donate_argnums=0)

    def run(self, order: NDArray[np.intp], first: int, last: int) -> tuple[float, float]:
        """Take some steps of an epoch; return sums of loss and of right answers."""
        loss = right = 0.0
        parts = []
        if first < (whole := min(last, self._whole)):
            parts.append(order[first * self._batch_size : whole * self._batch_size].reshape(-1, self._batch_size))
        if last > self._whole:
            parts.append(order[None, self._whole * self._batch_size :])
        for batches in parts:
            state, sums = self._loop(self._state(), self._data, jnp.asarray(batches, jnp.int32))
            for variables, values in zip(self._variables(), state, strict=True):
                for variable, value in zip(variables, values, strict=True):
                    variable.assign(value)
            loss, right = loss + float(sums[0]), right + float(sums[1])
        return loss, right

    def _variables(self) -> tuple[list[keras.Variable], ...]:
        return (self._model.trainable_variables, self._model.non_trainable_variables, self._optimizer.variables)

    def _state(self) -> tuple[list[Any], ...]:
        return tuple([variable.value for variable in variables] for variables in self._variables())

    def _take(self, state: Any, data: Any, batches: Any) -> tuple[Any, Any]:
        state, sums = jax.lax.scan(partial(self._step, data), state, batches)
        return state, jax.tree.map(jnp.sum, sums)

    def _step(self, data: Any, state: Any, indices: Any) -> tuple[Any, Any]:
        """Train on a batch; return the sums of its cross-entropies, without smoothing, and of its right answers."""
        trainable, others, optimizer = state
        images = data[0][indices].astype(jnp.float32) / 255.0
        labels = data[1][indices]
        truth = jax.nn.one_hot(labels, self._num_classes)

        def loss_of(trainable: Any) -> tuple[Any, Any]:
            predicted, others_now, extra = self._model.stateless_call(
                trainable, others, images, training=True, return_losses=True
            )
            predicted = predicted.astype(jnp.float32)
            return self._loss(truth, predicted) + sum(extra), (predicted, others_now)

        (_, (predicted, others)), gradients = jax.value_and_grad(loss_of, has_aux=True)(trainable)
        trainable, optimizer = self._optimizer.stateless_apply(optimizer, gradients, trainable)
        of_truth = jnp.sum(truth * predicted, axis=-1)
        entropies = -jnp.log(jnp.clip(of_truth, 1e-7, 1.0))
        right = jnp.argmax(predicted, axis=-1) == labels
        return (trainable, others, optimizer), (entropies.sum(), right.sum().astype(jnp.float32))
