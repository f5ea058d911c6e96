"""The server: listens, and ends cleanly on a signal."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import math
import os
import signal
import socket
import threading
from typing import TYPE_CHECKING

import uvicorn

from zoo.errors import SettingError
from zoo_serve.application import Application
from zoo_serve.connections import connection_class

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Iterator

    from zoo_serve.engine import Engine
    from zoo_serve.guard import Guard
    from zoo_serve.request_log import RequestLog

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that stop the service."""


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address; connections wait until a server accepts them.

    Args:
        host: A name or an IP address of this machine.
        port: Port number; 0 for any that is free.

    Raises:
        SettingError: The address does not exist on this machine, or is in use.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
        made = socket.socket(family, kind, protocol)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
            made.listen()  # until then, another process may bind the same address because of SO_REUSEADDR
        except BaseException:
            made.close()
            raise
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingError(
            f"Cannot listen on this address: {reason}. Pass another --host or --port (0 for any free port). "
            f"Received: --host {host} --port {port}",
            name="port",
            value=port,
        ) from error
    return made


def is_loopback(listener: socket.socket) -> bool:
    """Return whether only this machine can reach a socket."""
    return ipaddress.ip_address(str(listener.getsockname()[0]).partition("%")[0]).is_loopback


def url_of(listener: socket.socket) -> str:
    """Return the URL of a socket: ``http://127.0.0.1:8000``."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes uvloop's event loop, or None for Python's where uvloop is not installed."""
    try:
        import uvloop
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop


@contextlib.contextmanager
def handling_signals(handler: Callable[[int, types.FrameType | None], None]) -> Iterator[None]:
    """Handle the signals that stop the service until the block ends, but for those that the process ignores."""
    earlier = {
        number: signal.signal(number, handler)
        for number in SIGNALS
        if signal.getsignal(number) not in (signal.SIG_IGN, None)
    }
    try:
        yield
    finally:
        for number, before in earlier.items():
            signal.signal(number, before)


class Server(uvicorn.Server):
    """A server that reports when it listens, and ends on the first signal.

    On the first signal it stops accepting connections and answers the requests under way, for a bounded time. The
    second one ends the process at once.

    Args:
        engine: What computes.
        guard: Checks every request.
        log: Gets a line for every request, and when the server stops.
        on_ready: Function to call once it listens.
    """

    def __init__(self, engine: Engine, guard: Guard, log: RequestLog, on_ready: Callable[[], object]) -> None:
        """Configure uvicorn; everything that depends on what else is installed is set."""
        self._log, self._on_ready = log, on_ready
        limits, application = engine.limits, Application(engine, guard, log)
        super().__init__(
            uvicorn.Config(
                application,
                loop="asyncio",
                http=connection_class(limits, engine.metrics, log, self, application.repeats),
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                log_level="critical",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=limits.keep_alive,
                timeout_graceful_shutdown=max(1, math.ceil(limits.timeout)),
            )
        )

    def serve_until_stopped(self, *listeners: socket.socket) -> None:
        """Serve on sockets until a signal comes or `should_exit` is set."""
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(self.serve(sockets=list(listeners)))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen."""
        await super().startup(sockets=sockets)
        self._on_ready()

    def connection_ended(self) -> None:
        """Note that a connection has ended."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals until the block ends. Other than uvicorn's own, it does not raise them again."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        with handling_signals(self.handle_exit):
            yield

    def handle_exit(self, sig: int, _: types.FrameType | None) -> None:
        """Stop on the first signal, and end the process on the second."""
        if self.should_exit:
            os._exit(128 + sig)
        self.should_exit = True
        self._log.add(f"stopping on {signal.Signals(sig).name}: answering the requests under way")
