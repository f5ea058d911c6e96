"""Environment variables that results, or what zoo does, depend on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

OF_RESULTS = (  # only these are recorded: other variables may contain private data
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
"""Variables that a run's exact results may depend on."""

_OTHERS = ("MLFLOW_EXPERIMENT_NAME", "MLFLOW_TRACKING_URI", "RAY_ADDRESS")
_OWN = "ZOO_"
_MOST_SECONDS = 1_000_000


def is_of_the_user(name: str) -> bool:
    """Return whether a variable is the user's choice alone, because results or what zoo does depend on it."""
    return name in OF_RESULTS or name in _OTHERS or name.startswith(_OWN)


def seconds_of(environ: Mapping[str, str], name: str, default: float) -> float:
    """Return the seconds that a variable has, or the default if it is not set or empty.

    Raises:
        ValueError: It is not a valid number of seconds.
    """
    given = environ.get(name)
    try:
        seconds = float(given) if given else default
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < _MOST_SECONDS:
        raise ValueError(
            f"{name} must be a number of seconds above 0 and below {_MOST_SECONDS:,}. Received: {name}={given!r}"
        )
    return seconds
