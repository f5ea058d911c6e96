"""The process that talks to Ray: it receives jobs and reports their outcomes.

It is a `ChildProcess` of the sweep. Its argument is its own folder, which is removed at the end. It receives
`ToRayProcess` and sends `FromRayProcess`. When the channel ends, it stops all tasks and ends.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import msgspec
from zoo_sweep import GRACE, Ended, Restarted

from zoo.utils import Channel, one_line
from zoo_ray.processes import LOOPBACK, QUIET
from zoo_ray.sweep_messages import Begin, Capacity, ClusterLost, FromRayProcess, Stop, Submit, ToRayProcess

_EVERY = 2.0  # seconds between checks of the cluster
_FAREWELL = 5.0  # seconds for the sweep to receive the last messages
_MARGIN = 10.0  # seconds beyond `GRACE` before this process stops waiting for tasks
_WITHOUT_ROOM = 60.0  # seconds after which to give up on a cluster without room for a single trial


@dataclass(kw_only=True)
class _Task:
    submitted: Submit
    reference: Any
    retries: int
    stop_by: float | None = None  # when to kill it, if it was asked to stop


@dataclass(kw_only=True)
class SweepProcess:
    """Runs tasks on a cluster for a sweep.

    Args:
        ray: The module ``ray``.
        begin: The first message, with the resources of each task.
        channel: Channel to the sweep.
    """

    ray: Any
    begin: Begin
    channel: Channel
    tasks: dict[str, _Task] = field(default_factory=dict)
    looked: float = 0.0  # time of the last check of the cluster
    had_room: float = field(default_factory=time.monotonic)  # when it last had room for a trial

    def serve(self) -> None:
        """Serve until the sweep has disconnected and all tasks have ended, or the cluster has no room for any."""
        has_left, deadline = False, float("inf")
        while not (has_left and not self.tasks) and time.monotonic() < deadline:
            if not has_left and self._obey():
                has_left, deadline = True, time.monotonic() + GRACE + _MARGIN  # then Ray ends the remaining tasks
            if has_left:
                for task in self.tasks.values():
                    self._stop(task)
            self._collect()
            if not has_left and time.monotonic() - self.looked > _EVERY:
                self.looked = time.monotonic()
                if not self._look():
                    return

    def say(self, message: FromRayProcess) -> None:
        """Send a message, unless the sweep was killed."""
        with contextlib.suppress(EOFError):
            self.channel.send(msgspec.json.encode(message))

    def _obey(self) -> bool:
        """Handle messages from the sweep; return whether it has disconnected."""
        while True:
            try:
                encoded = self.channel.receive(0)
            except EOFError:
                return True
            if encoded is None:
                return False
            message = msgspec.json.decode(encoded, type=ToRayProcess)
            if isinstance(message, Submit):
                self.tasks[message.job.folder] = _Task(
                    submitted=message, reference=self._submit(message), retries=self.begin.retries
                )
            elif isinstance(message, Stop) and message.folder in self.tasks:
                self._stop(self.tasks[message.folder])

    def _submit(self, message: Submit) -> Any:
        from zoo_ray.sweep_task import carry_out_remotely

        remote = self.ray.remote(
            num_cpus=self.begin.cpus,
            num_gpus=self.begin.gpus,
            max_retries=0,  # restarts are done here, and reported
            max_calls=1,  # a new process for each, because Keras keeps state
        )(carry_out_remotely)
        task = remote.options(name=f"zoo {message.job.folder}")
        return task.remote(msgspec.json.encode(message.job), message.variables)

    def _stop(self, task: _Task) -> None:
        if task.stop_by is None:
            task.stop_by = time.monotonic() + GRACE
            self.ray.cancel(task.reference)

    def _collect(self) -> None:
        """Report tasks that have ended; kill those that do not end in time."""
        by_reference = {task.reference: task for task in self.tasks.values()}
        if not by_reference:
            time.sleep(0.05)
            return
        ready, _ = self.ray.wait([*by_reference], num_returns=1, timeout=0.1)
        for reference in ready:
            task = by_reference[reference]
            event = self._outcome(task)
            if isinstance(event, Ended):
                del self.tasks[event.folder]
            self.say(event)
        for task in self.tasks.values():
            if task.stop_by is not None and time.monotonic() > task.stop_by:
                self.ray.cancel(task.reference, force=True)
                task.stop_by = float("inf")

    def _outcome(self, task: _Task) -> Ended | Restarted:
        """Return the outcome of a task that has ended, after restarting it if its process was killed."""
        exceptions, folder = self.ray.exceptions, task.submitted.job.folder
        is_asked = task.stop_by is not None
        try:
            ended = msgspec.json.decode(self.ray.get(task.reference), type=Ended)
            if ended.how != "stopped" or is_asked:
                return ended
            error = "Its process was stopped, but not by the sweep."
        except exceptions.TaskCancelledError:
            error = "It was canceled, but not by the sweep."
        except exceptions.RayTaskError as fault:  # raised before the job could catch it: a missing plugin, for example
            return Ended(folder=folder, how="failed", error=one_line(fault.cause))
        except exceptions.RayError as fault:
            if task.retries and not is_asked:
                task.retries -= 1
                task.reference = self._submit(task.submitted)
                return Restarted(folder=folder, why="was killed or its machine was lost")
            error = f"Its process was killed or its machine was lost, {self.begin.retries + 1} times: {one_line(fault)}"
        return Ended(folder=folder, how="stopped" if is_asked else "lost", error=None if is_asked else error)

    def _look(self) -> bool:
        """Report how many trials the cluster has room for; return whether it can be used."""
        room = 0
        for node in self.ray.nodes():
            if node["Alive"]:
                has = node["Resources"]
                several = [has.get(name, 0.0) / asked for name, asked in self._asked() if asked]
                room += int(min(several)) if several else 1
        if room:
            self.had_room = time.monotonic()
        elif time.monotonic() - self.had_room > _WITHOUT_ROOM:
            asked = ", ".join(f"{name}={number:g}" for name, number in self._asked())
            self.say(
                ClusterLost(
                    text=f"for {_WITHOUT_ROOM:.0f} s, no machine has had the resources that a trial requests "
                    f"({asked}); lower --trial-cpus or --trial-gpus, or add machines"
                )
            )
            return False
        self.say(Capacity(trials=room))
        return True

    def _asked(self) -> list[tuple[str, float]]:
        return [("CPU", self.begin.cpus), ("GPU", self.begin.gpus)]


def main(folder: str) -> int:
    """Serve the sweep and return an exit status."""
    channel = Channel.to_parent()
    begin = msgspec.json.decode(channel.receive() or b"", type=Begin)
    is_local = begin.address == "local"
    os.environ |= LOOPBACK if is_local else QUIET
    import ray

    own: dict[str, Any] = {"include_dashboard": False} if is_local else {}  # no web server
    process = SweepProcess(ray=ray, begin=begin, channel=channel)
    try:
        ray.init(address=begin.address, log_to_driver=False, logging_level=logging.ERROR, **own)
        process.serve()
    except Exception as error:
        process.say(ClusterLost(text=one_line(error)))
        return 1
    finally:
        with contextlib.suppress(EOFError):
            channel.flush(_FAREWELL)
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)  # the sweep does this too, unless it was killed
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
