"""The process that runs a single job.

It is a `ChildProcess`, and its command line names the run folder. It receives a `TrialJob` and replies with the
outcome, an `Ended`. When its channel ends, the process ends after its current step.
"""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import sys
import threading
import time
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

import zoo
from zoo import StopRequested, ZooError, load_registry
from zoo.cli.toolkit import import_keras
from zoo.errors import RunFolderError, ZooWarning
from zoo.runs import lock_run_folder
from zoo.utils import Channel, HeldSignals, end_on_signals, keep_freed_memory, one_line, printable
from zoo_sweep.cross_validation import predict_fold
from zoo_sweep.engine import GRACE, Ended, TrialJob

if TYPE_CHECKING:
    from zoo import Metrics
    from zoo.runs import EpochRecord

_PATIENCE = 60.0  # seconds: the process of a killed sweep ends within one step


def carry_out(job: TrialJob) -> Ended:
    """Run a job and return its outcome, whatever happens short of the process being killed."""
    _say(f"{job.work}: process {os.getpid()} on {platform.node()}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # libraries' warnings are meant for programmers
        warnings.simplefilter("always", ZooWarning)
        try:
            _work(job)
        except StopRequested as error:
            _say(str(error))
            return Ended(folder=job.folder, how="stopped")
        except ZooError as error:
            text = printable(str(error))
        except Exception as error:
            traceback.print_exc()
            text = one_line(error)
        else:
            return Ended(folder=job.folder, how="done")
    _say(f"Error: {text}")
    return Ended(folder=job.folder, how="failed", error=text[:1000])


def _work(job: TrialJob) -> None:
    registry = load_registry(files=job.plugin_files)
    with HeldSignals() as signals:  # importing Keras must not be interrupted
        signals.check()
        _wait_until_free(Path(job.folder))
        keep_freed_memory()  # before the backend is imported
        import_keras()
        signals.check()
    if job.work == "test":
        zoo.test(job.folder, registry=registry, data_dir=job.data_dir, progress=_Log())
        return
    zoo.train(
        job.recipe,
        registry=registry,
        out=job.folder,
        resume=True,
        checkpoint_every=job.checkpoint_every,
        track=job.track,
        data_dir=job.data_dir,
        progress=_Log(),
        **job.changes,
    )
    if "fold" in job.changes.get("settings", {}):
        predict_fold(Path(job.folder), registry, job.data_dir)


def _wait_until_free(folder: Path) -> None:
    """Wait for an earlier process of the same sweep that has not noticed yet that it must end."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            with lock_run_folder(folder):
                return
        except RunFolderError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


class _Log:
    """Progress as lines on standard error, which is the log file."""

    def stage(self, text: str) -> None:
        _say(text)

    def epoch_started(self, epoch: int, epochs: int, steps: int) -> None:
        _say(f"epoch {epoch}/{epochs}, {steps} steps")

    def step(self, step: int, metrics: Metrics) -> None:
        """Print nothing, because a line per step would be too much."""

    def epoch_ended(self, record: EpochRecord, is_best: bool) -> None:
        best = ", best" if is_best else ""
        _say(f"epoch {record.epoch}: loss {record.train.loss:.4f}, accuracy {record.train.accuracy:.4f}{best}")


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # a full disk is no reason to end
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)  # noqa: T201  # it is a log


def main() -> int:
    """Receive a job, run it and return an exit status."""
    channel = Channel.to_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the sweep decides when to stop
    end_on_signals()
    try:
        job = msgspec.json.decode(channel.receive() or b"", type=TrialJob)
    except EOFError:
        return 1
    threading.Thread(target=_end_with, args=(channel,), daemon=True).start()
    try:
        ended = carry_out(job)
    except StopRequested:  # between the end of the job and that of this function
        return 1
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        channel.send(msgspec.json.encode(ended))
        channel.flush()
    except EOFError:
        _say("The sweep has ended, so this trial reports no result. `zoo sweep --resume` will find its run.")
        return 1
    return 0


def _end_with(channel: Channel) -> None:
    """Ask this process to end when the sweep no longer exists; kill it if it does not end in time."""
    with contextlib.suppress(EOFError):
        while True:
            channel.receive()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
