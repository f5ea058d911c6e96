"""Workers of trainer ``ray`` as threads of this process, without Ray: what they compute is the same."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from ray import cloudpickle
from zoo_ray.job import TrainingJob
from zoo_ray.messages import Done, Start, WorkUnit, decode_arrays, encode_arrays
from zoo_ray.steps import SharedSteps

from zoo import ArrayExamples


class Together:
    """A strategy that adds up what workers have, each in a thread of this process."""

    def __init__(self, workers: int = 2) -> None:
        self.parts: list[Any] = []
        self.barrier = threading.Barrier(workers, timeout=300)

    def run(self, all_reduce: object, args: tuple[Any]) -> Any:
        total = tf.numpy_function(self.add_up, args, tf.float32)
        total.set_shape(args[0].shape)
        return total

    def add_up(self, vector: Any) -> Any:
        self.parts.append(vector)
        self.barrier.wait()
        total = sum(sorted(self.parts, key=lambda part: part.tobytes()))
        if self.barrier.wait() == 0:
            self.parts.clear()
        self.barrier.wait()
        return total


def make_workers(job: TrainingJob, examples: ArrayExamples, count: int = 2) -> list[SharedSteps]:
    """Return workers that start from the same state."""
    together: Any = Together(count)
    workers = [SharedSteps(together, job, examples, rank, count) for rank in range(count)]
    state = workers[0].state()
    for worker in workers:
        worker.restore(state)
    return workers


def run_steps(workers: list[SharedSteps], batches: list[NDArray[np.intp]]) -> tuple[dict[str, Any], Any]:
    """Return the state of all workers after some steps, and the sums of loss and correct predictions."""
    sums = np.zeros((len(workers), 2))

    def run(rank: int) -> None:
        for batch in batches:
            sums[rank] += workers[rank].run(batch)

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(len(workers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state, *others = (worker.state() for worker in workers)
    for other in others:
        for name, array in other.items():
            np.testing.assert_array_equal(state[name], array)
    return state, sums[0]


class InProcessEngine:
    """In place of `zoo_ray.engine.Engine`."""

    def __init__(self, start: Start, images: NDArray[np.uint8], labels: NDArray[np.integer[Any]]) -> None:
        self.job: TrainingJob = cloudpickle.loads(start.job)
        self.workers = make_workers(self.job, ArrayExamples(images, labels), start.workers)

    def train(self, piece: WorkUnit) -> Done:
        """Return the result of a work unit."""
        if not piece.known:
            for worker in self.workers:
                worker.restore(decode_arrays(piece.state))
        order, size = np.frombuffer(piece.order, np.int32).astype(np.intp), self.job.config.batch_size
        state, (loss, right) = run_steps(
            self.workers, [order[start : start + size] for start in range(0, len(order), size)]
        )
        return Done(number=piece.number, state=encode_arrays(state), loss=float(loss), right=float(right))

    def close(self) -> None:
        """Do nothing: there is no process."""
