"""A service in a thread of this process, and requests to it."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from zoo_serve.engine import Engine
from zoo_serve.guard import LOOPBACK_NAMES, Guard
from zoo_serve.keys import ApiKeys
from zoo_serve.limits import Limits
from zoo_serve.request_log import RequestLog
from zoo_serve.served_model import ServedModel
from zoo_serve.server import Server, bind

from zoo import ImageInput, LoadedModel
from zoo.images import warnings_are_errors

SHAPE = (4, 5, 1)
CLASSES = ("dark", "light", "other")
Headers = Mapping[str, str]


@dataclass
class Model:
    """Predicts by the mean brightness of an image, and remembers its batches; it can be made to wait or to fail."""

    batches: list[int] = field(default_factory=list)
    is_open: threading.Event = field(default_factory=threading.Event)
    is_waiting: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None
    is_damaged: bool = False  # then it returns NaN for black images
    image_input: ImageInput = field(default_factory=lambda: ImageInput(inverted=True, background=0, crop="pad"))

    def __post_init__(self) -> None:
        self.is_open.set()

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the share of white, of black, and a small constant."""
        self.batches.append(len(images))
        self.is_waiting.set()
        self.is_open.wait(20)
        if self.error is not None:
            raise self.error
        found = answers(images)
        if self.is_damaged:
            found[~images.any(axis=(1, 2, 3)), 1] = np.nan
        return found

    def loaded(self) -> LoadedModel:
        """Return it as what `zoo.load` returns."""
        return LoadedModel(
            source=Path("stub"), class_names=CLASSES, input_shape=SHAPE, image_input=self.image_input,
            _predict=self.predict,
        )  # fmt: skip


def answers(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what a `Model` predicts."""
    light = images.reshape(len(images), -1).mean(1) / 255
    return np.stack([1 - light, light, np.full(len(images), 0.001)], 1).astype(np.float32)


@dataclass
class Answer:
    """What a service answers."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Running:
    """A service that runs."""

    port: int
    log: io.StringIO
    server: Server
    engine: Engine
    model: Any

    def ask(self, method: str, path: str, body: Any = None, headers: Headers | None = None) -> Answer:
        """Send a request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers or {}))
            found = connection.getresponse()
            return Answer(found.status, {name.lower(): value for name, value in found.getheaders()}, found.read())

    def infer(self, images: NDArray[np.uint8], **headers: str) -> Answer:
        """Send images as binary data."""
        body, length = binary_request(images)
        return self.ask("POST", INFER, body, {"Inference-Header-Content-Length": str(length), **headers})

    def raw(self, data: bytes, *, seconds: float = 20) -> bytes:
        """Send bytes, and return all that comes until the connection ends."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            connection.sendall(data)
            return read_all(connection)

    def is_alive(self) -> bool:
        """Return whether it still computes."""
        return self.infer(np.zeros((1, *SHAPE), np.uint8)).status == 200


INFER = "/v2/models/stub/infer"


def read_all(connection: socket.socket) -> bytes:
    """Return all that comes until the connection ends."""
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


def binary_request(images: NDArray[np.uint8], **more: Any) -> tuple[bytes, int]:
    """Return the body of a request with binary data, and the length of its JSON."""
    tensor = {
        "name": "images", "shape": list(images.shape), "datatype": "UINT8",
        "parameters": {"binary_data_size": images.nbytes},
    }  # fmt: skip
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}, **more}).encode()
    return head + images.tobytes(), len(head)


def multipart(files: Mapping[str, bytes]) -> tuple[bytes, dict[str, str]]:
    """Return a form with files, and its headers."""
    parts = [
        b'--limit\r\nContent-Disposition: form-data; name="x"; filename="%b"\r\n\r\n%b\r\n' % (name.encode(), content)
        for name, content in files.items()
    ]
    return b"".join(parts) + b"--limit--\r\n", {"Content-Type": "multipart/form-data; boundary=limit"}


@contextlib.contextmanager
def running(
    model: Model | None = None,
    *,
    keys: list[str] | None = None,
    guard: Guard | None = None,
    is_steady: bool = False,
    compiles_each_size: bool = False,
    **limits: Any,
) -> Iterator[Running]:
    """Run a service until the block ends."""
    model = model or Model()
    guard = guard or Guard(frozenset(LOOPBACK_NAMES), ApiKeys.of(keys) if keys else None)
    served = ServedModel(
        model=model.loaded(),
        name="stub",
        platform="stub",
        runtime="Stub Runtime",
        is_steady=is_steady,
        compiles_each_size=compiles_each_size,
    )
    text, known, is_ready = io.StringIO(), Limits(**limits), threading.Event()
    with (
        warnings_are_errors(),
        bind("127.0.0.1", 0) as listener,
        Engine(served, known) as engine,
        RequestLog(text) as log,
    ):
        port = listener.getsockname()[1]
        server = Server(engine, guard, log, is_ready.set)
        thread = threading.Thread(target=server.serve_until_stopped, args=(listener,))
        thread.start()
        try:
            if not is_ready.wait(20):
                raise TimeoutError("the service does not start")
            yield Running(port, text, server, engine, model)
        finally:
            model.is_open.set()
            server.should_exit = True
            thread.join(20)


def in_threads(*functions: Callable[[], Any]) -> list[Any]:
    """Call functions at the same time and return what they return."""
    found: list[Any] = [None] * len(functions)

    def call(i: int) -> None:
        found[i] = functions[i]()

    threads = [threading.Thread(target=call, args=(i,)) for i in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return found


@dataclass
class Process:
    """A service in a process of its own."""

    port: int
    process: subprocess.Popen[str]
    title: str
    name: str
    said: list[str]


@contextlib.contextmanager
def serving(source: str | Path, *options: str, before: tuple[str, ...] = ()) -> Iterator[Process]:
    """Run `zoo serve` until the block ends, with options of its own and some of `zoo` before."""
    command = [sys.executable, "-m", "zoo", *before, "serve", str(source), "--port", "0", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        said = []
        for line in process.stderr or ():
            said.append(line)
            if found := re.search(r"http://[^/]+:(\d+)/", line):
                name = re.search(r"as model (\S+)\.$", said[-2])
                yield Process(int(found[1]), process, said[-2], name[1] if name else "", said)
                return
        raise RuntimeError("".join(said))
    finally:
        process.kill()
        process.communicate()


def ask(service: Process, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
    """Return the status and the content of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET" if body is None else "POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
