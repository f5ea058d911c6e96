"""The cycle: train -> save -> load -> test, in a run folder that is locked."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from zoo.errors import CycleError, DivergedError, PluginError, RunFolderError
from zoo.pipeline.evaluate import evaluate_run, verify_saved_model
from zoo.pipeline.run_end import record_failure
from zoo.pipeline.train import train
from zoo.runs import checkpoints, run_folder
from zoo.runs.checkpoints import Checkpoints
from zoo.utils import allocator, hardware
from zoo.utils.signals import StopRequested

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.pipeline.job import Job
    from zoo.runs.run_folder import Run


def carry_out(job: Job) -> Run:
    """Train and, if that is the goal, save, load and test; return the run. A finished run is returned as it is.

    Raises:
        ZooError: The data, a component or the folder is not as it must be, or training diverged.
        StopRequested: A signal asked to end; the message says how to resume.
    """
    if (
        job.earlier is not None
        and not os.path.lexists(job.path / run_folder.CHECKPOINTS)  # nothing is to be tidied up either
        and checkpoints.is_finished(job.earlier)
    ):
        return job.earlier
    allocator.keep_freed_memory()
    hardware.enable_onednn()
    with run_folder.lock_run_folder(job.path):
        try:
            return _work(job)
        except StopRequested as error:
            if not run_folder.is_run(job.path):
                raise
            how = "Go on with" if _is_kept(job.path) else "Nothing is kept yet; begin again with"
            raise StopRequested(error.signal_number, f"{error} {how}: {job.resume_command}") from None


def _work(job: Job) -> Run:
    """Carry out a job in its folder, which is locked."""
    if job.earlier is not None:
        earlier = run_folder.open_run(job.path)  # as it is now that nobody else writes
        job = replace(job, earlier=earlier)
        if not checkpoints.numbers_in(job.path):
            Checkpoints(job.path, earlier.record.id).discard()  # what may be left of their folder
            if checkpoints.is_finished(earlier):
                return earlier
            if earlier.record.status == "trained":
                return evaluate_run(earlier, job.registry, job.data_dir, job.progress, is_locked=True)
    with contextlib.ExitStack() as ending:
        trained = train(job, ending)
        done = trained.run
        if job.goal == "tested":
            with record_failure(job, CycleError, DivergedError, PluginError):
                done = verify_saved_model(trained, job.registry, job.progress)
        trained.checkpoints.discard()  # last of all: a run that has none left, and is tested, is finished
    return done


def _is_kept(path: Path) -> bool:
    """Return whether there is something to resume from."""
    with contextlib.suppress(RunFolderError):
        return bool(checkpoints.numbers_in(path)) or run_folder.open_run(path).record.status in ("trained", "tested")
    return False
