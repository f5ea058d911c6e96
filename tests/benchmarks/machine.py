"""The machine that measures: what it is, and how fast it multiplies matrices."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from zoo.models.multiply_adds import of_layer
from zoo.utils import hardware

_PACKAGES = ("keras-zoo", "keras", "tensorflow", "jax", "torch", "numpy")
_LIMITS = (
    *hardware.ISA_VARIABLES,
    hardware.ONEDNN,
    "OMP_NUM_THREADS",
    "GLIBC_TUNABLES",
    "MALLOC_ARENA_MAX",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TOP_PAD_",
    "MALLOC_TRIM_THRESHOLD_",
)
_TRIES = 10


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What is measured on.

    Args:
        processor: Its name, as the system gives it.
        instruction_sets: That floating-point libraries use of it, as Linux names them.
        has_bfloat16: Whether the backend's device computes bfloat16 faster than float32, by its instruction sets.
        variables: Environment variables that limit what it may use, those that are set.
        processors: How many of it may be used.
        memory: Bytes.
        device: What the backend computes on.
        backend: Keras's.
        python: Version.
        packages: Versions.
        day: Of the measurement.
        rates: Floating-point operations a second of the best matrix product, by type: the backend's or PyTorch's.
        work: Floating-point operations that training takes an image of the reference network.
    """

    processor: str
    instruction_sets: tuple[str, ...]
    has_bfloat16: bool
    variables: dict[str, str]
    processors: int
    memory: int
    device: str
    backend: str
    python: str
    packages: dict[str, str]
    day: date
    rates: dict[str, float]
    work: float

    @classmethod
    def measured(cls) -> Machine:
        """Look, and measure, in other processes: this one must stay small."""
        found = [
            json.loads(
                subprocess.run(
                    [sys.executable, "-m", "tests.benchmarks.machine", library],
                    check=True,
                    stdout=subprocess.PIPE,
                    text=True,
                ).stdout.splitlines()[-1]
            )
            for library in ("keras", "torch")
            if library == "keras" or _version(library)
        ]
        return cls(
            processor=hardware.processor_name(),
            instruction_sets=hardware.instruction_sets() or (),
            has_bfloat16=found[0]["has_bfloat16"],
            variables={name: os.environ[name] for name in _LIMITS if name in os.environ},
            processors=hardware.usable_processors(),
            memory=hardware.usable_memory(),
            device=found[0]["device"],
            backend=found[0]["backend"],
            python=platform.python_version(),
            packages={name: number for name in _PACKAGES if (number := _version(name))},
            day=date.today(),
            rates={kind: max(each["rates"].get(kind, 0.0) for each in found) for kind in found[0]["rates"]},
            work=found[0]["work"],
        )

    @property
    def title(self) -> str:
        """One line of it all."""
        packages = ", ".join(f"{name} {number}" for name, number in self.packages.items())
        return (
            f"{self.processors} processors ({self.processor}), {self.memory / 2**30:.0f} GiB, {self.device}, "
            f"Python {self.python}, {packages}, backend {self.backend}, {self.day}"
        )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _product(matmul: Callable[[Any, Any], Any], values: Any) -> float:
    """Multiply, and read one number, so that a device that works by itself has to be done."""
    return float(matmul(values, values)[0, 0])


def _best(multiply: Callable[[], Any], size: int) -> float:
    multiply()
    seconds = []
    for _ in range(_TRIES):
        started = time.perf_counter()
        multiply()
        seconds.append(time.perf_counter() - started)
    return float(2 * size**3 / min(seconds))


def rates_of_keras() -> dict[str, float]:
    """Return the floating-point operations a second of the backend's best matrix product, by type."""
    import keras
    import numpy as np

    size = 8192 if hardware.accelerator_name() else 2048
    rates = {}
    for kind in _types(hardware.computes_bfloat16()):
        values = keras.ops.cast(np.random.default_rng(0).normal(size=(size, size)), kind)
        rates[kind] = _best(partial(_product, keras.ops.matmul, values), size)
    return rates


def _of_keras() -> dict[str, Any]:
    import keras

    accelerator = hardware.accelerator_name()
    return {
        "backend": keras.backend.backend(),
        "device": "unknown" if accelerator is None else accelerator or "no GPU",
        "has_bfloat16": hardware.computes_bfloat16(),
        "rates": rates_of_keras(),
        "work": _work_of_training(),
    }


def _types(has_bfloat16: bool) -> tuple[str, ...]:
    """Return the types whose rate is measured: bfloat16 that is emulated takes long, or ends the process."""
    return ("float32", "bfloat16") if has_bfloat16 else ("float32",)


def _work_of_training() -> float:
    """Return the operations of one image forward and twice backward, less the gradient for the image itself."""
    from zoo_fashion.model import build

    forward = [2.0 * (of_layer(layer) or 0) for layer in build((28, 28, 1), 10).layers]
    return 3 * sum(forward) - forward[0]


def _of_torch() -> dict[str, Any]:
    import torch

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    size = 8192 if device.type == "cuda" else 2048
    rates = {}
    for kind in _types(hardware.why_bfloat16_is_slow("torch") is None or device.type == "cuda"):
        values = torch.randn(size, size, device=device, dtype=getattr(torch, kind))
        rates[kind] = _best(partial(_product, torch.matmul, values), size)
    return {"rates": rates}


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    hardware.enable_onednn()
    print(json.dumps({"keras": _of_keras, "torch": _of_torch}[sys.argv[1]]()))
