"""The process that speaks with Ray, as a run sees it: started, waited for in bounded time, ended with all it began."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from multiprocessing import Pipe
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from zoo import PluginError
from zoo.utils import start_module
from zoo_ray.messages import IMAGES, LABELS, Answer, Done, Failed, Start
from zoo_ray.processes import private_folder

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    import numpy as np
    from numpy.typing import NDArray

    from zoo_ray.messages import WorkUnit

_MORE = 60.0  # seconds that the process has longer than the workers, to say what is wrong
_INFORMATION = re.compile(r"I\d{4,} |WARNING: All log messages before absl")  # of TensorFlow's log, of no use here
_END = 30.0  # seconds that it has to end the cluster by itself


class Engine:
    """The process and what it started.

    Args:
        start: What to tell it; the folder is put in.
        images: Training images ``(n, height, width, channels)`` uint8.
        labels: Their labels ``(n,)``.

    Attributes:
        process: It, the leader of a session that all of its processes are in.
    """

    def __init__(self, start: Start, images: NDArray[np.uint8], labels: NDArray[np.integer[Any]]) -> None:
        """Start it.

        Raises:
            PluginError: The disk does not take the training images.
        """
        self._folder = private_folder()
        self._save(images, labels)
        self._patience = start.patience + _MORE
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  # closed by close()
        self._connection: Connection
        self._connection, theirs = Pipe()
        with theirs:
            self.process = start_module(
                "zoo_ray.train_process",
                str(theirs.fileno()),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                pass_fds=[theirs.fileno()],
            )
        try:
            self._send(msgspec.structs.replace(start, folder=str(self._folder)))
        except BaseException:
            self.close()
            raise

    def _save(self, images: NDArray[np.uint8], labels: NDArray[np.integer[Any]]) -> None:
        """Write the examples for the process: as files they may be larger than a message, and are not copied."""
        import numpy as np

        try:
            for name, array in ((IMAGES, images), (LABELS, labels)):
                np.save(self._folder / name, array, allow_pickle=False)
        except OSError as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise PluginError(
                f"The training images cannot be written for the workers: {error.strerror or error}. "
                f"Received: folder={str(self._folder)!r}"
            ) from error
        except BaseException:  # Ctrl-C
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def train(self, piece: WorkUnit) -> Done:
        """Return what a piece came to.

        Raises:
            PluginError: It was not done: the cluster is gone, or the workers failed, or took too long.
        """
        self._send(piece)
        while True:
            try:
                if not self._connection.poll(self._patience):
                    raise PluginError(_fault(f"Ray said nothing for {self._patience:g} seconds"))
                answer = msgspec.msgpack.decode(self._connection.recv_bytes(), type=Answer)
            except (EOFError, ConnectionError) as error:
                raise PluginError(_fault(f"Ray has ended: {self._last_words()}")) from error
            if isinstance(answer, Done):
                return answer
            if isinstance(answer, Failed):
                raise PluginError(_fault(answer.text))
            # else `Alive`: it is being done

    def close(self) -> None:
        """End the cluster, if it is ours, and every process that was started; remove its files. Once is enough."""
        if self._output.closed:
            return
        self._connection.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_END)
        deadline = time.monotonic() + _END
        while (left := living_in_session(self.process.pid)) and time.monotonic() < deadline:
            for process in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.05)
        self.process.wait()
        self._output.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _send(self, message: Start | WorkUnit) -> None:
        # one that it does not live to read is missed when its answer is waited for
        with contextlib.suppress(ConnectionError):
            self._connection.send_bytes(msgspec.msgpack.encode(message))

    def _last_words(self) -> str:
        self._output.seek(max(0, self._output.seek(0, os.SEEK_END) - 5000))
        lines = (line.strip() for line in reversed(self._output.read().decode(errors="replace").split("\n")))
        return next((line[:300] for line in lines if line and not _INFORMATION.match(line)), "it said nothing")


def _fault(text: str) -> str:
    text = text.rstrip(".")
    return f"The workers of trainer ray cannot go on: {text}. Mend that, then `zoo resume RUN` goes on with the run."


def living_in_session(leader: int) -> list[int]:
    """Return the living processes of a session."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            state, _, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(session) == leader and state not in "ZX":
                found.append(int(folder.name))
    return found
