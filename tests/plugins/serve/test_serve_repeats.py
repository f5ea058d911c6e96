"""``zoo serve``: requests that repeat the head of an earlier one, and batches that the event loop computes itself."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import re
import socket
import threading
import time
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from zoo_serve import batching, connections, repeats, tensors
from zoo_serve.application import Application
from zoo_serve.batching import Batcher
from zoo_serve.heads import LONGEST_HEAD
from zoo_serve.limits import Limits
from zoo_serve.metrics import ServiceMetrics
from zoo_serve.tensors import InferRequest

from tests.support.serving import INFER, SHAPE, Model, Running, answers, binary_request, in_threads, read_all, running

IMAGES = np.random.default_rng(0).integers(0, 256, (2, *SHAPE), dtype=np.uint8)
OTHERS = 255 - IMAGES
KEY = "a-key-of-enough-letters"


def request(images: NDArray[np.uint8] = IMAGES, *fields: str, body: bytes | None = None) -> bytes:
    """Return a request for the probabilities of images, with more header fields, or with another body."""
    made, length = binary_request(images)
    body = made if body is None else body
    lines = [
        f"POST {INFER} HTTP/1.1", "Host: localhost", f"Inference-Header-Content-Length: {length}",
        f"Content-Length: {len(body)}", *fields,
    ]  # fmt: skip
    return "\r\n".join([*lines, "", ""]).encode() + body


class Talk:
    """A connection that is kept alive."""

    def __init__(self, service: Running) -> None:
        self.connection = socket.create_connection(("127.0.0.1", service.port), timeout=20)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._data = b""

    def ask(self, *parts: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send a request, in parts, and return the status, the headers and the body of the answer."""
        for part in parts:
            self.connection.sendall(part)
            time.sleep(0.02 * (len(parts) > 1))
        return self.answer()

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Return the next answer."""
        while b"\r\n\r\n" not in self._data:
            self._receive()
        head, _, self._data = self._data.partition(b"\r\n\r\n")
        if head == b"HTTP/1.1 100 Continue":
            return self.answer()
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        length = int(headers["content-length"])
        while len(self._data) < length:
            self._receive()
        body, self._data = self._data[:length], self._data[length:]
        return int(first.split()[1]), headers, body

    def _receive(self) -> None:
        if not (part := self.connection.recv(1 << 16)):
            raise ConnectionResetError
        self._data += part


@contextlib.contextmanager
def talk(service: Running) -> Iterator[Talk]:
    made = Talk(service)
    with made.connection:
        yield made


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the requests that come to the application, so of those that no known head answers."""
    paths: list[str] = []
    call = Application.__call__

    async def counting(self: Application, scope: Any, *functions: Any) -> None:
        paths.append(scope["path"])
        await call(self, scope, *functions)

    monkeypatch.setattr(Application, "__call__", counting)
    return paths


@pytest.mark.parametrize("is_steady", [False, True])
def test_repeated_heads_are_answered_as_the_first(parsed: list[str], is_steady: bool) -> None:
    with running(is_steady=is_steady) as service, talk(service) as one, talk(service) as other:
        first = one.ask(request())
        again = one.ask(request())
        elsewhere = other.ask(request(OTHERS))
    assert parsed == [INFER]
    assert first[0] == 200
    assert first[2].endswith(answers(IMAGES).tobytes())
    assert list(again[1]) == list(first[1])  # in the same order too
    assert {**again[1], "date": ""} == {**first[1], "date": ""} == {**elsewhere[1], "date": ""}
    assert again[2] == first[2]
    assert elsewhere[2].endswith(answers(OTHERS).tobytes())
    lines = [re.sub(r"\S+ ms", "", line.split(" ", 1)[1]) for line in service.log.getvalue().splitlines()]
    assert lines[:3] == [f"POST {INFER} 200  2 images"] * 3


class Remembering(Model):
    """Remembers, weakly, the memory of the images that it was given."""

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.seen.append(weakref.ref(images.base))
        return super().predict(images)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.seen: list[weakref.ref[Any]] = []


