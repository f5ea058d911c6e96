"""``zoo serve --workers``: several processes answer as one, and end as one."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from zoo_fashion.dataset import FashionMnist
from zoo_serve.guard import Guard
from zoo_serve.keys import ApiKeys
from zoo_serve.limits import Limits
from zoo_serve.worker_messages import Job
from zoo_serve.workers import share

import zoo
from tests.support.onnx_files import write_onnx
from tests.support.serving import Process, ask, binary_request, serving
from zoo.cli import cli

IMAGES = FashionMnist().load(None).test[np.arange(4)][0]
INFER = "/v2/models/fashion-cnn/infer"


def test_workers_have_the_limits_of_the_service_together() -> None:
    assert share(Limits(queue=1000, max_images=10, connections=5), 2) == Limits(queue=500, max_images=10, connections=3)
    assert share(Limits(queue=256, max_images=256), 4).queue == 256  # or the largest request would never be taken


def test_keys_reach_a_worker_as_digests() -> None:
    guard = Guard(frozenset({"localhost"}), ApiKeys.of(["a-key-of-16-letters"]), is_public=True)
    job = Job(
        source="x", plugin_files=[], name=None, use_keras=False, is_quiet=False, guard=guard, limits=Limits(queue=300),
        threads=1,
    )  # fmt: skip
    sent = msgspec.json.encode(job)
    assert b"a-key" not in sent
    assert msgspec.json.decode(sent, type=Job) == job


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_onnx(tmp_path_factory.mktemp("exported") / "dense.onnx", zoo.open_run("fashion-cnn"))


def workers_of(service: Process) -> list[int]:
    """Return the IDs of the worker processes."""
    text = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text()
    return [int(each) for each in text.split()]


def exists(process: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


class Client:
    """A connection that is kept."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self._connection.connect()
        self._connection.auto_open = 0  # a lost connection is an error

    def infer(self) -> np.ndarray:
        body, length = binary_request(IMAGES)
        self._connection.request("POST", INFER, body, {"Inference-Header-Content-Length": str(length)})
        answer = self._connection.getresponse()
        content = answer.read()
        assert answer.status == 200
        return np.frombuffer(content[int(answer.headers["Inference-Header-Content-Length"]) :], "<f4")

    def is_connected(self) -> bool:
        try:
            self.infer()
        except (OSError, http.client.HTTPException):
            return False
        return True

    def close(self) -> None:
        self._connection.close()


@contextlib.contextmanager
def clients(service: Process, count: int) -> Iterator[list[Client]]:
    """Open connections, which all have been handed to workers."""
    opened = [Client(service.port) for _ in range(count)]
    try:
        for each in opened:
            each.infer()
        yield opened
    finally:
        for each in opened:
            each.close()


def metric(service: Process, name: str) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
    with contextlib.closing(connection):
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


@pytest.mark.slow
def test_each_worker_has_its_share_of_the_connections_and_is_replaced(onnx_file: Path) -> None:
    expected = zoo.load(onnx_file).predict(IMAGES).ravel()
    with serving(onnx_file, "--quiet", "--workers", "3") as service, clients(service, 6) as opened:
        workers = workers_of(service)
        assert len(workers) == 3
        for each in opened:
            np.testing.assert_array_equal(each.infer(), expected)
        assert metric(service, "zoo_serve_images_total") == 2 * 6 * len(IMAGES)
        assert metric(service, "zoo_serve_queue_images") == 0
        os.kill(workers[0], signal.SIGKILL)
        wait_for(lambda: workers[0] not in workers_of(service))
        assert sum(each.is_connected() for each in opened) == 4
        wait_for(lambda: len(workers_of(service)) == 3)
        assert ask(service, "/v2/health/ready")[0] == 200
        assert metric(service, "zoo_serve_images_total") == (2 * 6 + 4) * len(IMAGES)  # what it counted is not lost
        (replacing,) = set(workers_of(service)) - set(workers)
        with clients(service, 2) as others:  # for the new worker, as soon as it is ready, which has the fewest
            wait_for(lambda: _takes_connections(service, replacing))
            assert all(each.is_connected() for each in others)


def _takes_connections(service: Process, worker: int) -> bool:
    """Return whether a worker has a connection, after one was opened."""
    with clients(service, 1):
        return _connections_of(worker, service.port) > 0


def _connections_of(process: int, port: int) -> int:
    """Return the number of connections of a process at a port of this machine."""
    table = Path(f"/proc/{process}/net/tcp").read_text().splitlines()[1:]
    numbers = {row.split()[9] for row in table if row.split()[1].endswith(f":{port:04X}")}
    found = 0
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(OSError):  # it was closed
            found += os.readlink(descriptor)[8:-1] in numbers
    return found


@pytest.mark.slow
@pytest.mark.parametrize("has_group", [False, True])
def test_a_signal_ends_all_after_the_requests_under_way(onnx_file: Path, has_group: bool) -> None:
    body, length = binary_request(IMAGES)
    head = (
        f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        f"Inference-Header-Content-Length: {length}\r\n\r\n"
    ).encode()
    with serving(onnx_file, "--workers", "2") as service, contextlib.ExitStack() as opened:
        address, workers = ("127.0.0.1", service.port), workers_of(service)
        busy = [opened.enter_context(socket.create_connection(address, timeout=20)) for _ in range(4)]
        for each in busy:
            each.sendall(head + body[:100])
        time.sleep(0.3)
        for process in [service.process.pid, *(workers if has_group else [])]:  # a manager of services asks all
            os.kill(process, signal.SIGTERM)
        wait_for(lambda: not _accepts(address))
        for each in busy:
            each.sendall(body[100:])
            assert each.recv(100).startswith(b"HTTP/1.1 200 ")
        assert service.process.wait(10) == 0
        assert not any(map(exists, workers))


def _accepts(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address).close()
    except ConnectionError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize(
    ("numbers", "status"), [((signal.SIGTERM, signal.SIGTERM), 128 + signal.SIGTERM), ((signal.SIGKILL,), -9)]
)
def test_the_second_signal_and_a_kill_leave_nothing(
    onnx_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, numbers: tuple[int, ...], status: int
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with serving(onnx_file, "--workers", "2") as service:
        workers = workers_of(service)
        assert list(tmp_path.glob("zoo-serve-*"))
        with socket.create_connection(("127.0.0.1", service.port)) as busy:
            busy.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n")
            for number in numbers:
                time.sleep(0.5)
                service.process.send_signal(number)
            assert service.process.wait(5) == status
        wait_for(lambda: not any(map(exists, workers)))
        wait_for(lambda: not list(tmp_path.glob("zoo-serve-*")))


@pytest.mark.slow
def test_keys_and_names_count_in_every_worker(onnx_file: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.txt"
    keys.write_text("a-key-of-16-letters\n")
    options = ("--workers", "2", "--api-key-file", str(keys), "--name", "mine")
    with serving(onnx_file, *options) as service:
        for _ in range(4):
            assert ask(service, "/v2/models/mine")[0] == 401
            assert ask(service, "/v2/models/mine", None, **{"X-API-Key": "a-key-of-16-letters"})[0] == 200


@pytest.mark.slow
def test_what_cannot_be_served_is_one_line(tmp_path: Path) -> None:
    for source in (tmp_path / "missing.onnx", tmp_path / "missing"):
        found = CliRunner().invoke(cli, ["serve", str(source), "--port", "0", "--workers", "2"])
        assert isinstance(found.exception, zoo.ZooError)
        assert str(source) in str(found.exception)
