"""The tracker's process: receives the messages of a run and passes them to a writer.

Usage: python -m zoo_track.worker zoo_track.mlflow_writer:MlflowWriter 60
"""

from __future__ import annotations

import contextlib
import os
import pkgutil
import sys
import threading
import time
import types
from queue import SimpleQueue
from typing import TYPE_CHECKING

import msgspec

from zoo.utils import Channel, one_line
from zoo_track.messages import End, Epoch, Message, Start

if TYPE_CHECKING:
    from zoo_track.messages import Writer


def main(writer_name: str, seconds_alone: float) -> int:
    """Serve until the channel ends and return an exit status; an error is printed as one line on standard error.

    Args:
        writer_name: Import path of the writer.
        seconds_alone: How long to continue with the remaining messages after the channel has ended.
    """
    # to write a file, TensorBoard would import all of TensorFlow, half a gigabyte, unless this module exists
    # (tensorboard/compat/__init__.py)
    sys.modules["tensorboard.compat.notf"] = types.ModuleType("tensorboard.compat.notf")
    messages: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_receive, args=(Channel.to_parent(), messages, seconds_alone), daemon=True).start()
    faults = os.fdopen(os.dup(2), "w")
    with open(os.devnull, "w") as nowhere:
        for descriptor in (1, 2):  # output of libraries must not be taken for the reason of a failure
            os.dup2(nowhere.fileno(), descriptor)
        with contextlib.redirect_stderr(nowhere), contextlib.redirect_stdout(nowhere):
            try:
                _serve(pkgutil.resolve_name(writer_name)(), messages)
            except Exception as error:
                faults.write(f"{one_line(error)}\n")
                faults.flush()
                return 1
    return 0


def _receive(channel: Channel, messages: SimpleQueue[bytes], seconds_alone: float) -> None:
    """Queue messages, with an empty one at the end, and end the process if it still runs ``seconds_alone`` later."""
    with contextlib.suppress(EOFError):
        while (message := channel.receive()) is not None:
            messages.put(message)
    messages.put(b"")
    time.sleep(seconds_alone)
    os._exit(1)  # a library hangs, and nothing waits for this process


def _serve(writer: Writer, messages: SimpleQueue[bytes]) -> None:
    while encoded := messages.get():
        message = msgspec.json.decode(encoded, type=Message)
        if isinstance(message, Start):
            writer.start(message)
        elif isinstance(message, Epoch):
            writer.epoch(message)
        elif isinstance(message, End):
            writer.end(message)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2])))
