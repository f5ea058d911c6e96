"""What is compared: one network trained by several programs, each in a process of its own.

All train the reference network on the same 55,000 images with Keras's defaults of Adam. PyTorch's loops hold the data
as tensors on the device, with no loader in between.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing.connection import Connection
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

import zoo
from zoo.utils import hardware

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoo import Split

EPOCHS = 20  # of the reference: none trains for longer


class Contender(Protocol):
    """A training in progress."""

    def epoch(self, number: int) -> None:
        """Train one pass, counted from 0."""
        ...

    def accuracy(self) -> float:
        """Return the share of right answers on the test images."""
        ...


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What an epoch took, and what it came to.

    Args:
        wall: Seconds.
        user: Seconds of all processors in the process's own code.
        system: Seconds of all processors in the kernel.
        faults: Pages that the kernel had to supply: minor page faults.
        accuracy: On the test images, after it.
        peak: Most bytes of memory that the process has held so far.
    """

    wall: float
    user: float
    system: float
    faults: int
    accuracy: float
    peak: int

    @property
    def cpu(self) -> float:
        """Seconds of all processors."""
        return self.user + self.system


def serve(name: str, pipe: Connection) -> None:
    """Train an epoch for each number that comes through a pipe, until None comes; answer with `Epoch` or an error."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # other contenders are on the GPU too
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    if name.startswith("zoo") or KEPT in name:  # as our commands do, before the backend is imported
        os.environ.pop("ZOO_KEEP_MEMORY", None)
        zoo.utils.keep_freed_memory()
    if name.startswith("zoo") or ONEDNN in name:
        hardware.enable_onednn()
    elif hardware.tensorflow_lacks_onednn():  # as on the processor that ONEDNN_MAX_CPU_ISA stands for
        os.environ.setdefault(hardware.ONEDNN, "0")
    contender = None
    while (number := pipe.recv()) is not None:
        try:
            contender = contender or CONTENDERS[name]()
            wall, used = time.perf_counter(), getrusage(RUSAGE_SELF)
            contender.epoch(number)
            wall, now = time.perf_counter() - wall, getrusage(RUSAGE_SELF)
            pipe.send(
                Epoch(
                    wall=wall,
                    user=now.ru_utime - used.ru_utime,
                    system=now.ru_stime - used.ru_stime,
                    faults=now.ru_minflt - used.ru_minflt,
                    accuracy=contender.accuracy(),
                    peak=peak_memory(),
                )
            )
        except Exception as error:  # told to whoever compares, and shown
            pipe.send(f"{type(error).__name__}: {error}"[:300])


def peak_memory() -> int:
    """Return the most bytes of memory that this process has held at a time."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("no VmHWM in /proc/self/status")


@cache
def data() -> Split:
    """Return Fashion-MNIST with the validation images taken out."""
    from zoo_fashion.dataset import FashionMnist

    from zoo.data.split import cut_validation

    return cut_validation(FashionMnist().load(None), 5000)


def arrays(part: str) -> tuple[NDArray[np.uint8], NDArray[np.integer[Any]]]:
    """Return all images and labels of a part of the data."""
    examples = getattr(data(), part)
    images, labels = examples[np.arange(len(examples))]
    return images, labels


class StockFit:
    """Keras's ``Model.fit`` on float32 arrays."""

    def __init__(self, *, policy: str = "float32", pool_first: bool = False) -> None:
        import keras
        from zoo_fashion.model import build

        images, labels = arrays("train")
        self._images, self._labels = images.astype("float32") / 255, keras.utils.to_categorical(labels, 10)
        self._test_images, self._test_labels = arrays("test")
        keras.config.set_dtype_policy(policy)
        keras.utils.set_random_seed(0)
        self._model = build((28, 28, 1), 10, pool_first=pool_first)
        self._model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])

    def epoch(self, number: int) -> None:
        self._model.fit(self._images, self._labels, batch_size=64, initial_epoch=number, epochs=number + 1, verbose=0)

    def accuracy(self) -> float:
        predicted = [
            self._model.predict_on_batch(batch.astype("float32") / 255).argmax(axis=1)
            for batch in np.array_split(self._test_images, 20)
        ]
        return float((np.concatenate(predicted) == self._test_labels).mean())


class Zoo:
    """A trainer of ours, as the cycle calls it."""

    def __init__(self, name: str, *, pool_first: bool = False, **settings: Any) -> None:
        import keras
        from zoo_fashion.model import build
        from zoo_keras.fit import Fit
        from zoo_keras.resident import Resident

        from zoo import TrainingConfig

        self._trainer = Fit(**settings) if name == "fit" else Resident(**settings)
        keras.config.set_dtype_policy(self._trainer.dtype_policy)
        keras.utils.set_random_seed(0)
        self._model = build((28, 28, 1), 10, pool_first=pool_first)
        of_run = TrainingConfig(epochs=EPOCHS, batch_size=64, seed=0)
        self._training = self._trainer.start(self._model, data().train, of_run)

    def epoch(self, number: int) -> None:
        self._training.run_epoch(number, lambda step, metrics: None)

    def accuracy(self) -> float:
        from zoo.training.metrics import evaluate

        return evaluate(self._trainer, self._model, data().test, 10).metrics.accuracy


