"""The environment of a run, which its exact results may depend on: versions, CPUs and accelerator, variables."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import msgspec

from zoo.runs.records import EnvironmentRecord
from zoo.utils import hardware, variables

_PACKAGES = ("keras-zoo", "keras", "tensorflow", "jax", "torch", "numpy", "safetensors")


def describe(dtype_policy: str) -> EnvironmentRecord:
    """Return the environment of this process.

    Args:
        dtype_policy: Keras dtype policy that the model was built with.
    """
    import keras

    return EnvironmentRecord(
        python=platform.python_version(),
        platform=f"{sys.platform} {platform.machine()}",
        processor=hardware.processor_name(),
        instruction_sets=None if (sets := hardware.instruction_sets()) is None else list(sets),
        processors=hardware.usable_processors(),
        accelerator=hardware.accelerator_name(),
        backend=keras.backend.backend(),
        float_type=keras.config.floatx(),
        dtype_policy=dtype_policy,
        packages={name: found for name in _PACKAGES if (found := _version(name))},
        variables={name: os.environ[name] for name in variables.OF_RESULTS if name in os.environ},
    )


def differences(then: EnvironmentRecord, now: EnvironmentRecord) -> list[str]:
    """Return the differences between two environments: ``["keras 3.15.0 -> 3.15.1"]``."""
    several = [_flat(record) for record in (then, now)]
    for name in ("accelerator", "instruction_sets"):
        if None in (getattr(then, name), getattr(now, name)):  # unknown is not a difference
            for each in several:
                del each[name]
    return [
        f"{name} {several[0].get(name, 'not set')} -> {several[1].get(name, 'not set')}"
        for name in sorted(several[0] | several[1])
        if several[0].get(name) != several[1].get(name)
    ]


def _flat(record: EnvironmentRecord) -> dict[str, object]:
    flat = msgspec.structs.asdict(record)
    flat["accelerator"] = record.accelerator or "none"
    flat["instruction_sets"] = " ".join(record.instruction_sets or ()) or "none"
    return {**flat.pop("packages"), **flat.pop("variables"), **flat}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
