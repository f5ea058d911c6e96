"""The process that speaks with Ray, as a run sees it: started, waited for in bounded time, ended with all it began."""

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

_MORE = 60.0  # seconds that the process has longer than the workers, to say what is wrong
_END = 30.0  # seconds that it has to end the cluster by itself


class Engine:
    """The process and what it started.

    Args:
        start: What to tell it; the folder is put in.
        images: Training images ``(n, height, width, channels)`` uint8.
        labels: Their labels ``(n,)``.

    Attributes:
        process: It.
    """

    def __init__(self, start: Start, images: NDArray[np.uint8], labels: NDArray[np.integer[Any]]) -> None:
        """Start it.

        Raises:
            PluginError: The disk does not take the training images.
        """
        self._folder = private_folder()
        self._save(images, labels)
        self._patience = start.patience + _MORE
        try:
            self.process = ChildProcess("zoo_ray.train_process", folder=self._folder)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
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
                encoded = self.process.receive(self._patience)
            except EOFError as error:
                said = self.process.last_words or "it said nothing"
                raise PluginError(_fault(f"Ray has ended: {said}")) from error
            if encoded is None:
                raise PluginError(_fault(f"Ray said nothing for {self._patience:g} seconds"))
            answer = msgspec.msgpack.decode(encoded, type=Answer)
            if isinstance(answer, Done):
                return answer
            if isinstance(answer, Failed):
                raise PluginError(_fault(answer.text))
            # else `Alive`: it is being done

    def close(self) -> None:
        """End the cluster, if it is ours, and every process that was started; remove its files. Once is enough."""
        self.process.finish(_END)
        self.process.end()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _send(self, message: Start | WorkUnit) -> None:
        # one that it does not live to read is missed when its answer is waited for
        with contextlib.suppress(EOFError):
            self.process.send(msgspec.msgpack.encode(message))


def _fault(text: str) -> str:
    text = text.rstrip(".")
    return f"The workers of trainer ray cannot go on: {text}. Mend that, then `zoo resume RUN` goes on with the run."