@pytest.mark.parametrize("is_known", [False, True])
def test_images_of_answered_requests_are_free_at_once(parsed: list[str], is_known: bool) -> None:
    model = Remembering()
    gc.disable()
    try:
        with running(model, is_steady=True) as service, talk(service) as client:
            for i in range(12):
                assert client.ask(request(IMAGES, f"X-Request: {0 if is_known else i}"))[0] == 200
            kept = [each() is not None for each in model.seen[:-2]]  # the latest may be in the hands of the loop
    finally:
        gc.enable()
    assert len(parsed) == (1 if is_known else 12)
    assert kept == [False] * 10


def test_requests_in_json_repeat_heads_too(parsed: list[str]) -> None:
    def asking(images: NDArray[np.uint8]) -> bytes:
        tensor = {"name": "images", "shape": [2, *SHAPE], "datatype": "UINT8", "data": images.ravel().tolist()}
        body = json.dumps({"inputs": [tensor]}).encode().ljust(400)
        return b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 400\r\n\r\n%b" % (INFER.encode(), body)

    with running() as service, talk(service) as one:
        for images in (IMAGES, OTHERS, IMAGES):
            status, headers, body = one.ask(asking(images))
            assert (status, headers["content-type"]) == (200, "application/json")
            found = np.array(json.loads(body)["outputs"][0]["data"], np.float32)
            np.testing.assert_array_equal(found, answers(images).ravel())
    assert len(parsed) == 1


@pytest.mark.parametrize(
    ("again", "status"),
    [
        (request(body=binary_request(IMAGES)[0][:-1]), 400),  # another length, so another head
        (request(body=b"x" * len(binary_request(IMAGES)[0])), 400),
        (request(body=binary_request(IMAGES)[0].replace(b'"images"', b'"IMAGES"')), 400),
        (request(body=binary_request(IMAGES)[0].replace(b"[2, 4", b"[4, 2")), 400),
        (request().replace(b"localhost", b"evil.test"), 421),
        (request(IMAGES, "Origin: http://evil.test"), 403),
        (request(IMAGES, "Transfer-Encoding: chunked"), 400),
        (request(IMAGES, "Content-Encoding: gzip"), 400),
        (request().replace(b"POST", b"PUT"), 405),
        (request().replace(b"stub", b"else"), 404),
    ],
)
def test_what_is_refused_is_refused_after_a_known_head(again: bytes, status: int) -> None:
    with running() as service:
        with talk(service) as one:
            assert one.ask(request())[0] == one.ask(request())[0] == 200
            assert one.ask(again)[0] == status
        with talk(service) as one:
            assert one.ask(request())[2].endswith(answers(IMAGES).tobytes())


END = request().index(b"\r\n\r\n") + 4


@pytest.mark.parametrize(
    ("cuts", "times"),
    [([1], 4), ([20], 4), ([END - 1], 4), ([END], 1), ([END + 1], 1), ([-1], 1), ([END, -1], 3), ([END, 200, -1], 3)],
)  # a head in parts is not remembered; one that is known waits for its body once
def test_repeated_requests_may_come_in_parts(
    parsed: list[str], monkeypatch: pytest.MonkeyPatch, cuts: list[int], times: int
) -> None:
    monkeypatch.setattr(connections, "_HOLD", 5.0)
    with running() as service, talk(service) as one:
        for images in (IMAGES, OTHERS, IMAGES):
            whole = request(images)
            parts = [whole[slice(*each)] for each in itertools.pairwise([0, *cuts, None])]
            assert one.ask(*parts)[2].endswith(answers(images).tobytes())
        assert one.ask(request(OTHERS))[2].endswith(answers(OTHERS).tobytes())
    assert len(parsed) == times


def test_known_head_with_a_late_body(parsed: list[str]) -> None:
    with running(read_timeout=0.5) as service:
        with talk(service) as one:
            one.ask(request())
            one.connection.sendall(request()[:END])
            time.sleep(0.2)
            assert one.ask(request()[END:])[2].endswith(answers(IMAGES).tobytes())
            assert len(parsed) == 2
            one.connection.sendall(request()[:-1])
            assert one.answer()[0] == 408
        with talk(service) as one:
            one.connection.sendall(request()[:END])
        with talk(service) as one:
            assert one.ask(request(OTHERS))[2].endswith(answers(OTHERS).tobytes())


def test_known_head_whose_body_comes_while_the_service_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_HOLD", 5.0)
    with running() as service, talk(service) as one:
        one.ask(request())
        one.connection.sendall(request()[:END])
        time.sleep(0.1)
        service.server.should_exit = True
        time.sleep(0.4)
        assert one.ask(request()[END:])[2].endswith(answers(IMAGES).tobytes())
        assert read_all(one.connection) == b""


