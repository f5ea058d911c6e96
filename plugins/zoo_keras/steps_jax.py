"""The steps of trainer ``resident`` on JAX, with Keras's stateless model and optimizer.

On a GPU many steps are one ``lax.fori_loop``. On a processor each step is a call: inside a loop XLA's convolutions use
one thread and no library, and a step of the reference network takes 25 times as long.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray


def device_memory() -> int | None:
    """Return the bytes of memory of the device, None if it does not say, as a processor does not."""
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


def loops_are_fast() -> bool:
    """Return whether a step takes no longer inside a loop than by itself."""
    return jax.default_backend() != "cpu"


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
        self._single = jax.jit(self._step, donate_argnums=1)
        self._advance = self._in_a_loop if loops_are_fast() else self._one_by_one

    def run(self, order: NDArray[np.intp], first: int, last: int) -> tuple[float, float]:
        """Take some steps of an epoch; return sums of loss and of right answers."""
        import numpy as np

        loss = right = 0.0
        split = self._whole * self._batch_size
        for batches, begin, end in (
            (order[:split].reshape(-1, self._batch_size), first, min(last, self._whole)),
            (order[None, split:], 0, last - self._whole),  # the last one, which is smaller
        ):
            if begin >= end:
                continue
            state, seen = self._advance(batches, begin, end)
            for variables, values in zip(self._variables(), state, strict=True):
                for variable, value in zip(variables, values, strict=True):
                    variable.assign(value)
            # added up here, in float64, so that sums do not depend on how the steps were cut into calls
            sums = np.asarray(seen, np.float64).sum(axis=0)
            loss, right = loss + float(sums[0]), right + float(sums[1])
        return loss, right

    def _in_a_loop(self, batches: NDArray[np.intp], first: int, last: int) -> tuple[Any, Any]:
        """Take steps ``first`` to ``last - 1``; return the state and each step's sums."""
        state, seen = self._loop(self._state(), self._data, jnp.asarray(batches, jnp.int32), first, last)
        return state, seen[first:last]

    def _one_by_one(self, batches: NDArray[np.intp], first: int, last: int) -> tuple[Any, Any]:
        state, seen = self._state(), []
        for indices in batches[first:last]:
            state, sums = self._single(self._data, state, jnp.asarray(indices, jnp.int32))
            seen.append(sums)
        return state, seen

    def _variables(self) -> tuple[list[keras.Variable], ...]:
        return (self._model.trainable_variables, self._model.non_trainable_variables, self._optimizer.variables)

    def _state(self) -> tuple[list[Any], ...]:
        return tuple([variable.value for variable in variables] for variables in self._variables())

    def _take(self, state: Any, data: Any, batches: Any, first: Any, last: Any) -> tuple[Any, Any]:
        """Take steps ``first`` to ``last - 1``: one program, however many they are."""

        def take(step: Any, carried: Any) -> Any:
            state, seen = carried
            state, sums = self._step(data, state, batches[step])
            return state, seen.at[step].set(jnp.stack(sums))

        taken: tuple[Any, Any] = jax.lax.fori_loop(first, last, take, (state, jnp.zeros((len(batches), 2))))
        return taken

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
            return self._loss(truth, predicted) + sum(jnp.sum(each.astype(jnp.float32)) for each in extra), (
                predicted,
                others_now,
            )

        (_, (predicted, others)), gradients = jax.value_and_grad(loss_of, has_aux=True)(trainable)
        trainable, optimizer = self._optimizer.stateless_apply(optimizer, gradients, trainable)
        of_truth = jnp.sum(truth * predicted, axis=-1)
        entropies = -jnp.log(jnp.clip(of_truth, 1e-7, 1.0))
        right = jnp.argmax(predicted, axis=-1) == labels
        return (trainable, others, optimizer), (entropies.sum(), right.sum().astype(jnp.float32))
