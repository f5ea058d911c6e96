"""Environment variables that results, or what zoo does, depend on."""

from __future__ import annotations

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


def is_of_the_user(name: str) -> bool:
    """Return whether a variable is the user's choice alone, because results or what zoo does depend on it."""
    return name in OF_RESULTS or name in _OTHERS or name.startswith(_OWN)
