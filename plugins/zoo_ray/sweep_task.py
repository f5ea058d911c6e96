"""A job as a Ray task, which has a process of its own."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from zoo_sweep import LOG, Ended, TrialJob, open_log

if TYPE_CHECKING:
    from collections.abc import Mapping

_PASSED_ON = re.compile(
    r"KERAS_BACKEND|MLFLOW_(EXPERIMENT_NAME|TRACKING_URI)|MPLBACKEND|NVIDIA_TF32_OVERRIDE|(DNNL|JAX|MKL|OMP|ONEDNN|TF|XLA|ZOO)_[A-Z0-9_]+"
)


def is_passed_on(name: str) -> bool:
    """Return whether an environment variable is passed on to tasks: exact results or trackers may depend on it."""
    return _PASSED_ON.fullmatch(name) is not None


def carry_out_remotely(encoded: bytes, variables: Mapping[str, str]) -> bytes:
    """Run a job and return its outcome, both encoded as JSON.

    Args:
        encoded: The job.
        variables: Environment variables of the sweep, which replace those that Ray sets, such as ``OMP_NUM_THREADS=1``.
    """
    job = msgspec.json.decode(encoded, type=TrialJob)
    for name in filter(is_passed_on, list(os.environ)):
        if name not in variables:
            del os.environ[name]
    os.environ.update(variables)
    # Ray cancels tasks with SIGINT, which is ignored if Ray was started in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.makedirs(job.folder, exist_ok=True)
    with open_log(Path(job.folder) / LOG) as log:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        from zoo_sweep import carry_out  # after the environment is set

        with contextlib.suppress(OSError):  # the folder may exist only on the sweep's machine
            os.chdir(job.place)
        try:
            ended = carry_out(job)
        except KeyboardInterrupt:  # between the end of the job and that of this function
            ended = Ended(folder=job.folder, how="stopped")
    return msgspec.json.encode(ended)
