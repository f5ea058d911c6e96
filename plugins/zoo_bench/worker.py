"""The process that measures one model.

It is a `ChildProcess`. It receives a `Job` and replies with messages as it proceeds. When its channel ends, it ends.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import sys
import threading
import time
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

import zoo
from zoo import ZooError
from zoo.cli.toolkit import import_keras
from zoo.utils import Channel, accelerator_name, one_line, printable
from zoo_bench.messages import Done, Evaluated, Failed, Job, Loaded, Message, Peak, Timed
from zoo_bench.statistics import has_settled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from zoo import LoadedModel, Registry

    Predict = Callable[[NDArray[np.uint8]], NDArray[np.floating[Any]]]

_LONGEST_WARM_UP = 10.0  # seconds
_FEWEST = 5  # calls to warm up and timed calls, however long they take
_MOST = 100_000  # timed calls, so that a message stays small
_TEST_BATCH = 500  # test images that are read at a time
_SEED = 0
_BACKENDS = ("jax", "tensorflow", "torch")
_RUNTIMES = ("ai_edge_litert", "keras", "numpy", "onnxruntime", "openvino", *_BACKENDS)


def work(job: Job, send: Callable[[Message], None]) -> None:
    """Carry out a job, and send a message for each result, or `Failed` with the reason."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # libraries' warnings are meant for programmers
            _measure_all(job, send)
    except ZooError as error:
        send(Failed(error=printable(str(error))[:1000]))
    except Exception as error:
        traceback.print_exc()
        send(Failed(error=one_line(error)))
    else:
        send(Done())


def _measure_all(job: Job, send: Callable[[Message], None]) -> None:
    registry = zoo.load_registry(files=job.plugin_files)
    if not job.is_exported:
        import_keras()
    loaded = zoo.load(job.source, threads=len(job.cpus) if job.is_exported else None, registry=registry)
    images = random_images(max(job.batch_sizes), loaded.input_shape)
    loaded.predict(images[:1])
    seconds = time.monotonic() - job.started
    accelerator = None if job.is_exported else accelerator_name()
    send(Loaded(seconds=seconds, accelerator=accelerator, packages=_packages()))
    confine(job.cpus)
    for size in job.batch_sizes:
        send(measure(loaded.predict, images[:size], job.seconds))
    send(Peak(memory_bytes=peak_memory()))
    if job.test:  # afterwards, so that its images are not part of the peak
        send(Evaluated(accuracy=_test_accuracy(loaded, job, registry)))


def random_images(count: int, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return random images ``(count, *shape)`` uint8, the same ones on each call."""
    import numpy as np

    return np.random.default_rng(_SEED).integers(0, 256, (count, *shape), dtype=np.uint8)


def measure(predict: Predict, images: NDArray[np.uint8], seconds: float) -> Timed:
    """Time calls of ``predict`` with these images, after calls that only warm it up.

    Args:
        predict: The function to time.
        images: ``(batch_size, height, width, channels)`` uint8.
        seconds: How long to time calls, in seconds. At least 5 calls are timed.
    """
    warm_up: list[float] = []
    ends = time.monotonic() + _LONGEST_WARM_UP
    while not (is_settled := has_settled(warm_up)) and (len(warm_up) < _FEWEST or time.monotonic() < ends):
        warm_up.append(_time(predict, images))
    timed: list[float] = []
    ends = time.monotonic() + seconds
    while len(timed) < _FEWEST or (time.monotonic() < ends and len(timed) < _MOST):
        timed.append(1000 * _time(predict, images))
    return Timed(batch_size=len(images), milliseconds=timed, is_settled=is_settled)


def _time(predict: Predict, images: NDArray[np.uint8]) -> float:
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    predict(images)
    return time.perf_counter() - started


def confine(cpus: Sequence[int]) -> None:
    """Keep all threads of this process on its CPUs: a runtime may have put some on others."""
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError):  # it has ended
            os.sched_setaffinity(int(thread), cpus)


def peak_memory() -> int:
    """Return the largest resident memory of this process so far, in bytes.

    Unlike `resource.getrusage`, it does not count the memory that the parent had when it started this process.
    """
    text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return 1024 * next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM:"))


def _packages() -> dict[str, str]:
    """Return the versions of the imported runtimes, without backends that Keras imports but does not use."""
    keras = sys.modules.get("keras")
    unused = {*_BACKENDS} - {keras.backend.backend()} if keras is not None else set()
    found = {}
    for module in _RUNTIMES:
        if module in sys.modules and module not in unused:
            name = module.replace("_", "-")
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                found[name] = importlib.metadata.version(name)
    return found


def _test_accuracy(loaded: LoadedModel, job: Job, registry: Registry) -> float:
    """Return the accuracy on the test images of the model's dataset."""
    import numpy as np

    examples = zoo.load_data(job.source, data_dir=job.data_dir, registry=registry).test
    right = 0
    for start in range(0, len(examples), _TEST_BATCH):
        images, labels = examples[np.arange(start, min(start + _TEST_BATCH, len(examples)))]
        right += int((loaded.predict(images).argmax(axis=1) == labels).sum())
    return right / len(examples)


def main() -> int:
    """Receive a job, carry it out and return an exit status."""
    channel = Channel.to_parent()
    try:
        job = msgspec.json.decode(channel.receive() or b"", type=Job)
        os.sched_setaffinity(0, job.cpus)  # before any library counts the CPUs
        threading.Thread(target=_end_with, args=(channel,), daemon=True).start()

        def send(message: Message) -> None:
            channel.send(msgspec.json.encode(message))
            channel.flush()

        work(job, send)
    except EOFError:
        return 1
    return 0


def _end_with(channel: Channel) -> None:
    """End this process when the benchmark no longer exists."""
    with contextlib.suppress(EOFError):
        while True:
            channel.receive()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
