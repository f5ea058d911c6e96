"""The steps of trainer ``resident`` on JAX, with Keras's stateless model and optimizer.

On a GPU, many steps run in one ``lax.fori_loop``. On a CPU, each step is a separate call: inside a loop, XLA's
convolutions use one thread and no library, and a step of the reference network takes 25 times as long.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from zoo_keras.steps import Steps

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray


def device_memory() -> int | None:
    """Return the memory of the device in bytes, or None if it does not report it, as CPUs do not."""
    statistics = jax.devices()[0].memory_stats() or {}
    return statistics.get("bytes_limit")


def keep_what_is_compiled() -> None:
    """Enable JAX's persistent compilation cache on GPUs, where compiling takes longer than training.

    A cache folder that is already set, for example with JAX_COMPILATION_CACHE_DIR, is kept.
    """
    config: Any = jax.config
    if jax.default_backend() != "cpu" and not config.jax_compilation_cache_dir:
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        config.update("jax_compilation_cache_dir", os.path.join(cache, "keras-zoo", "jax"))


def loops_are_fast() -> bool:
    """Return whether a step in a loop is as fast as a separate call."""
    return jax.default_backend() != "cpu"


class JaxSteps(Steps):
    """Steps over images and labels that stay on the device."""

    def _put(self, images: NDArray[np.uint8], labels: NDArray[np.int32]) -> None:
        keep_what_is_compiled()
        self._data = (jnp.asarray(images), jnp.asarray(labels))
        # the old state is not needed once there is a new one
        self._loop = jax.jit(self._many, donate_argnums=0)
        self._single = jax.jit(self._step, donate_argnums=1)
        self._advance = self._in_a_loop if loops_are_fast() else self._one_by_one

    def _take(self, batches: NDArray[np.intp], first: int, last: int) -> tuple[float, float]:
        state, seen = self._advance(batches, first, last)
        for variables, values in zip(self._variables(), state, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        loss, right = np.asarray(seen, np.float64).sum(axis=0)
        return float(loss), float(right)

    def _in_a_loop(self, batches: NDArray[np.intp], first: int, last: int) -> tuple[Any, Any]:
        """Run steps ``first`` to ``last - 1``; return the state and each step's sums."""
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

    def _many(self, state: Any, data: Any, batches: Any, first: Any, last: Any) -> tuple[Any, Any]:
        """Run steps ``first`` to ``last - 1`` in one program that serves any number of steps."""

        def take(step: Any, carried: Any) -> Any:
            state, seen = carried
            state, sums = self._step(data, state, batches[step])
            return state, seen.at[step].set(jnp.stack(sums))

        taken: tuple[Any, Any] = jax.lax.fori_loop(first, last, take, (state, jnp.zeros((len(batches), 2))))
        return taken

    def _step(self, data: Any, state: Any, indices: Any) -> tuple[Any, Any]:
        """Train on a batch; return the sums of its cross-entropies, without smoothing, and correct predictions."""
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
