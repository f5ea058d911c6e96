"""Record how a run ended, and notify its callbacks and trackers."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from zoo.errors import RunFolderError
from zoo.runs import run_folder
from zoo.training.callback_calls import finish
from zoo.utils.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import keras

    from zoo.pipeline.job import Job
    from zoo.runs.run_folder import Run
    from zoo.training.trackers import Trackers


@contextlib.contextmanager
def notify_end(job: Job, callbacks: Mapping[str, keras.callbacks.Callback], trackers: Trackers) -> Iterator[None]:
    """Notify callbacks and trackers how a run ended. Wraps `record_failure`, so that they receive what it recorded."""
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(RunFolderError):
            _notify(_with_final_status(run_folder.open_run(job.path), error), callbacks, trackers)
        raise
    with contextlib.suppress(RunFolderError):
        _notify(run_folder.open_run(job.path), callbacks, trackers)


def _notify(run: Run, callbacks: Mapping[str, keras.callbacks.Callback], trackers: Trackers) -> None:
    finish(callbacks, run)
    trackers.finish(run)


def _with_final_status(run: Run, error: BaseException) -> Run:
    """Return a run that an error ended, with the status ``failed`` or ``interrupted``.

    In the run folder, a run that stopped between training and testing stays ``trained``: its model can be used.
    """
    if run.record.status not in ("training", "trained") or run.record.status == run.record.goal:
        return run
    if isinstance(error, Exception):
        return replace(run, record=msgspec.structs.replace(run.record, status="failed", error=one_line(error)))
    return replace(run, record=msgspec.structs.replace(run.record, status="interrupted"))


@contextlib.contextmanager
def record_failure(job: Job, *kinds: type[Exception]) -> Iterator[None]:
    """Record in ``run.json`` that a run failed with one of these errors or was interrupted."""
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(RunFolderError):
            run = run_folder.open_run(job.path)
            if isinstance(error, kinds):
                run_folder.update(run, msgspec.structs.replace(run.record, status="failed", error=one_line(error)))
            elif run.record.status == "training" and not isinstance(error, Exception):
                run_folder.update(run, msgspec.structs.replace(run.record, status="interrupted"))
        raise
