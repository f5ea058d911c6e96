"""The cycle: train -> save -> load -> test, in a locked run folder."""

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
from zoo.utils import allocator
from zoo.utils.keras_import import prepare_keras_import
from zoo.utils.signals import StopRequested

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.pipeline.job import Job
    from zoo.runs.run_folder import Run


def carry_out(job: Job) -> Run:
    """Carry out a job and return its run. A finished run is returned unchanged.

    With the goal ``"trained"``, train and save; with ``"tested"``, also load the saved model and test it.

    Raises:
        ZooError: The data, a component or the folder is invalid, or training diverged.
        StopRequested: Ctrl-C or another signal requested a stop; the message says how to continue.
    """
    if (
        job.earlier is not None
        and not os.path.lexists(job.path / run_folder.CHECKPOINTS)  # no checkpoints to clean up
        and checkpoints.is_finished(job.earlier)
    ):
        return job.earlier
    allocator.keep_freed_memory()
    prepare_keras_import()
    with run_folder.lock_run_folder(job.path):
        try:
            return _work(job)
        except StopRequested as error:
            if not run_folder.is_run(job.path):
                raise
            how = "Resume with" if _is_kept(job.path) else "Nothing is saved yet. Start again with"
            raise StopRequested(error.signal_number, f"{error} {how}: {job.resume_command}") from None


def _work(job: Job) -> Run:
    """Carry out a job in its locked folder."""
    if job.earlier is not None:
        earlier = run_folder.open_run(job.path)  # read again: now no other process writes to it
        job = replace(job, earlier=earlier)
        if not checkpoints.numbers_in(job.path):
            Checkpoints(job.path, earlier.record.id).discard()  # leftovers of their folder
            if checkpoints.is_finished(earlier):
                return earlier
            if earlier.record.status == "trained":
                return evaluate_run(earlier, job.registry, job.data_dir, job.progress, is_locked=True)[0]
    with contextlib.ExitStack() as ending:
        trained = train(job, ending)
        done = trained.run
        if job.goal == "tested":
            with record_failure(job, CycleError, DivergedError, PluginError):
                done = verify_saved_model(trained, job.registry, job.progress)
        trained.checkpoints.discard()  # last: a tested run without checkpoints counts as finished
    return done


def _is_kept(path: Path) -> bool:
    """Return whether there is a checkpoint or a saved model to resume from."""
    with contextlib.suppress(RunFolderError):
        return bool(checkpoints.numbers_in(path)) or run_folder.open_run(path).record.status in ("trained", "tested")
    return False
