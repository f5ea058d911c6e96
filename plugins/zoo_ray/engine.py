"""The run's handle to the process that talks to Ray: it bounds every wait and ends everything that it started."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING, Any

import msgspec

from zoo import PluginError
from zoo.utils import ChildProcess
from zoo_ray.messages import IMAGES, LABELS, Answer, Done, Failed, Start
from zoo_ray.processes import private_folder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zoo_ray.messages import WorkUnit

_MORE = 60.0  # seconds beyond the workers' own patience, so that the process can report the fault
_END = 30.0  # seconds for the process to shut down its cluster


class Engine:
    """The process that talks to Ray, and everything it starts.

    Args:
        start: Start message for the process; the folder is filled in here.
        images: Training images ``(n, height, width, channels)`` uint8.
        labels: Their labels ``(n,)``.

    Attributes:
        process: The process.
    """

    def __init__(self, start: Start, images: NDArray[np.uint8], labels: NDArray[np.integer[Any]]) -> None:
        """Start the process.

        Raises:
            PluginError: The training images cannot be written to disk.
        """
        self._folder = private_folder()
        self._save(images, labels)
        self._patience = start.patience + _MORE
        try:
            self.process = ChildProcess("zoo_ray.train_process", folder=self._folder)
        except OSError as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise PluginError(
                f"Cannot start a process for Ray: {error.strerror or error}. Free some space for temporary "
                "files, or raise the limits on processes and open files."
            ) from error
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        try:
            self._send(msgspec.structs.replace(start, folder=str(self._folder)))
        except BaseException:
            self.close()
            raise

    def _save(self, images: NDArray[np.uint8], labels: NDArray[np.integer[Any]]) -> None:
        """Write the examples to files, which can be larger than a message and are memory-mapped."""
        import numpy as np

        try:
            for name, array in ((IMAGES, images), (LABELS, labels)):
                np.save(self._folder / name, array, allow_pickle=False)
        except OSError as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise PluginError(
                f"Cannot write the training images for the workers: {error.strerror or error}. Free some space, or set "
                f"TMPDIR to a folder with a short path on another disk. Received: folder={str(self._folder)!r}"
            ) from error
        except BaseException:  # Ctrl-C
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def train(self, piece: WorkUnit) -> Done:
        """Have a work unit done and return its result.

        Raises:
            PluginError: The cluster was lost, or the workers failed or took too long.
        """
        self._send(piece)
        while True:
            try:
                encoded = self.process.receive(self._patience)
            except EOFError as error:
                said = self.process.last_words or "it printed nothing"
                raise PluginError(_fault(f"the process that talks to Ray ended: {said}")) from error
            if encoded is None:
                raise PluginError(
                    _fault(f"the process that talks to Ray did not respond for {self._patience:g} seconds")
                )
            answer = msgspec.msgpack.decode(encoded, type=Answer)
            if isinstance(answer, Done):
                return answer
            if isinstance(answer, Failed):
                raise PluginError(_fault(answer.text))
            # otherwise `Alive`: the work continues

    def close(self) -> None:
        """End every process that was started, including a cluster of the run's own, and remove its files."""
        try:
            self.process.finish(_END, flush=False)
        finally:
            self.process.end()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _send(self, message: Start | WorkUnit) -> None:
        # if the process has ended, waiting for its answer reports that
        with contextlib.suppress(EOFError):
            self.process.send(msgspec.msgpack.encode(message))


def _fault(text: str) -> str:
    text = text.rstrip(".")
    return f"The workers of trainer ray cannot continue: {text}. Fix this, then continue with `zoo resume RUN`."
