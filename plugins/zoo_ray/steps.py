"""A worker's share of each step: gradients of its slice of the batch, summed over all workers and applied by each.

Only the sum goes through TensorFlow's strategy, as one vector; each process has its own variables. So layers and
optimizers work as in a single process, and all workers have the same variables after each step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from zoo_keras import assign, training_operations, values_of, variables_of

from zoo_ray.statistics import statistics_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import keras
    from numpy.typing import NDArray

    from zoo import ArrayExamples
    from zoo_ray.job import TrainingJob

_GOLDEN = 0x9E3779B9  # its multiples modulo 2**32 are far apart


class SharedSteps:
    """The steps of one worker."""

    def __init__(
        self,
        strategy: tf.distribute.MultiWorkerMirroredStrategy,
        job: TrainingJob,
        examples: ArrayExamples,
        rank: int,
        workers: int,
    ) -> None:
        """Build the model and its optimizer."""
        self._strategy, self._job, self._examples = strategy, job, examples
        self._rank, self._workers = rank, workers
        model = job.build()
        self._num_classes = model.output_shape[-1]
        config, steps = job.config, -(-len(examples) // job.config.batch_size)
        self._optimizer = job.trainer.make_optimizer(config, model, steps)
        self._model = job.trainer.augmented(config, model, examples)
        self._loss = job.trainer.make_loss(config, self._model, examples)
        self._averages = statistics_of(model)  # each worker computes them from its own slice
        shape = examples.images.shape[1:]
        signature = [tf.TensorSpec((None, *shape), tf.uint8)]
        signature += [tf.TensorSpec((None,), tf.int32), tf.TensorSpec((), tf.float32), tf.TensorSpec((), tf.float32)]
        self._step = tf.function(self._take, input_signature=signature)

    def run(self, batch: NDArray[np.intp]) -> tuple[float, float]:
        """Run a step; return the whole batch's sums of cross-entropies, without smoothing, and correct predictions."""
        mine = np.array_split(batch, self._workers)[self._rank]
        count = len(mine)
        # an empty slice gets one example with weight 0, because layers need at least one
        images, labels = self._examples[mine if count else batch[:1]]
        loss, right = self._step(images, labels.astype(np.int32), np.float32(count), np.float32(len(batch))).numpy()
        return float(loss), float(right)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the variables as the first worker has them."""
        return self._with_own_seeds(values_of(self._variables()))

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore a `state`."""
        assign(self._variables(), self._with_own_seeds(state))

    def _variables(self) -> dict[str, keras.Variable]:
        return variables_of(self._model, self._optimizer)

    def _with_own_seeds(self, values: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return values with the states of random layers converted to this worker's own, or back.

        The first number of a state is the seed, and the second counts the draws, of which all workers make equally
        many. So one state represents those of all workers. With the same seed, every worker would drop out the same
        positions of its slice.
        """
        own = self._rank * _GOLDEN % 2**32
        return {
            name: np.array([int(value[0]) ^ own, value[1]], value.dtype) if name.startswith("seed.") else value
            for name, value in values.items()
        }

    def _take(self, images: Any, labels: Any, count: Any, of_batch: Any) -> Any:
        truth = tf.one_hot(labels, self._num_classes)
        present = tf.fill(tf.shape(labels), tf.minimum(count, 1.0))
        before = [tf.identity(average.value) for average in self._averages]
        with training_operations(), tf.GradientTape() as tape:
            predicted = tf.cast(self._model(tf.cast(images, tf.float32) / 255.0, training=True), tf.float32)
            # a mean over the slice, rescaled to its share of the mean over the whole batch
            loss = self._loss(truth, predicted, sample_weight=present) * tf.reduce_sum(present) / of_batch
            for extra in self._model.losses:  # regularization: each worker adds its share
                loss += tf.reduce_sum(tf.cast(extra, tf.float32)) * count / of_batch
        variables = self._model.trainable_variables
        gradients = tape.gradient(loss, variables)
        used = [(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None]
        entropies = -tf.math.log(tf.clip_by_value(tf.reduce_sum(truth * predicted, axis=-1), 1e-7, 1.0))
        right = tf.cast(tf.equal(tf.argmax(predicted, axis=-1, output_type=tf.int32), labels), tf.float32)
        parts = [tf.convert_to_tensor(gradient) for gradient, _ in used]
        # sums of changes, not of values, so that an average which no worker changes keeps its exact bits
        parts += [(now.value - old) * (count / of_batch) for now, old in zip(self._averages, before, strict=True)]
        parts.append(tf.stack([tf.reduce_sum(entropies * present), tf.reduce_sum(right * present)]))
        *sums, metrics = self._sum_over_workers(parts)
        for average, old, change in zip(self._averages, before, sums[len(used) :], strict=True):
            average.assign(old + change)
        self._optimizer.apply(sums[: len(used)], [variable for _, variable in used])
        return metrics

    def _sum_over_workers(self, parts: list[Any]) -> list[Any]:
        vector = tf.concat([tf.reshape(part, [-1]) for part in parts], 0)
        total = self._strategy.run(_all_reduce, args=(vector,))
        sizes = [tf.size(part) for part in parts]
        return [tf.reshape(sum_, tf.shape(part)) for sum_, part in zip(tf.split(total, sizes), parts, strict=True)]


def _all_reduce(vector: Any) -> Any:
    here = tf.identity(vector)  # a copy on this worker's device: the strategy needs to know a tensor's device
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, here)
