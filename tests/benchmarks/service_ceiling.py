"""The smallest service that uvicorn can make: it reads a request and answers as many bytes as `zoo serve` does."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import uvicorn


def serve_hello(answer: int) -> None:
    """Serve on a free port, which is printed, until the process is killed."""

    async def app(_: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        headers = [(b"content-type", b"application/octet-stream"), (b"content-length", str(answer).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": bytes(answer)})

    config = uvicorn.Config(
        app, loop="asyncio", http="httptools", ws="none", lifespan="off", interface="asgi3", log_config=None,
        log_level="critical", access_log=False, proxy_headers=False,
    )  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(uvicorn.Server(config).serve(sockets=[listener]))


def _loop_factory() -> Any:
    try:
        import uvloop
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop


@contextlib.contextmanager
def saying_hello(answer: int) -> Iterator[int]:
    """Run the service in a process of its own until the block ends, and yield its port."""
    command = [sys.executable, "-m", "tests.benchmarks.service_ceiling", str(answer)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int((process.stdout or sys.stdin).readline())
        finally:
            process.kill()


if __name__ == "__main__":
    serve_hello(int(sys.argv[1]))
