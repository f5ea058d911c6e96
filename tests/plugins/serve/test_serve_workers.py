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

import zoo
from tests.support.onnx_files import write_onnx
from tests.support.serving import Process, ask, binary_request, serving
from zoo.cli import cli

IMAGES = FashionMnist().load(None).test[np.arange(4)][0]
INFER = "/v2/models/fashion-cnn/infer"


def test_keys_reach_a_worker_as_digests() -> None:
    guard = Guard(frozenset({"localhost"}), ApiKeys.of(["a-key-of-16-letters"]), is_public=True)
    job = Job(
        source="x", plugin_files=[], name=None, use_keras=False, is_quiet=False, guard=guard, limits=Limits(queue=300),
        threads=1, service=1,
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


def clients_of(process: int, port: int) -> set[int]:
    """Return the ports from which clients are connected to a process at a port of this machine."""
    table = [row.split() for row in Path(f"/proc/{process}/net/tcp").read_text().splitlines()[1:]]
    remote = {row[9]: int(row[2].rpartition(":")[2], 16) for row in table if row[1].endswith(f":{port:04X}")}
    found = set()
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(OSError):  # it was closed
            found.add(remote.get(os.readlink(descriptor)[8:-1], 0))
    return found - {0}


def exists(process: int) -> bool:
    with contextlib.suppress(OSError):
        is_zombie = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        return not is_zombie or len(os.listdir(f"/proc/{process}/task")) > 1  # threads that keep its sockets open
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
        self.port: int = self._connection.sock.getsockname()[1]

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
        assert [len(clients_of(worker, service.port)) for worker in workers] == [2, 2, 2]
        for each in opened:
            np.testing.assert_array_equal(each.infer(), expected)
        assert metric(service, "zoo_serve_images_total") == 2 * 6 * len(IMAGES)
        assert metric(service, "zoo_serve_queue_images") == 0
        lost = clients_of(workers[0], service.port) & {each.port for each in opened}  # without those of the metrics
        os.kill(workers[0], signal.SIGKILL)
        wait_for(lambda: workers[0] not in workers_of(service))
        assert {each.port for each in opened if not each.is_connected()} == lost
        wait_for(lambda: len(workers_of(service)) == 3)
        assert ask(service, "/v2/health/ready")[0] == 200
        assert metric(service, "zoo_serve_images_total") == (2 * 6 + 4) * len(IMAGES)  # what it counted is not lost
        (replacing,) = set(workers_of(service)) - set(workers)
        wait_for(lambda: _takes_connections(service, replacing))  # it has the fewest, as soon as it is ready


def _takes_connections(service: Process, worker: int) -> bool:
    """Return whether a worker has a connection, after one was opened."""
    with clients(service, 1):
        return len(clients_of(worker, service.port)) > 0


@pytest.mark.slow
def test_the_next_connections_are_for_the_worker_that_has_fewer(onnx_file: Path) -> None:
    with serving(onnx_file, "--workers", "2") as service, clients(service, 4) as opened:
        left, other = workers_of(service)
        for each in opened:
            if each.port in clients_of(left, service.port):
                each.close()
        wait_for(lambda: not clients_of(left, service.port))
        with clients(service, 2):
            assert len(clients_of(left, service.port)) == len(clients_of(other, service.port)) == 2


@pytest.mark.slow
def test_connections_wait_while_there_is_no_worker(onnx_file: Path) -> None:
    with serving(onnx_file, "--workers", "2") as service:
        workers = workers_of(service)
        service.process.send_signal(signal.SIGSTOP)
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        wait_for(lambda: not any(map(exists, workers)))
        with contextlib.closing(Client(service.port)) as waiting:
            service.process.send_signal(signal.SIGCONT)  # it learns of both deaths and of the connection at once
            waiting.infer()
        assert not {*workers} & {*workers_of(service)}


@pytest.mark.slow
def test_images_of_a_killed_worker_wait_no_longer(onnx_file: Path) -> None:
    body, length = binary_request(IMAGES)
    headers = {"Inference-Header-Content-Length": str(length)}
    with serving(onnx_file, "--workers", "2", "--max-wait", "1000") as service:
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
        with contextlib.closing(connection):
            connection.request("POST", INFER, body, headers)
            wait_for(lambda: metric(service, "zoo_serve_queue_images") == len(IMAGES))
            own = connection.sock.getsockname()[1]
            (worker,) = (each for each in workers_of(service) if own in clients_of(each, service.port))
            os.kill(worker, signal.SIGKILL)
            wait_for(lambda: metric(service, "zoo_serve_queue_images") == 0)


@pytest.mark.slow
def test_signals_to_workers_alone_stop_nothing(onnx_file: Path) -> None:
    with serving(onnx_file, "--workers", "2") as service, clients(service, 2) as opened:
        workers = workers_of(service)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTERM):
            for worker in workers:
                os.kill(worker, number)
        time.sleep(0.5)
        assert all(each.is_connected() for each in opened)
        assert workers_of(service) == workers
        service.process.send_signal(signal.SIGTERM)  # which nothing else wakes
        assert service.process.wait(5) == 0


@pytest.mark.slow
def test_a_worker_that_forks_can_be_replaced(onnx_file: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "forking.py"
    plugin.write_text(FORKING)
    with serving(onnx_file, "--workers", "2", before=("--plugin", str(plugin))) as service:
        workers = workers_of(service)
        os.kill(workers[0], signal.SIGKILL)
        wait_for(lambda: workers[0] not in workers_of(service) and len(workers_of(service)) == 2)
        assert ask(service, "/v2/health/ready")[0] == 200
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(10) == 0


FORKING = """
import os, sys, time

from zoo import hookimpl

if sys.modules["__main__"].__spec__.name == "zoo_serve.worker" and os.fork() == 0:
    time.sleep(60)
    os._exit(0)


@hookimpl
def register_models():
    return []
"""


@pytest.mark.slow
def test_keras_models_have_their_share_of_the_threads() -> None:
    with serving("fashion-cnn-fast", "--keras", "--workers", "2") as service:
        assert "Keras" in service.title
        share = max(1, len(os.sched_getaffinity(0)) // 2)
        for worker in workers_of(service):
            variables = Path(f"/proc/{worker}/environ").read_bytes().split(b"\0")
            assert f"TF_NUM_INTRAOP_THREADS={share}".encode() in variables
        assert ask(service, "/v2/models/fashion-cnn-fast/ready")[0] == 200


@pytest.mark.slow
def test_metrics_of_other_programs_are_not_ours(onnx_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "/missing")
    with serving(onnx_file) as service:
        assert metric(service, "process_resident_memory_bytes") > 0


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
            if len(numbers) > 1:  # the request under way keeps no worker
                wait_for(lambda: not any(map(exists, workers)))
        wait_for(lambda: not any(map(exists, workers)))
        wait_for(lambda: not list(tmp_path.glob("zoo-serve-*")))


@pytest.mark.slow
def test_keys_and_names_count_in_every_worker(onnx_file: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.txt"
    keys.write_text("a-key-of-16-letters\n" + "".join(f"{i:016}\n" for i in range(3000)))  # more than a pipe holds
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
