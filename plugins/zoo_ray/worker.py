"""The function that Ray Train runs in each worker process."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

from zoo.utils import enable_onednn, keep_freed_memory, one_line
from zoo_ray.messages import Done, decode_arrays, encode_arrays

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo_ray.job import TrainingJob

_SIGN = 1.0  # minimum seconds between heartbeats


def work(config: Mapping[str, Any]) -> None:
    """Do this worker's share of work units until there are no more.

    Args:
        config: ``coordinator``: the actor. ``job``: reference to a pickled `TrainingJob`. ``images`` and ``labels``:
            references to the training examples. ``threads``: number of threads for TensorFlow.
    """
    # before the backend is imported
    keep_freed_memory()
    enable_onednn()
    import ray
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(config["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(config["threads"])
    # before any computation: it waits for the other workers, whose addresses Ray has set in TF_CONFIG
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    of_others = (
        ray.exceptions.RayError,
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.DeadlineExceededError,
        tf.errors.InternalError,
        tf.errors.UnavailableError,
    )
    try:
        _work(strategy, config)
    except of_others:
        raise  # another worker died, so Ray Train restarts all
    except Exception as error:
        ray.get(config["coordinator"].fail.remote(one_line(error)))


def _work(strategy: Any, config: Mapping[str, Any]) -> None:
    import numpy as np
    import ray
    from ray import cloudpickle, train

    from zoo import ArrayExamples
    from zoo_ray.steps import SharedSteps

    rank, workers = train.get_context().get_world_rank(), train.get_context().get_world_size()
    job: TrainingJob = cloudpickle.loads(ray.get(config["job"]))
    with contextlib.suppress(OSError):  # the folder may exist only on the run's machine
        os.chdir(job.folder)
    examples = ArrayExamples(*ray.get([config["images"], config["labels"]]))
    steps = SharedSteps(strategy, job, examples, rank, workers)
    coordinator = config["coordinator"]
    group = os.environ["TF_CONFIG"].partition('"task"')[0]  # the addresses of all workers identify the group
    done, signed = -1, 0.0
    while (piece := ray.get(coordinator.next.remote(group, done))) is not False:
        if piece is True:
            continue  # there is no work yet
        if not (piece.known and piece.number == done + 1):
            steps.restore(decode_arrays(ray.get(piece.state[0])))
        order, sums = np.frombuffer(piece.order, np.int32).astype(np.intp), np.zeros(2)
        for start in range(0, len(order), job.config.batch_size):
            sums += steps.run(order[start : start + job.config.batch_size])
            if rank == 0 and time.monotonic() - signed > _SIGN:
                coordinator.sign.remote()
                signed = time.monotonic()
        done = piece.number
        if rank == 0:
            state = encode_arrays(steps.state())
            outcome = Done(number=done, state=state, loss=float(sums[0]), right=float(sums[1]))
            ray.get(coordinator.take.remote(group, outcome))
