"""What the bits of a run may depend on besides its settings: versions, processors, variables."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from zoo.records import EnvironmentRecord

_PACKAGES = ("keras-zoo", "keras", "tensorflow", "jax", "torch", "numpy", "safetensors")
_VARIABLES = (
    "KERAS_BACKEND",
    "OMP_NUM_THREADS",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "XLA_FLAGS",
)


def describe() -> EnvironmentRecord:
    """Return what this process computes with."""
    import keras

    return EnvironmentRecord(
        python=platform.python_version(),
        platform=f"{sys.platform} {platform.machine()}",
        processors=usable_processors(),
        backend=keras.backend.backend(),
        float_type=keras.config.floatx(),
        dtype_policy=keras.config.dtype_policy().name,
        packages={name: found for name in _PACKAGES if (found := _version(name))},
        variables={name: os.environ[name] for name in _VARIABLES if name in os.environ},
    )


def usable_processors() -> int:
    """Return the number of processors this process may use, and thus of threads that TensorFlow starts."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
