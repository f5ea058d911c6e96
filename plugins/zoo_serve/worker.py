"""The process that serves a share of a service's connections.

It is a `ChildProcess`. Its arguments are two descriptors: of its link to the service, a socket that brings connections
and over which it says that it is ready and that connections have ended; and of a file with its `Job`. When the link
ends, it answers the requests under way and ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import warnings
from typing import TYPE_CHECKING

import click
import msgspec

import zoo
from zoo import ZooError
from zoo.cli.toolkit import import_keras
from zoo.errors import ZooWarning
from zoo.utils import Channel, printable
from zoo_serve.main import load_keras, started
from zoo_serve.metrics import SHARED_FOLDER
from zoo_serve.server import SIGNALS, Server
from zoo_serve.worker_messages import Ended, Failed, Job, Ready

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo_serve.engine import Engine
    from zoo_serve.guard import Guard
    from zoo_serve.request_log import RequestLog
    from zoo_serve.worker_messages import FromWorker

_LONGEST_ERROR = 4000  # characters


class WorkerServer(Server):
    """A server whose connections another process accepts.

    Args:
        engine: As for `Server`, as are ``guard``, ``log`` and ``on_ready``.
        guard: Checks every request.
        log: Gets a line for every request.
        on_ready: Function to call once it takes connections.
        link: Brings connections; when it ends, the server stops.
    """

    def __init__(
        self, engine: Engine, guard: Guard, log: RequestLog, on_ready: Callable[[], object], link: socket.socket
    ) -> None:
        """Configure uvicorn."""
        super().__init__(engine, guard, log, on_ready)
        self._link, self._ended = link, 0
        self._opening: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002  # there are none
        """Start to take connections from the link."""
        await super().startup(sockets=[])
        self._link.setblocking(False)
        asyncio.get_running_loop().add_reader(self._link, self._take)

    def connection_ended(self) -> None:
        """Tell the service, which gives the next connection to the worker with the fewest."""
        self._ended += 1
        send(self._link, Ended(count=self._ended))

    def _take(self) -> None:
        """Take all connections that the link brings."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                message, descriptors, _, _ = socket.recv_fds(self._link, 64, 1)
            except BlockingIOError:
                return
            except ConnectionResetError:  # comes once, before the rest, if the service was killed
                continue
            if not message:
                loop.remove_reader(self._link)
                self.should_exit = True
                return
            for descriptor in descriptors:
                os.set_inheritable(descriptor, False)
                task = loop.create_task(self._open(socket.socket(fileno=descriptor)))
                self._opening.add(task)
                task.add_done_callback(self._opening.discard)

    async def _open(self, connection: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
        except Exception as error:
            connection.close()
            self.connection_ended()
            if not isinstance(error, OSError):  # the client has left
                raise

    def _protocol(self) -> asyncio.Protocol:
        make: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
        return make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)


def work(job: Job, link: socket.socket) -> None:
    """Load the model and serve connections until the link ends.

    Raises:
        ZooError: The model cannot be loaded.
    """
    with started(
        job.source,
        zoo.load_registry(files=job.plugin_files),
        job.limits,
        name=job.name,
        use_keras=job.use_keras,
        before_keras=load_keras if job.is_first else import_keras,
        is_quiet=job.is_quiet,
        threads=job.threads,
    ) as (engine, log):
        ready = Ready(title=engine.served.title, name=engine.served.name)
        WorkerServer(engine, job.guard, log, lambda: send(link, ready), link).serve_until_stopped()


def send(link: socket.socket, message: FromWorker) -> None:
    """Send a message to the service, if it still exists and has taken those before."""
    with contextlib.suppress(OSError):
        link.send(msgspec.json.encode(message))


def _show_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    """Print a warning on one line, as the command line does."""
    prefix = "Warning" if issubclass(category, ZooWarning) else category.__name__
    with contextlib.suppress(OSError):  # no reader is left
        click.echo(printable(f"{prefix}: {message}"), err=True)


def main() -> int:
    """Carry out a job and return an exit status."""
    for number in SIGNALS:  # the end of the link stops it, also where all processes of a service get a signal
        signal.signal(number, signal.SIG_IGN)
    Channel.to_parent().close()  # the link tells the same, and more
    with socket.socket(fileno=int(sys.argv[1])) as link, open(int(sys.argv[2]), "rb") as file:
        link.set_inheritable(False)
        file.seek(0)
        job = msgspec.json.decode(file.read(), type=Job)
        warnings.simplefilter("always" if job.is_first else "ignore", ZooWarning)
        warnings.showwarning = _show_warning
        try:
            work(job, link)
        except ZooError as error:
            send(link, Failed(error=printable(str(error))[:_LONGEST_ERROR]))
            return 1
        finally:
            if os.getppid() != job.service:  # which was killed, and left what it had written
                shutil.rmtree(os.environ[SHARED_FOLDER], ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