def test_requests_sent_before_the_answer_keep_their_order() -> None:
    with running(is_steady=True) as service, talk(service) as one:
        one.ask(request())
        draw = np.random.default_rng(1)
        several = [draw.integers(0, 256, (2, *SHAPE), dtype=np.uint8) for _ in range(50)]
        one.connection.sendall(b"".join(map(request, several)))
        for images in several:
            assert one.answer()[2].endswith(answers(images).tobytes())
        assert one.ask(request(OTHERS))[2].endswith(answers(OTHERS).tobytes())


@pytest.mark.parametrize(
    "field",
    [
        "Connection: close",
        "Expect: 100-continue",
        "Upgrade: h2c",
        "Content-Encoding: identity",
        f"X-A: {'a' * LONGEST_HEAD}",
    ],
)
def test_heads_that_decide_more_are_parsed_each_time(parsed: list[str], field: str) -> None:
    with running() as service:
        for _ in range(3):
            with talk(service) as one:
                assert one.ask(request(IMAGES, field))[2].endswith(answers(IMAGES).tobytes())
    assert len(parsed) == 3


def test_http_1_0_is_parsed_each_time(parsed: list[str]) -> None:
    with running() as service:
        for _ in range(3):
            assert answers(IMAGES).tobytes() in service.raw(request().replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert len(parsed) == 3


def test_number_of_known_heads_is_limited(parsed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "MOST_HEADS", 3)
    with running() as service, talk(service) as one:
        for i in range(4):
            one.ask(request(IMAGES, f"X-Number: {i}"))
        del parsed[:]
        one.ask(request(IMAGES, "X-Number: 3"))
        assert parsed == []
        one.ask(request(IMAGES, "X-Number: 0"))
        assert len(parsed) == 1


def test_heads_that_come_once_displace_none_in_use(parsed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "MOST_HEADS", 3)
    with running() as service, talk(service) as other:
        other.ask(request())
        for i in range(6):
            other.ask(request(IMAGES, f"traceparent: {i}"))
            with talk(service) as one:  # a new connection, which remembers no head itself
                one.ask(request())
    assert len(parsed) == 1 + 6


def test_only_the_right_key_is_known(parsed: list[str]) -> None:
    with running(keys=[KEY]) as service, talk(service) as one:
        for _ in range(2):
            assert one.ask(request(IMAGES, f"X-API-Key: {KEY}"))[0] == 200
        assert len(parsed) == 1
        repeats_ = service.server.config.http_protocol_class.repeats  # type: ignore[attr-defined]  # ours
        assert len(repeats_._known) == 1
        assert KEY not in repr(vars(repeats_))
    with running(keys=[KEY]) as service:
        for fields in ((), (f"X-API-Key: {KEY[:-1]}x",)):
            with talk(service) as one:
                assert one.ask(request(IMAGES, *fields))[0] == 401


def chunked(*fields: str) -> bytes:
    """Return a request whose body comes in chunks."""
    body, length = binary_request(IMAGES)
    lines = [
        f"POST {INFER} HTTP/1.1", "Host: localhost", f"Inference-Header-Content-Length: {length}",
        "Transfer-Encoding: chunked", *fields,
    ]  # fmt: skip
    return "\r\n".join([*lines, "", ""]).encode() + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def test_the_rest_of_a_head_is_not_a_head() -> None:
    whole = request(IMAGES, f"X-API-Key: {KEY}", "X-More: 1")
    cut = whole.index(b"X-More")
    with running(keys=[KEY]) as service:
        with talk(service) as one:  # the parser sees the end of a request and the begin of the next at once
            one.connection.sendall(chunked(f"X-API-Key: {KEY}") + whole[:cut])
            assert one.answer()[0] == 200
            assert one.ask(whole[cut:])[0] == 200
        rest = whole[cut:]
        assert service.raw(rest).startswith(b"HTTP/1.1 400 ")


def test_a_head_is_not_remembered_for_another_request(parsed: list[str]) -> None:
    chunks = chunked()
    head = chunks[: chunks.index(b"\r\n\r\n") + 4]
    with running() as service:
        with talk(service) as one:
            one.connection.sendall(chunks + request())
            assert [one.answer()[0] for _ in range(2)] == [200, 200]
        assert service.raw(head + binary_request(IMAGES)[0]).startswith(b"HTTP/1.1 400 ")


def test_a_request_within_the_head_of_another_is_not_answered() -> None:
    begun = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nX-A: "
    with running() as service, talk(service) as one:
        assert one.ask(request())[0] == one.ask(request())[0] == 200
        assert one.ask(chunked() + begun)[0] == 200
        assert one.ask(request())[0] == 400


@pytest.mark.parametrize("fields", [["Connection: keep-alive", "Connection: close"], ["Proxy-Connection: close"]])
def test_connections_end_each_time_that_they_are_to(fields: list[str]) -> None:
    with running() as service:
        for _ in range(3):
            assert answers(IMAGES).tobytes() in service.raw(request(IMAGES, *fields), seconds=3)


@pytest.mark.parametrize("timeout", [1.2, 1.0])
def test_a_request_that_takes_longer_than_a_stop_is_answered(timeout: float) -> None:
    model = Model()
    with running(model, timeout=timeout) as service, talk(service) as one:
        one.ask(request())
        model.is_open.clear()
        one.connection.sendall(request())
        _wait_until(lambda: service.engine.batcher.admitted == 2)
        service.server.should_exit = True
        assert one.answer()[0] == 504
        _wait_until(lambda: service.engine.batcher.admitted == 0)


def test_full_queue_and_late_answers() -> None:
    model = Model()
    with running(model, queue=3, timeout=0.5) as service, talk(service) as one, talk(service) as other:
        assert one.ask(request())[0] == 200
        model.is_open.clear()
        one.connection.sendall(request())
        _wait_until(lambda: service.engine.batcher.admitted == 2)
        status, headers, _ = other.ask(request())
        assert (status, headers["retry-after"]) == (503, "1")
        status, headers, body = one.answer()
        assert (status, headers["retry-after"]) == (504, "1")
        assert "0.5 s" in json.loads(body)["error"]
        model.is_open.set()
        assert one.ask(request())[2].endswith(answers(IMAGES).tobytes())
        assert (service.engine.batcher.admitted, service.engine.bodies.held) == (0, 0)


def test_bodies_that_are_too_large_together() -> None:
    model = Model()
    size = len(binary_request(IMAGES)[0])
    with running(model, max_body=size) as service, contextlib.ExitStack() as stack:
        *four, fifth = [stack.enter_context(talk(service)) for _ in range(5)]
        assert fifth.ask(request())[0] == 200
        model.is_open.clear()
        for each in four:
            each.connection.sendall(request())
        _wait_until(lambda: service.engine.bodies.held == 4 * size)
        assert fifth.ask(request())[0] == 503
        model.is_open.set()
        assert [each.answer()[0] for each in four] == [200] * 4
        assert service.engine.bodies.held == 0


@pytest.mark.parametrize("is_steady", [False, True])
def test_a_model_that_fails_is_an_answer(is_steady: bool) -> None:
    model = Model()
    with running(model, is_steady=is_steady) as service, talk(service) as one:
        assert one.ask(request())[0] == 200
        model.error = RuntimeError("out of\nluck")
        status, headers, body = one.ask(request())
        assert (status, headers["x-content-type-options"]) == (500, "nosniff")
        assert json.loads(body) == {"error": "The service failed to answer."}
        model.error = None
        assert one.ask(request())[0] == 200
    assert [line.count("out of luck") for line in service.log.getvalue().splitlines()][:3] == [0, 1, 0]


def test_a_client_that_leaves() -> None:
    model = Model()
    with running(model) as service:
        with talk(service) as one, talk(service) as other:
            one.ask(request())
            model.is_open.clear()
            model.is_waiting.clear()
            one.connection.sendall(request())
            assert model.is_waiting.wait(10)
            other.connection.sendall(request())
            _wait_until(lambda: service.engine.batcher.admitted == 4)
        _wait_until(lambda: service.engine.batcher.admitted == 0)
        assert service.engine.bodies.held == 0
        model.is_open.set()
        assert service.is_alive()
    assert model.batches == [2, 2, 1]  # what still waited was not computed
    assert service.log.getvalue().count(" 499 ") == 2


def test_a_request_under_way_is_answered_when_the_service_stops() -> None:
    model = Model()
    with running(model) as service, talk(service) as one:
        one.ask(request())
        model.is_open.clear()
        one.connection.sendall(request())
        _wait_until(lambda: service.engine.batcher.admitted == 2)
        service.server.should_exit = True
        _wait_until(lambda: not service.server.servers[0].is_serving())
        time.sleep(0.1)
        model.is_open.set()
        _, headers, body = one.answer()
        assert headers["connection"] == "close"
        assert body.endswith(answers(IMAGES).tobytes())
        assert read_all(one.connection) == b""


def test_connections_without_another_request_end() -> None:
    with running(keep_alive=1) as service, talk(service) as one:
        for _ in range(2):
            one.ask(request())
        started = time.monotonic()
        assert read_all(one.connection) == b""
        assert 0.9 < time.monotonic() - started < 4


def test_metrics_count_repeated_requests() -> None:
    with running() as service, talk(service) as one:
        for _ in range(3):
            one.ask(request())
        text = service.ask("GET", "/metrics").body.decode()
    route = 'route="/v2/models/{name}/infer"'
    assert f'zoo_serve_requests_total{{method="POST",{route},status="200"}} 3.0' in text
    assert f"zoo_serve_request_seconds_count{{{route}}} 3.0" in text
    assert "zoo_serve_images_total 6.0" in text
    assert "zoo_serve_queue_images 0.0" in text


# batches in the event loop


def test_short_batches_are_computed_in_the_event_loop_and_long_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []
    seconds, now = [0.0], [0.0]

    def clock() -> float:  # of its own, since a busy machine would make a short batch a long one
        now[0] += 1e-5
        return now[0]

    monkeypatch.setattr(batching, "time", types.SimpleNamespace(perf_counter=clock))

    def predict(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        threads.append(threading.current_thread().name)
        now[0] += seconds[0]
        return answers(images)

    async def run() -> None:
        with contextlib.closing(Batcher(predict, Limits(), ServiceMetrics(), is_steady=True)) as batcher:
            for _ in range(3):
                await batcher.predict(IMAGES)
            seconds[0] = 4 * batching.SHORT
            for _ in range(3):
                await batcher.predict(IMAGES)
            seconds[0] = 0.0
            for _ in range(30):  # until it is quick again
                await batcher.predict(IMAGES)

    asyncio.run(run())
    here = threading.current_thread().name
    assert [name == here for name in threads[:6]] == [False, True, True, True, False, False]
    assert threads[-1] == here


def test_models_of_others_are_never_computed_in_the_event_loop() -> None:
    threads: set[str] = set()

    def predict(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        threads.add(threading.current_thread().name)
        return answers(images)

    async def run() -> None:
        with contextlib.closing(Batcher(predict, Limits(), ServiceMetrics())) as batcher:
            for _ in range(5):
                await batcher.predict(IMAGES)

    asyncio.run(run())
    assert threads == {"zoo-serve-compute"}


@pytest.mark.parametrize("is_steady", [False, True])
@pytest.mark.parametrize("max_wait", [0.0, 0.01])
def test_every_request_gets_its_own_answer(is_steady: bool, max_wait: float) -> None:
    class Uneven(Model):
        def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
            time.sleep([0.0, 0.0, 0.006][len(self.batches) % 3])  # so that it is short at times
            return super().predict(images)

    def client(seed: int) -> Callable[[], int]:
        def run() -> int:
            draw = np.random.default_rng(seed)
            with talk(service) as one:
                right = 0
                for _ in range(40):
                    images = draw.integers(0, 256, (draw.integers(1, 12), *SHAPE), dtype=np.uint8)
                    right += one.ask(request(images))[2].endswith(answers(images).tobytes())
            return right

        return run

    with running(Uneven(), is_steady=is_steady, max_wait=max_wait, max_batch=8) as service:
        assert in_threads(*map(client, range(8))) == [40] * 8
        assert service.engine.batcher.admitted == 0


def test_parts_of_an_answer_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(3).integers(0, 256, (10, *SHAPE), dtype=np.uint8)
    next_of_thread = Batcher._next_of_thread

    def slowly(self: Batcher, *, is_first: bool = False) -> Any:
        found = next_of_thread(self, is_first=is_first)
        if not found:
            time.sleep(0.05)  # in which the loop may compute the rest before it gets what the thread has computed
        return found

    def predict(given: NDArray[np.uint8]) -> NDArray[np.float32]:
        time.sleep(0.001 * len(given))
        return answers(given)

    async def run() -> list[NDArray[np.float32]]:
        with contextlib.closing(Batcher(predict, Limits(max_batch=8), ServiceMetrics(), is_steady=True)) as batcher:
            await batcher.predict(images[:1])
            first = asyncio.create_task(batcher.predict(images))
            await asyncio.sleep(0.02)  # the thread has computed eight of them, and sleeps
            return [await batcher.predict(images[:1]), await first]

    monkeypatch.setattr(Batcher, "_next_of_thread", slowly)
    one, all_of_them = asyncio.run(run())
    np.testing.assert_array_equal(one, answers(images[:1]))
    np.testing.assert_array_equal(all_of_them, answers(images))


def test_a_batch_that_fills_while_it_waits_begins_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "_GAP", 0.05)
    model = Model()

    async def run() -> None:
        with contextlib.closing(
            Batcher(model.predict, Limits(max_batch=4, max_wait=0.02), ServiceMetrics(), is_steady=True)
        ) as batcher:
            await batcher.predict(IMAGES)
            for _ in range(3):
                first = asyncio.create_task(batcher.predict(IMAGES))
                await asyncio.sleep(0.04)  # the time is over, but another request may still come
                await asyncio.gather(first, batcher.predict(IMAGES))

    asyncio.run(run())
    assert model.batches == [2, 4, 4, 4]


def test_an_answer_that_cannot_be_encoded_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    encode, model = tensors.encode, Model()

    def failing(asked: InferRequest, *arguments: Any) -> Any:
        if asked.id == "bad":
            raise MemoryError
        return encode(asked, *arguments)

    def with_id(id_: str) -> bytes:
        body, length = binary_request(IMAGES, id=id_)
        head = f"Host: localhost\r\nInference-Header-Content-Length: {length}\r\nContent-Length: {len(body)}"
        return f"POST {INFER} HTTP/1.1\r\n{head}\r\n\r\n".encode() + body

    with running(model) as service, talk(service) as one, talk(service) as other:
        assert one.ask(with_id("one"))[0] == 200
        monkeypatch.setattr(tensors, "encode", failing)
        model.is_open.clear()
        one.connection.sendall(with_id("bad"))
        other.connection.sendall(with_id("two"))
        _wait_until(lambda: service.engine.batcher.admitted == 4)
        model.is_open.set()
        assert (one.answer()[0], other.answer()[0]) == (500, 200)


@pytest.mark.parametrize("odd", [np.float32(3), np.zeros((0, 3), np.float32), np.zeros((3, 3), np.float32), None])
def test_a_model_that_returns_something_else_once(odd: Any) -> None:
    class Odd(Model):
        def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
            found = super().predict(images)
            return odd if len(self.batches) == 1 else found

    with running(Odd(), timeout=5) as service:
        assert [service.infer(IMAGES).status for _ in range(3)] == [500, 200, 200]


def test_gauge_of_waiting_images_follows_a_busy_thread() -> None:
    model, metrics = Model(), ServiceMetrics()

    def predict(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        gauges.append(int(float(re.findall(rb"\nzoo_serve_queue_images (\S+)", metrics.as_text())[0])))
        return model.predict(images)

    gauges: list[int] = []

    async def run() -> None:
        with contextlib.closing(Batcher(predict, Limits(max_batch=2), metrics)) as batcher:

            async def ask() -> None:
                with batcher.admission(2):
                    await batcher.predict(IMAGES)

            await asyncio.gather(*(ask() for _ in range(20)))

    asyncio.run(run())
    assert gauges[0] == 40
    assert gauges == sorted(gauges, reverse=True)
    assert gauges[-1] <= 8
    assert b"\nzoo_serve_queue_images 0.0" in metrics.as_text()


def test_images_wait_for_others_as_long_as_they_may() -> None:
    model = Model()
    with running(model, max_wait=0.3, max_batch=4) as service:
        started = time.monotonic()
        in_threads(lambda: service.infer(IMAGES[:1]), lambda: service.infer(IMAGES[:1]))
        assert 0.25 < time.monotonic() - started < 2
        started = time.monotonic()
        in_threads(lambda: service.infer(IMAGES), lambda: service.infer(IMAGES))
        assert time.monotonic() - started < 0.3  # since the batch is full
    assert model.batches == [2, 4]


def _wait_until(is_true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.005)