class Torch:
    """A plain loop of PyTorch, images in channels_last."""

    def __init__(self, *, compiled: bool, bfloat16: bool, pool_first: bool = False) -> None:
        import torch

        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(0)
        network: Any = self._make(pool_first).to(self._device, memory_format=torch.channels_last)
        self._optimizer = torch.optim.Adam(network.parameters(), eps=1e-7, fused=True)
        self._network: Any = self._compile(network) if compiled else network
        self._loss, self._bfloat16 = torch.nn.CrossEntropyLoss(), bfloat16
        images, labels = arrays("train")
        self._images = torch.from_numpy(images).permute(0, 3, 1, 2).to(self._device)
        self._labels = torch.from_numpy(labels).long().to(self._device)

    def _compile(self, network: Any) -> Any:
        import torch

        # static shapes: the last batch, which is smaller, gets a program of its own
        mode = "reduce-overhead" if self._device.type == "cuda" else None
        return torch.compile(network, dynamic=False, mode=mode)

    @staticmethod
    def _make(pool_first: bool) -> Any:
        from torch import nn

        layers: list[Any] = []
        channels = 1
        for width, rate in ((32, 0.25), (64, 0.25), (128, 0.4)):
            layers.append(nn.Conv2d(channels, width, 3, padding="same"))
            two = [nn.LeakyReLU(0.1), nn.MaxPool2d(2, ceil_mode=True)]
            layers.extend(reversed(two) if pool_first else two)
            layers.append(nn.Dropout(rate))
            channels = width
        layers += [nn.Flatten(), nn.Linear(2048, 128), nn.LeakyReLU(0.1), nn.Dropout(0.3), nn.Linear(128, 10)]
        for layer in layers:
            if isinstance(layer, nn.Conv2d | nn.Linear):  # as Keras begins
                nn.init.xavier_uniform_(layer.weight)
                layer.bias.data.zero_()
        return nn.Sequential(*layers)

    def _forward(self, images: Any) -> Any:
        import torch

        scaled = (images.float() / 255).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bfloat16):
            return self._network(scaled)

    def epoch(self, number: int) -> None:
        import torch

        self._network.train()
        for indices in torch.randperm(len(self._labels), device=self._device).split(64):
            loss = self._loss(self._forward(self._images[indices]).float(), self._labels[indices])
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self._optimizer.step()
        loss.item()  # waits until the device is done

    def accuracy(self) -> float:
        import torch

        self._network.eval()
        images, labels = arrays("test")
        with torch.inference_mode():
            predicted = [
                self._forward(batch.to(self._device)).argmax(dim=1).cpu()
                for batch in torch.from_numpy(images).permute(0, 3, 1, 2).split(500)
            ]
        return float((torch.cat(predicted).numpy() == labels).mean())


STOCK = "stock Keras fit, float32"
KEPT = ", memory kept"
"""In the name of a contender of others that has our setting of the allocator."""

ONEDNN = ", oneDNN"
"""In the name of one that has our setting of oneDNN too; the same without it where TensorFlow enables it by itself."""

CONTENDERS: dict[str, Callable[[], Contender]] = {
    STOCK: StockFit,
    STOCK + KEPT: StockFit,
    STOCK + KEPT + ONEDNN: StockFit,
    "stock Keras fit, bfloat16, pool first": partial(StockFit, policy="mixed_bfloat16", pool_first=True),
    "PyTorch eager, float32": partial(Torch, compiled=False, bfloat16=False),
    "PyTorch eager, float32" + KEPT: partial(Torch, compiled=False, bfloat16=False),
    "PyTorch eager, bfloat16": partial(Torch, compiled=False, bfloat16=True),
    "PyTorch eager, bfloat16" + KEPT: partial(Torch, compiled=False, bfloat16=True),
    "PyTorch eager, bfloat16, pool first": partial(Torch, compiled=False, bfloat16=True, pool_first=True),
    "PyTorch compiled, float32": partial(Torch, compiled=True, bfloat16=False),
    "PyTorch compiled, bfloat16": partial(Torch, compiled=True, bfloat16=True),
    "zoo fit, float32": partial(Zoo, "fit"),
    "zoo resident, float32": partial(Zoo, "resident"),
    "zoo resident, bfloat16": partial(Zoo, "resident", precision="mixed_bfloat16"),
    "zoo resident, bfloat16, pool first": partial(Zoo, "resident", precision="mixed_bfloat16", pool_first=True),
}
