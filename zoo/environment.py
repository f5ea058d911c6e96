"""What the bits of a run may depend on besides its settings: versions, processors and accelerator, variables."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import msgspec

from zoo.records import EnvironmentRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

_OWN_GROUPS, _GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
_PACKAGES = ("keras-zoo", "keras", "tensorflow", "jax", "torch", "numpy", "safetensors")
_VARIABLES = (  # by name: what others of these programs or of the user's hold is not ours to write down
    "CUDA_VISIBLE_DEVICES",
    "DNNL_DEFAULT_FPMATH_MODE",
    "DNNL_MAX_CPU_ISA",
    "JAX_DEFAULT_MATMUL_PRECISION",
    "JAX_ENABLE_X64",
    "JAX_PLATFORMS",
    "KERAS_BACKEND",
    "MKL_NUM_THREADS",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_NUM_THREADS",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA",
    "TF_DETERMINISTIC_OPS",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_XLA_FLAGS",
    "XLA_FLAGS",
)


def describe() -> EnvironmentRecord:
    """Return what this process computes with."""
    import keras

    return EnvironmentRecord(
        python=platform.python_version(),
        platform=f"{sys.platform} {platform.machine()}",
        processor=processor_name(),
        processors=usable_processors(),
        accelerator=accelerator_name(),
        backend=keras.backend.backend(),
        float_type=keras.config.floatx(),
        dtype_policy=keras.config.dtype_policy().name,
        packages={name: found for name in _PACKAGES if (found := _version(name))},
        variables={name: os.environ[name] for name in _VARIABLES if name in os.environ},
    )


def differences(then: EnvironmentRecord, now: EnvironmentRecord) -> list[str]:
    """Return what differs between two environments, each as ``"keras 3.15.0 -> 3.15.1"``."""
    several = [_flat(record) for record in (then, now)]
    if None in (then.accelerator, now.accelerator):  # what is not known is no difference
        for each in several:
            del each["accelerator"]
    return [
        f"{name} {several[0].get(name, 'not set')} -> {several[1].get(name, 'not set')}"
        for name in sorted(several[0] | several[1])
        if several[0].get(name) != several[1].get(name)
    ]


def _flat(record: EnvironmentRecord) -> dict[str, object]:
    flat = msgspec.structs.asdict(record)
    flat["accelerator"] = record.accelerator or "none"
    return {**flat.pop("packages"), **flat.pop("variables"), **flat}


def processor_name() -> str:
    """Return the processor's name as the system gives it, or nothing."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor()


def accelerator_name() -> str | None:
    """Return the name of the GPU or TPU that Keras's backend computes on, empty if it has none, None if unknown."""
    import keras

    backend = keras.backend.backend()
    library: Any = sys.modules.get(backend)  # Keras has imported it: the core imports no backend
    try:
        return _ACCELERATORS[backend](library)
    except Exception:  # another backend, or what a driver ends in: no run is lost for a name
        return None


def _of_tensorflow(tensorflow: Any) -> str:
    devices = [each for each in tensorflow.config.get_visible_devices() if each.device_type != "CPU"]
    if not devices:
        return ""
    details = tensorflow.config.experimental.get_device_details(devices[0])
    return str(details.get("device_name") or devices[0].device_type)


def _of_jax(jax: Any) -> str | None:
    first = jax.devices()[0]
    return "" if first.platform == "cpu" else str(first.device_kind) or None


def _of_torch(torch: Any) -> str | None:
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name(0)) or None
    others = (torch.backends.mps, torch.xpu)  # which Keras computes on, and which have no name that is asked for alike
    return None if any(each.is_available() for each in others) else ""


_ACCELERATORS = {"tensorflow": _of_tensorflow, "jax": _of_jax, "torch": _of_torch}


def usable_processors() -> int:
    """Return the number of processors this process may use, and thus of threads that TensorFlow starts."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def usable_memory() -> int:
    """Return the bytes of memory this process may use: the machine's, or its container's or service's where less."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in _memory_limits():
        with contextlib.suppress(OSError, ValueError):  # there is no such file, or it says "max"
            sizes.append(int(path.read_text(encoding="ascii")))
    return min(sizes)


def _memory_limits() -> Iterator[Path]:
    """Iterate over the files that may limit the memory of this process: of its control groups and those around them."""
    with contextlib.suppress(OSError, ValueError):
        for line in _OWN_GROUPS.read_text(encoding="utf-8").splitlines():
            _, controllers, group = line.split(":", 2)
            if controllers and "memory" not in controllers.split(","):
                continue
            root, name = ("memory", "memory.limit_in_bytes") if controllers else ("", "memory.max")
            inner = PurePosixPath(group)
            for each in (inner, *inner.parents):
                yield _GROUPS / root / str(each).lstrip("/") / name


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
