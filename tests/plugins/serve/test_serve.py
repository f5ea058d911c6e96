"""``zoo serve``: the protocol, image files, batches, limits, keys, and what is refused."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gzip
import html.parser
import io
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from starlette.exceptions import HTTPException
from zoo_serve import tensors
from zoo_serve.batch_sizes import batch_sizes
from zoo_serve.batching import Batcher
from zoo_serve.command import FiniteRange
from zoo_serve.guard import Guard
from zoo_serve.keys import ApiKeys
from zoo_serve.limits import Limits
from zoo_serve.main import check_address, warm_up
from zoo_serve.metrics import ServiceMetrics
from zoo_serve.pages import read_pages
from zoo_serve.served_model import ServedModel, load_served
from zoo_serve.server import bind

import zoo
from tests.support import ROOT
from tests.support.command_line import Zoo
from tests.support.exported_files import export_record
from tests.support.serving import (
    CLASSES,
    INFER,
    SHAPE,
    Model,
    Running,
    answers,
    binary_request,
    in_threads,
    multipart,
    read_all,
    running,
)
from tests.support.toy_exporter import ENTRY
from zoo import Registry
from zoo.errors import ArtifactError, SettingError

KEY = "a-key-of-enough-letters"
IMAGES = np.random.default_rng(0).integers(0, 256, (3, *SHAPE), dtype=np.uint8)


@pytest.fixture(scope="module", params=[False, True], ids=["in a thread", "in the event loop"])
def stub(request: pytest.FixtureRequest) -> Iterator[Running]:
    """A service with the default limits, which computes in either place; not to be changed."""
    with running(is_steady=request.param) as service:
        yield service


def png(image: NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, "png")
    return out.getvalue()


def request(**changes: Any) -> dict[str, Any]:
    """Return a request in JSON, with changes to its tensor."""
    tensor = {"name": "images", "shape": list(IMAGES.shape), "datatype": "UINT8", "data": IMAGES.tolist(), **changes}
    return {"inputs": [{name: value for name, value in tensor.items() if value is not ...}]}


def tensor_of(answer: Any) -> NDArray[np.float32]:
    """Return the probabilities in an answer, whether in JSON or as binary data."""
    length = answer.headers.get("inference-header-content-length")
    (output,) = json.loads(answer.body[: int(length)] if length else answer.body)["outputs"]
    assert (output["name"], output["datatype"]) == ("probabilities", "FP32")
    flat = np.frombuffer(answer.body[int(length) :], "<f4") if length else np.array(output["data"], np.float32)
    return flat.reshape(output["shape"])


# the protocol


def test_metadata(stub: Running) -> None:
    server = stub.ask("GET", "/v2")
    assert server.json["name"] == "keras-zoo"
    assert server.json["extensions"] == ["binary_tensor_data"]
    for path in ("/v2/models/stub", "/v2/models/stub/versions/1"):
        assert stub.ask("GET", path).json == {
            "name": "stub",
            "versions": ["1"],
            "platform": "stub",
            "inputs": [{"name": "images", "datatype": "UINT8", "shape": [-1, *SHAPE]}],
            "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]}],
        }
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/stub/ready", "/v2/models/stub/versions/1/ready"):
        assert stub.ask("GET", path).status == 200


@pytest.mark.parametrize("data", [IMAGES.tolist(), IMAGES.ravel().tolist()], ids=["nested", "flat"])
def test_tensors_in_json(stub: Running, data: list[Any]) -> None:
    answer = stub.ask("POST", INFER, json.dumps({**request(data=data), "id": "42"}))
    assert answer.status == 200
    assert (answer.json["model_name"], answer.json["model_version"], answer.json["id"]) == ("stub", "1", "42")
    np.testing.assert_array_equal(tensor_of(answer), answers(IMAGES))


def test_tensors_in_binary(stub: Running) -> None:
    answer = stub.infer(IMAGES)
    assert answer.headers["content-type"] == "application/octet-stream"
    np.testing.assert_array_equal(tensor_of(answer), answers(IMAGES))


@pytest.mark.parametrize(
    ("more", "is_binary"),
    [
        ({"parameters": {}}, False),
        ({"outputs": [{"name": "probabilities"}]}, True),
        ({"outputs": [{"name": "probabilities", "parameters": {"binary_data": False}}]}, False),
        ({"parameters": {}, "outputs": [{"name": "probabilities", "parameters": {"binary_data": True}}]}, True),
    ],
)
def test_form_of_the_output(stub: Running, more: dict[str, Any], is_binary: bool) -> None:
    body, length = binary_request(IMAGES, **more)
    answer = stub.ask("POST", INFER, body, {"Inference-Header-Content-Length": str(length)})
    assert ("inference-header-content-length" in answer.headers) == is_binary
    np.testing.assert_array_equal(tensor_of(answer), answers(IMAGES))


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_compressed_bodies(stub: Running, encoding: str, compress: Any) -> None:
    body, length = binary_request(IMAGES)
    headers = {"Inference-Header-Content-Length": str(length), "Content-Encoding": encoding}
    np.testing.assert_array_equal(tensor_of(stub.ask("POST", INFER, compress(body), headers)), answers(IMAGES))
    assert stub.ask("POST", INFER, compress(body)[:-9], headers).status == 400
    assert stub.ask("POST", INFER, b"x" + compress(body), headers).status == 400
    assert stub.ask("POST", INFER, compress(b"\0" * (33 << 20)), headers).status == 413
    assert stub.ask("POST", INFER, body, {**headers, "Content-Encoding": "br"}).status == 415


FAULTS: dict[str, Any] = {
    "empty": b"",
    "not JSON": b"\xff{",
    "half": json.dumps(request()).encode()[:-3],
    "nested deeply": b'{"inputs": ' + b"[" * 100_000,
    "a key twice": b'{"inputs": [], "inputs": []}',
    "not an object": [],
    "no input": {"inputs": []},
    "two inputs": {"inputs": request()["inputs"] * 2},
    "another name": request(name="pixels"),
    "another type": request(datatype="FP32"),
    "another shape": request(shape=[3, 5, 4, 1]),
    "shape without channels": request(shape=[3, 4, 5]),
    "no image": request(shape=[0, *SHAPE], data=[]),
    "negative shape": request(shape=[-3, *SHAPE]),
    "shape of booleans": request(shape=[True, *SHAPE]),
    "shape of floats": request(shape=[3.0, *SHAPE]),
    "huge shape": request(shape=[2, 2**40, 2**40, 1]),
    "no data": request(data=...),
    "too few data": request(data=[0] * 59),
    "ragged": request(data=[[[[0]] * 5] * 4, [[[0]] * 5] * 4, [[[0]] * 5] * 3]),
    "a number among lists": request(data=[[[[0]] * 5] * 4, [[[0]] * 5] * 4, 7]),
    "over 255": request(data=[256] * 60),
    "negative": request(data=[-1] * 60),
    "floats": request(data=[0.5] * 60),
    "booleans": request(data=[True] * 60),
    "texts": request(data=["1"] * 60),
    "null": request(data=[None] * 60),
    "NaN": json.dumps(request(data=[float("nan")] * 60)).encode(),
    "huge number": b'{"inputs": [{"name": ' + b"9" * 10_000 + b"}]}",
    "data and binary size": request(parameters={"binary_data_size": 60}),
    "binary size without bytes": request(data=..., parameters={"binary_data_size": 60}),
    "huge binary size": request(data=..., parameters={"binary_data_size": 2**70}),
    "shared memory": request(data=..., parameters={"shared_memory_region": "x"}),
    "parameters in a list": request(parameters=[1]),
    "another output": {**request(), "outputs": [{"name": "logits"}]},
    "classification": {**request(), "outputs": [{"name": "probabilities", "parameters": {"classification": 3}}]},
    "binary output as text": {**request(), "parameters": {"binary_data_output": "yes"}},
    "id in a list": {**request(), "id": []},
    "long id": {**request(), "id": "x" * 2000},
}


@pytest.mark.parametrize("name", FAULTS)
def test_bad_tensors_are_refused(stub: Running, name: str) -> None:
    body = FAULTS[name]
    answer = stub.ask("POST", INFER, body if isinstance(body, bytes) else json.dumps(body))
    assert answer.status == 400
    assert list(answer.json) == ["error"]
    assert stub.is_alive()


@pytest.mark.parametrize("length", ["x", "-1", "1e3", "9" * 30, "10000000", "\u00b2"])
def test_bad_lengths_of_json_are_refused(stub: Running, length: str) -> None:
    body, _ = binary_request(IMAGES)
    headers = {"Inference-Header-Content-Length": length}
    assert stub.ask("POST", INFER, body, headers).status == 400


def test_each_shape_has_checks_of_its_own() -> None:
    body, length = binary_request(IMAGES)
    assert tensors.decode(body, length, SHAPE, 3).images.shape == IMAGES.shape
    with pytest.raises(HTTPException) as refused:
        tensors.decode(body, length, (5, 4, 1), 3)
    assert refused.value.status_code == 400


def test_requests_of_one_turn_of_the_event_loop_are_computed_together() -> None:
    model = Model()

    async def ask_five() -> None:
        with contextlib.closing(Batcher(model.predict, Limits(), ServiceMetrics())) as batcher:

            async def ask() -> None:
                time.sleep(0.01)  # in which the computing thread could begin
                await batcher.predict(IMAGES[:1])

            await asyncio.gather(*(ask() for _ in range(5)))

    asyncio.run(ask_five())
    assert model.batches == [5]


@pytest.mark.parametrize("change", [-1, 1])
def test_binary_data_of_another_size_are_refused(stub: Running, change: int) -> None:
    body, length = binary_request(IMAGES)
    body = body[:change] if change < 0 else body + b"\0"
    assert stub.ask("POST", INFER, body, {"Inference-Header-Content-Length": str(length)}).status == 400


def test_damaged_requests_raise_nothing_else() -> None:
    body, length = binary_request(IMAGES)
    draw = random.Random(0)
    for _ in range(2000):
        damaged = bytearray(body)
        for _ in range(draw.randint(1, 4)):
            damaged[draw.randrange(length)] = draw.choice(b'{}[]",:0-9etrufalsn\\ \xff')
        with contextlib.suppress(HTTPException):
            tensors.decode(bytes(damaged), length, SHAPE, 256)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/static/../service.py", 404),
        ("GET", "/static/%2e%2e/service.py", 404),
        ("GET", "/v2/models/other", 404),
        ("GET", "/v2/models/stub/versions/2", 404),
        ("POST", "/v2/models/other/infer", 404),
        ("GET", "/predict", 405),
        ("GET", INFER, 405),
        ("POST", "/v2", 405),
        ("DELETE", "/v2/models/stub", 405),
        ("PROPFIND", "/", 405),
        ("HEAD", "/v2", 200),
    ],
)
def test_paths_and_methods(stub: Running, method: str, path: str, status: int) -> None:
    answer = stub.ask(method, path)
    assert answer.status == status
    assert ("allow" in answer.headers) == (status == 405)


# image files


def test_files_are_predicted_as_zoo_predict_does(tmp_path: Path) -> None:
    model = Model()
    draw = np.random.default_rng(1)
    files = {f"{i}.png": png(draw.integers(128 * (i % 2), 256, (9 + i, 7), dtype=np.uint8)) for i in range(5)}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    expected = model.loaded().predict_files([tmp_path / name for name in files])
    assert {each.inverted for each in expected} == {False, True}
    body, headers = multipart(files)
    with running(model) as service:
        found = service.ask("POST", "/predict?top=3", body, headers).json["predictions"]
        one = service.ask("POST", "/predict", files["1.png"]).json["predictions"]
    for want, row in zip(expected, found, strict=True):
        assert row["file"] == Path(want.file).name
        assert row["inverted"] == want.inverted
        assert row.get("uneven_background", False) == want.has_uneven_background
        assert [(each["class"], each["probability"]) for each in row["classes"]] == list(want.classes)
    assert one[0]["classes"] == found[1]["classes"]


def test_query(stub: Running) -> None:
    image = png(np.full((8, 8), 255, np.uint8))
    inverted = stub.ask("POST", "/predict?top=1", image).json["predictions"][0]
    assert (inverted["inverted"], inverted["classes"][0]["class"]) == (True, "dark")
    kept = stub.ask("POST", "/predict?top=99&invert=no", image).json["predictions"][0]
    assert kept["inverted"] is False
    assert [each["class"] for each in kept["classes"]] == ["light", "dark", "other"]  # padded with black
    for query in ("top=0", "top=x", "top=-1", "top=99999999999", "invert=maybe", "k=3"):
        assert stub.ask("POST", f"/predict?{query}", image).status == 400


def test_a_bad_file_among_good_ones(stub: Running) -> None:
    body, headers = multipart({"a.png": png(IMAGES[0, ..., 0] // 2), "b.png": b"no image", "c.png": b""})
    answer = stub.ask("POST", "/predict", body, headers)
    assert answer.status == 200
    assert [sorted(each) for each in answer.json["predictions"]] == [
        ["classes", "file", "inverted"],
        ["error", "file"],
        ["error", "file"],
    ]
    body, headers = multipart({"b.png": b"no image", "c.png": b""})
    assert stub.ask("POST", "/predict", body, headers).status == 400


BOMB = png(np.zeros((1, 1), np.uint8)).replace(b"\0\0\0\1\0\0\0\1", b"\0\1\0\0\0\1\0\0")


@pytest.mark.parametrize("content", [b"", b"x" * 1000, BOMB, png(IMAGES[0, ..., 0])[:-40]])
def test_bad_images_are_refused(stub: Running, content: bytes) -> None:
    assert stub.ask("POST", "/predict", content).status == 400
    assert stub.is_alive()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "multipart/form-data"),
        (b"--a--", "multipart/form-data; boundary="),
        (b"nothing", "multipart/form-data; boundary=limit"),
        (b"--limit--\r\n", "multipart/form-data; boundary=limit"),
        (multipart({"a": b"x"})[0][:-20], "multipart/form-data; boundary=limit"),
        (multipart({"a": b"x"})[0], f"multipart/form-data; boundary={'x' * 5000}"),
        (
            b'--limit\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--limit--\r\n',
            "multipart/x; boundary=limit",
        ),
        (b"--limit\r\n" + b"a: b\r\n" * 1000 + b"\r\n1\r\n--limit--\r\n", "multipart/form-data; boundary=limit"),
    ],
)
def test_bad_forms_are_refused(stub: Running, body: bytes, kind: str) -> None:
    assert stub.ask("POST", "/predict", body, {"Content-Type": kind}).status == 400
    assert stub.is_alive()


def test_file_names_are_only_repeated(stub: Running) -> None:
    names = ["../../etc/passwd", "a\x1b[31m\tb", "\u202egnp.x", "x" * 1000, ""]
    for name in names:
        body, headers = multipart({name: png(IMAGES[0, ..., 0])})
        (found,) = stub.ask("POST", "/predict", body, headers).json["predictions"]
        assert found["file"].isprintable()
        assert 0 < len(found["file"]) <= 255


# batches


def test_requests_that_wait_are_computed_together() -> None:
    model = Model()
    with running(model, max_batch=8, max_wait=0) as service:
        model.is_open.clear()
        parts = [IMAGES[i % 3 : i % 3 + 1] for i in range(5)]
        blocked = threading.Thread(target=service.infer, args=(IMAGES,))
        blocked.start()
        assert model.is_waiting.wait(10)
        calls = [lambda part=part: service.infer(part) for part in parts]
        opener = threading.Thread(target=_open_when, args=(service, model, 8))
        opener.start()
        found = in_threads(*calls)
        for thread in (blocked, opener):
            thread.join(10)
    assert model.batches == [3, 5]
    for part, answer in zip(parts, found, strict=True):
        np.testing.assert_array_equal(tensor_of(answer), answers(part))


def _open_when(service: Running, model: Model, images: int) -> None:
    """Let the model compute once that many images are waiting."""
    end = time.monotonic() + 10
    while service.engine.batcher.admitted < images and time.monotonic() < end:
        time.sleep(0.005)
    model.is_open.set()


def test_a_large_request_is_computed_in_parts_and_others_have_their_turn() -> None:
    model = Model()
    large = np.random.default_rng(2).integers(0, 256, (20, *SHAPE), dtype=np.uint8)
    with running(model, max_batch=8, max_wait=0) as service:
        model.is_open.clear()
        blocked = threading.Thread(target=service.infer, args=(IMAGES[:1],))
        blocked.start()
        assert model.is_waiting.wait(10)
        found: dict[str, Any] = {}
        first = threading.Thread(target=lambda: found.update(large=service.infer(large)))
        first.start()
        while service.engine.batcher.admitted < 21:
            time.sleep(0.005)
        second = threading.Thread(target=lambda: found.update(small=service.infer(IMAGES)))
        second.start()
        _open_when(service, model, 24)
        for thread in (blocked, first, second):
            thread.join(10)
    assert model.batches[:3] == [1, 8, 3]
    assert sorted(model.batches) == [1, 3, 4, 8, 8]
    np.testing.assert_array_equal(tensor_of(found["large"]), answers(large))
    np.testing.assert_array_equal(tensor_of(found["small"]), answers(IMAGES))


@pytest.mark.parametrize("kind", [RuntimeError, ArtifactError])
def test_a_model_that_fails_is_an_answer_and_the_service_goes_on(kind: type[Exception]) -> None:
    model = Model(error=kind("out of\nluck"))
    with running(model) as service:
        assert service.infer(IMAGES).status == 500
        assert service.ask("POST", "/predict", png(IMAGES[0, ..., 0])).status == 500
        model.error = None
        assert service.is_alive()
    assert [line.count("out of luck") for line in service.log.getvalue().splitlines()][:2] == [1, 1]


class Checked(Model):
    """Refuses answers that are not finite, as exported files do."""

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        found = super().predict(images)
        if not np.isfinite(found).all():
            raise ArtifactError("The answers are not finite.")
        return found


@pytest.mark.parametrize("kind", [Model, Checked])
def test_probabilities_that_are_not_finite_fail_their_own_request_only(kind: type[Model]) -> None:
    model = kind(is_damaged=True)
    black = np.zeros((2, *SHAPE), np.uint8)
    with running(model, max_batch=8) as service:
        model.is_open.clear()
        blocked = threading.Thread(target=service.infer, args=(IMAGES[:1],))
        blocked.start()
        assert model.is_waiting.wait(10)
        opener = threading.Thread(target=_open_when, args=(service, model, 7))
        opener.start()
        bad, good, form = in_threads(
            lambda: service.infer(black),
            lambda: service.infer(IMAGES),
            lambda: service.ask("POST", "/predict", png(black[0, ..., 0])),
        )
        for thread in (blocked, opener):
            thread.join(10)
        assert (bad.status, form.status) == (500, 500)
        np.testing.assert_array_equal(tensor_of(good), answers(IMAGES))
        assert service.infer(IMAGES).status == 200
        assert service.infer(np.concatenate([IMAGES[:1]] * 9 + [black])).status == 500  # in the second of two batches
    assert 1 in model.batches
    assert {5, 6} & set(model.batches)  # the arrays together, and the file if it was decoded by then
    lines = [line for line in service.log.getvalue().splitlines() if " 500 " in line]
    assert len(lines) == 3
    assert all("not finite" in line for line in lines)


@pytest.mark.parametrize(
    ("largest", "sizes"),
    [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (8, [1, 2, 4, 8]), (100, [1, 2, 4, 8, 16, 32, 64, 100])],
)
def test_sizes_of_batches(largest: int, sizes: list[int]) -> None:
    assert batch_sizes(largest) == sizes


def test_models_that_are_compiled_for_each_size_get_few_sizes() -> None:
    model = Model()
    images = np.random.default_rng(2).integers(0, 256, (25, *SHAPE), dtype=np.uint8)
    served = ServedModel(model=model.loaded(), name="x", platform="x", runtime="x", compiles_each_size=True)
    warm_up(served, Limits(max_batch=12))
    assert model.batches == [1, 2, 4, 8, 12]
    with running(model, compiles_each_size=True, max_batch=12) as service:
        for count in range(1, 26):
            np.testing.assert_array_equal(tensor_of(service.infer(images[:count])), answers(images[:count]))
    assert set(model.batches) == {1, 2, 4, 8, 12}


@pytest.mark.parametrize(
    ("backend", "is_compiled"),
    [
        pytest.param("jax", True, marks=pytest.mark.slow),
        pytest.param("tensorflow", False, marks=pytest.mark.full),
    ],
)
def test_keras_on_jax_is_compiled_for_each_size(backend: str, is_compiled: bool) -> None:
    code = (
        "from zoo import load_registry; from zoo_serve.served_model import load_served\n"
        "served = load_served('fashion-cnn', load_registry(), name=None, use_keras=True, before_keras=bool)\n"
        "print(served.compiles_each_size)"
    )
    environment = {**os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.splitlines()[-1] == str(is_compiled)


def test_models_that_need_contrast_are_served() -> None:
    model = Checked(is_damaged=True)
    warm_up(ServedModel(model=model.loaded(), name="x", platform="x", runtime="x"), Limits(max_batch=4))
    assert sorted(model.batches) == [1, 4]


# limits


def test_too_large_requests() -> None:
    with running(max_body=100_000, max_images=4) as service:
        assert service.infer(np.zeros((5, *SHAPE), np.uint8)).status == 413
        body, headers = multipart({f"{i}": b"x" for i in range(5)})
        assert service.ask("POST", "/predict", body, headers).status == 413
        assert service.ask("POST", "/predict", b"x" * 100_001).status == 413
        chunks = (b"x" * 1000 for _ in range(200))
        assert service.ask("POST", "/predict", chunks).status == 413
        assert service.ask("POST", INFER, gzip.compress(b"x" * 200_000), {"Content-Encoding": "gzip"}).status == 413
        head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2147483648\r\n\r\n"
        assert service.raw(head).startswith(b"HTTP/1.1 413 ")
        assert service.is_alive()


def test_too_much_json(stub: Running) -> None:
    assert stub.ask("POST", INFER, b" " * ((4 << 20) + 1)).status == 413


def test_bodies_that_are_too_large_together() -> None:
    with running(max_body=1000, read_timeout=5) as service:
        head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
        held = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(4)]
        for connection in held:
            connection.sendall(head + b"x" * 999)
        end = time.monotonic() + 5
        while service.engine.bodies.held < 3996 and time.monotonic() < end:
            time.sleep(0.005)
        answer = service.ask("POST", "/predict", b"x" * 999)
        for connection in held:
            connection.close()
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        while service.engine.bodies.held and time.monotonic() < end:
            time.sleep(0.005)
        assert service.is_alive()


def test_full_queue_and_late_answers() -> None:
    model = Model()
    with running(model, max_images=4, queue=4, timeout=0.5) as service:
        model.is_open.clear()
        late: list[Any] = []
        thread = threading.Thread(target=lambda: late.append(service.infer(IMAGES)))
        thread.start()
        assert model.is_waiting.wait(10)
        refused = service.infer(IMAGES)
        body, headers = multipart({"a": b"", "b": b""})
        assert service.ask("POST", "/predict", body, headers).status == 503
        thread.join(10)
        model.is_open.set()
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert late[0].status == 504
        assert service.is_alive()


def test_slow_senders() -> None:
    with running(read_timeout=0.3, keep_alive=1) as service:
        head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\n"
        assert service.raw(head).startswith(b"HTTP/1.1 408 ")
        assert service.raw(head + b"Content-Length: 10\r\n\r\n123").startswith(b"HTTP/1.1 408 ")
        assert service.raw(b"") == b""  # a connection without a request just ends
        assert service.is_alive()


def test_time_of_a_head_starts_at_its_first_byte() -> None:
    head = b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with running(read_timeout=1) as service, socket.create_connection(("127.0.0.1", service.port)) as connection:
        for seconds in (1.2, 0.9):  # a new connection, then one that was kept alive
            time.sleep(seconds)
            connection.sendall(head[:20])
            time.sleep(0.3)
            connection.sendall(head[20:])
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        connection.sendall(head + head[:20])  # the second one never ends
        assert b"HTTP/1.1 408 " in read_all(connection)
        assert service.raw(b"\r\n").startswith(b"HTTP/1.1 408 ")  # nor does one that does not even begin


def test_connections_without_requests_end() -> None:
    with running(keep_alive=1) as service:
        started = time.monotonic()
        assert service.raw(b"", seconds=10) == b""
        assert service.raw(b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n", seconds=10).startswith(b"HTTP/1.1 200 ")
        assert 1.9 < time.monotonic() - started < 8


def test_answers_that_nobody_takes() -> None:
    with running(read_timeout=0.3) as service, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", service.port))
        ask = b"GET /static/page.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with contextlib.suppress(OSError):
            connection.settimeout(1)
            connection.sendall(ask * 20_000)
        end = time.monotonic() + 5
        while service.server.server_state.connections and time.monotonic() < end:
            time.sleep(0.01)
        assert not service.server.server_state.connections
        assert service.is_alive()


def test_too_many_connections() -> None:
    with running(connections=2) as service:
        held = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(2)]
        end = time.monotonic() + 5
        while len(service.server.server_state.connections) < 2 and time.monotonic() < end:
            time.sleep(0.005)
        with socket.create_connection(("127.0.0.1", service.port)) as connection:
            assert read_all(connection).startswith(b"HTTP/1.1 503 ")
        for connection in held:
            connection.close()
        while service.server.server_state.connections and time.monotonic() < end:
            time.sleep(0.005)
        assert service.is_alive()


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: example.com\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /a\x00b HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_what_is_not_http(stub: Running, data: bytes) -> None:
    assert stub.raw(data).startswith(b"HTTP/1.1 400 ")
    assert stub.is_alive()


@pytest.mark.parametrize("size", [1, 7, 100, 1 << 20])
def test_requests_that_are_sent_before_the_answer(stub: Running, size: int) -> None:
    body, length = binary_request(IMAGES)
    fields = b"Host: localhost\r\nInference-Header-Content-Length: %d\r\n" % length
    ask = b"POST %b HTTP/1.1\r\n%b" % (INFER.encode(), fields)
    whole = ask + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    parts = ask + b"Transfer-Encoding: chunked\r\n\r\n5;x=y\r\n%b\r\n%x\r\n%b\r\n0\r\nHost: x\r\n\r\n" % (
        body[:5], len(body) - 5, body[5:],
    )  # fmt: skip
    other = ask + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    sent = whole + parts + other + b"\r\n" + b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", stub.port), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(sent), size):
            connection.sendall(sent[start : start + size])
        found = read_all(connection)
    assert found.count(b"HTTP/1.1 200 OK\r\n") == found.count(b"HTTP/1.1 ") == 4
    assert found.count(answers(IMAGES).tobytes()) == 3


def test_answer_comes_while_the_body_of_the_next_request_is_still_sent(stub: Running) -> None:
    body, length = binary_request(IMAGES)
    fields = b"Host: localhost\r\nInference-Header-Content-Length: %d\r\n" % length
    ask = b"POST %b HTTP/1.1\r\n%b" % (INFER.encode(), fields)
    parts = ask + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    whole = ask + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    with socket.create_connection(("127.0.0.1", stub.port), timeout=20) as connection:
        connection.sendall(parts[:-1])
        connection.sendall(parts[-1:] + whole)  # one segment, so the parser sees the end and the next head at once
        found = connection.recv(1 << 16)
        assert found.startswith(b"HTTP/1.1 200 OK\r\n")
        connection.sendall(body)
        found += read_all(connection)
    assert found.count(b"HTTP/1.1 200 OK\r\n") == found.count(answers(IMAGES).tobytes()) == 2


@pytest.mark.slow
def test_requests_that_wait_take_no_more_memory_than_the_system_buffers(stub: Running) -> None:
    body, length = binary_request(IMAGES)
    fields = b"Host: localhost\r\nInference-Header-Content-Length: %d\r\nContent-Length: %d\r\n" % (length, len(body))
    asks = (b"POST %b HTTP/1.1\r\n%b\r\n%b" % (INFER.encode(), fields, body)) * 500
    with socket.create_connection(("127.0.0.1", stub.port), timeout=0.5) as connection:
        sent, end = 0, time.monotonic() + 20
        with contextlib.suppress(TimeoutError):  # once no more is taken, since no answer is
            while sent < 64 << 20 and time.monotonic() < end:
                sent += connection.send(asks)
    assert sent < 64 << 20
    assert stub.is_alive()


@pytest.mark.parametrize(
    "fields",
    [b"Content-Length: 5 \r\n", b"Content-Length: 0000000000000000000000005\r\n"],
    ids=["a blank after it", "many digits"],
)
def test_connection_ends_after_an_answer_without_the_body_being_read(stub: Running, fields: bytes) -> None:
    with socket.create_connection(("127.0.0.1", stub.port), timeout=5) as connection:
        connection.sendall(b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n" + fields + b"\r\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        with contextlib.suppress(ConnectionError):
            connection.sendall(b"x")
            assert read_all(connection) == b""


def test_blanks_after_a_value_are_not_part_of_it(stub: Running) -> None:
    body, length = binary_request(IMAGES)
    fields = b"Host: localhost \t\r\nInference-Header-Content-Length: %d \r\n" % length
    ask = b"POST %b HTTP/1.1\r\n%bConnection: close\r\n" % (INFER.encode(), fields)
    found = stub.raw(ask + b"Content-Length: %d\t\r\n\r\n%b" % (len(body), body))
    assert found.startswith(b"HTTP/1.1 200 ")


def test_end_of_a_body_in_chunks_begins_no_request() -> None:
    with running(read_timeout=0.3, keep_alive=1) as service:
        ask = b"POST %b HTTP/1.1\r\nHost: localhost\r\n" % INFER.encode()
        ask += b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
        with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
            connection.sendall(ask)
            time.sleep(0.05)
            connection.sendall(b"0\r\n\r\n")
            found = read_all(connection)
        assert found.count(b"HTTP/1.1 ") == 1
        assert b" 408 " not in found


def test_field_after_a_body_that_asks_to_close_is_heeded(stub: Running) -> None:
    ask = b"POST %b HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n" % INFER.encode()
    ask += b"0\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", stub.port), timeout=5) as connection:
        connection.sendall(ask)
        assert read_all(connection).count(b"HTTP/1.1 400 ") == 1


def test_id_is_returned_whatever_is_in_it(stub: Running) -> None:
    body, length = binary_request(IMAGES, id="\ud800")
    fields = b"Host: localhost\r\nConnection: close\r\nInference-Header-Content-Length: %d\r\n" % length
    ask = b"POST %b HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n%b" % (INFER.encode(), fields, len(body), body)
    found = stub.raw(ask)
    assert found.startswith(b"HTTP/1.1 200 ")
    assert b'"id": "\\ud800"' in found


def test_many_requests_at_once_wait_unparsed(stub: Running) -> None:
    ask = b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", stub.port), timeout=20) as connection:
        connection.sendall(ask * 500 + b"nonsense\r\n\r\n")
        found = read_all(connection)
    assert found.count(b"HTTP/1.1 200 ") == 500
    assert found.count(b"HTTP/1.1 400 ") == 1
    assert found.index(b"HTTP/1.1 400 ") > found.rindex(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("part", [b"X: 1\r\n", b"x"], ids=["fields", "one field"])
def test_endless_fields_after_a_body(stub: Running, part: bytes) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX: "
    with socket.create_connection(("127.0.0.1", stub.port), timeout=20) as connection:
        connection.sendall(head)
        with pytest.raises(ConnectionError):  # noqa: PT012  # at some part, since the service reads no more
            for _ in range(1000):
                connection.sendall(part * 10_000)
    assert stub.is_alive()


@pytest.mark.parametrize("end", [b"\r\n\r\n", b""], ids=["whole", "unfinished"])
def test_large_heads(stub: Running, end: bytes) -> None:
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: "
    assert stub.raw(head + b"x" * 17_000 + end).startswith(b"HTTP/1.1 431 ")
    assert stub.is_alive()


def test_endless_heads(stub: Running) -> None:
    with socket.create_connection(("127.0.0.1", stub.port), timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        with pytest.raises(ConnectionError):  # noqa: PT012  # at some part, since the service reads no more
            for _ in range(1000):
                connection.sendall(b"x" * 10_000)
    assert stub.is_alive()


# who may send requests


def test_keys() -> None:
    with running(keys=["another-key-of-letters", KEY]) as service:
        for path in ("/v2", "/v2/models/stub", "/model", "/metrics", "/nothing"):
            assert service.ask("GET", path).status == 401
        assert service.infer(IMAGES).headers["www-authenticate"] == "Bearer"
        for path in ("/", "/static/page.js", "/v2/health/live", "/v2/health/ready"):
            assert service.ask("GET", path).status == 200
        for headers in ({"Authorization": f"Bearer {KEY}"}, {"Authorization": f"bearer {KEY}"}, {"X-API-Key": KEY}):
            assert service.ask("GET", "/model", headers=headers).json["needs_key"] is True
        for text in (f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", f"Basic {KEY}", "Bearer", "Bearer \xe4", KEY):
            assert service.ask("GET", "/model", headers={"Authorization": text}).status == 401
    assert KEY not in service.log.getvalue()


@pytest.mark.parametrize("content", [b"", b"\n \n", b"short", b"two words of one key", b"\xff" * 20, b"x" * 70_000])
def test_bad_key_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "keys.txt"
    path.write_bytes(content)
    with pytest.raises(SettingError) as caught:
        ApiKeys.from_file(path)
    assert caught.value.name == "api_key_file"


def test_keys_are_required_beyond_loopback(tmp_path: Path) -> None:
    with bind("0.0.0.0", 0) as everywhere, bind("localhost", 0) as here:  # noqa: S104  # what the test is about
        with pytest.raises(SettingError) as caught:
            check_address(everywhere, "0.0.0.0", (), None)  # noqa: S104
        assert caught.value.name == "api_key_file"
        assert not check_address(here, "localhost", (), None).has_keys
        (tmp_path / "keys").write_text(f"\n{KEY}\r\n")
        assert check_address(everywhere, "0.0.0.0", (), tmp_path / "keys").has_keys  # noqa: S104


def test_other_names_of_the_host_are_refused(stub: Running) -> None:
    for host in ("localhost", "127.0.0.1:8000", "[::1]:80", "LOCALHOST:1"):
        assert stub.ask("GET", "/", headers={"Host": host}).status == 200
    for host in ("example.com", "localhost.example.com", "127.0.0.1.example.com:80", "", "[::1", "a@localhost:x"):
        assert stub.ask("GET", "/v2/health/live", headers={"Host": host}).status in (400, 421)
    with running(guard=Guard(frozenset({"zoo.example.com"}), None)) as service:
        assert service.ask("GET", "/", headers={"Host": "zoo.example.com"}).status == 200


def test_names_beyond_loopback(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(KEY)
    ours = ("zoo.example.com", "zoo.example.com:8443", "10.0.0.7:8000", "[fd00::7]:8000", "127.0.0.1", "localhost:8000")
    headers = {"X-API-Key": KEY}
    with bind("0.0.0.0", 0) as everywhere:  # noqa: S104  # what the test is about
        named = check_address(everywhere, "0.0.0.0", ["zoo.example.com"], tmp_path / "keys")  # noqa: S104
        unnamed = check_address(everywhere, "0.0.0.0", [], tmp_path / "keys")  # noqa: S104
    with running(guard=named) as service:
        for host in ours:
            assert service.ask("GET", "/v2", headers={"Host": host, **headers}).status == 200
        for host in ("example.com", "10.0.0.7.example.com", "zoo.example.com.example.com", "[::1", ""):
            assert service.ask("GET", "/v2", headers={"Host": host, **headers}).status == 421
            for path in ("/v2/health/live", "/v2/health/ready"):
                assert service.ask("GET", path, headers={"Host": host}).status == 200
    with running(guard=unnamed) as service:
        for host in (*ours, "example.com"):
            assert service.ask("GET", "/v2", headers={"Host": host, **headers}).status == 200


@pytest.mark.parametrize("port", ["", ":8443"])
def test_origin_behind_a_proxy(port: str) -> None:
    image = png(IMAGES[0, ..., 0])
    origin = {"Origin": f"https://zoo.example.com{port}", "Sec-Fetch-Site": "same-origin"}
    with running(guard=Guard(frozenset({"zoo.example.com"}), None)) as service:
        for host, status in ((f"zoo.example.com{port}", 200), ("zoo.example.com:1", 403)):
            assert service.ask("POST", "/predict", image, {"Host": host, **origin}).status == status


def test_the_proxy_in_the_guide_passes_the_port_on() -> None:
    page = (ROOT / "docs/guides/serving.md").read_text()
    assert "proxy_set_header Host $http_host;" in page


def test_pages_of_other_sites_are_refused(stub: Running) -> None:
    image = png(IMAGES[0, ..., 0])
    here = f"127.0.0.1:{stub.port}"
    for path, body in (("/predict", image), (INFER, json.dumps(request()))):
        for origin in ("http://example.com", "null", f"http://{here}.example.com", "http://127.0.0.1:1", "http://["):
            assert stub.ask("POST", path, body, {"Origin": origin}).status == 403
        assert stub.ask("POST", path, body, {"Sec-Fetch-Site": "cross-site"}).status == 403
        answer = stub.ask("POST", path, body, {"Origin": f"http://{here}", "Sec-Fetch-Site": "same-origin"})
        assert answer.status == 200
        assert not [name for name in answer.headers if name.startswith("access-control")]


# log and metrics


def test_log_lines_cannot_be_forged() -> None:
    with running() as service:
        service.ask("GET", "/a%0d%0a2026-01-01%1b[31m")
        service.raw(b"GET /\xe2\x80\xae HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        service.ask("GET", "/" + "x" * 5000)
        service.ask("X" * 100, "/")
        service.infer(IMAGES)
    lines = service.log.getvalue().splitlines()
    assert len(lines) == 5
    assert all(line.isprintable() and len(line) < 400 for line in lines)
    assert lines[-1].endswith("3 images")


def test_metrics() -> None:
    with running() as service:
        service.infer(IMAGES)
        service.ask("GET", "/nothing/secret")
        service.ask("PROPFIND", "/")
        service.raw(b"nonsense\r\n\r\n")
        text = service.ask("GET", "/metrics").body.decode()
    rows = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    route = 'route="/v2/models/{name}/infer"'
    assert rows[f'zoo_serve_requests_total{{method="POST",{route},status="200"}}'] == "1.0"
    assert rows['zoo_serve_requests_total{method="GET",route="other",status="404"}'] == "1.0"
    assert rows['zoo_serve_requests_total{method="other",route="other",status="405"}'] == "1.0"
    assert rows[f"zoo_serve_request_seconds_count{{{route}}}"] == "1.0"
    assert rows["zoo_serve_images_total"] == "3.0"
    assert rows['zoo_serve_batch_images_bucket{le="4.0"}'] == "1.0"
    assert rows["zoo_serve_queue_images"] == "0.0"
    assert rows['zoo_serve_refused_connections_total{reason="invalid HTTP"}'] == "1.0"
    assert "secret" not in text


# the page


class Tags(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_page_is_self_contained(stub: Running) -> None:
    answer = stub.ask("GET", "/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    tags = Tags()
    tags.feed(answer.body.decode())
    for tag, attributes in tags.found:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        if tag in ("script", "link"):
            path = attributes.get("src") or attributes.get("href")
            assert stub.ask("GET", f"/{path}").status == 200
    labels = {attributes.get("for") for tag, attributes in tags.found if tag == "label"}
    for tag, attributes in tags.found:
        if tag in ("select", "input") and attributes.get("type") not in ("checkbox", "file"):
            assert attributes["id"] in labels
    for page in read_pages().values():
        assert b"https://" not in page.body
        assert b"http://" not in bytes(page.body).replace(b"http://www.w3.org/2000/svg", b"")


def test_model_card(stub: Running) -> None:
    card = stub.ask("GET", "/model").json
    assert (card["platform"], card["runtime"]) == ("stub", "Stub Runtime")
    assert card["classes"] == list(CLASSES)
    assert (card["height"], card["width"], card["channels"], card["inverted"]) == (*SHAPE, True)


@pytest.mark.parametrize(
    ("name", "platform", "runtime"),
    [
        ("a.onnx", "onnx_onnxv1", "ONNX Runtime"),
        ("a\x1b[31m\n.tflite", "litert", "LiteRT"),
        ("a.xml", "openvino", "OpenVINO"),
        ("a.toy", "toy", "toy"),
    ],
)
def test_runtime_of_an_exported_file(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, name: str, platform: str, runtime: str
) -> None:
    registry.exporters.add(ENTRY)
    record = export_record(zoo.open_run("fashion-cnn"), exporter="export/\x1b]0;owned\x07")
    loaded = dataclasses.replace(Model().loaded(), source=Path(name), exported=record)
    monkeypatch.setattr(zoo, "load", lambda *_, **__: loaded)
    served = load_served(name, registry, name=None, use_keras=False, before_keras=pytest.fail)
    assert (served.platform, served.runtime) == (platform, runtime)
    assert served.title.isprintable()
    assert runtime in served.title


# the command


@pytest.mark.parametrize(
    "arguments",
    [
        ("--host", "0.0.0.0"),  # noqa: S104  # refused
        ("--host", "no..name"),  # refused before any name is looked up
        ("--queue", "10"),
        ("--name", "a/b", "--port", "0"),
        ("--api-key-file", "/nonexistent"),
    ],
)
def test_wrong_calls_are_refused_before_the_model_is_loaded(run_zoo: Zoo, arguments: tuple[str, ...]) -> None:
    done = run_zoo("serve", "fashion-cnn", "--port", "0", *arguments)
    assert done.status == 1
    assert len(done.err.splitlines()) == 1


def test_address_in_use(run_zoo: Zoo, stub: Running) -> None:
    done = run_zoo("serve", "fashion-cnn", "--port", str(stub.port))
    assert done.status == 1
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("option", ["--max-wait", "--read-timeout", "--timeout"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_options_that_are_not_finite_are_refused(run_zoo: Zoo, option: str, value: str) -> None:
    with pytest.raises(click.BadParameter):
        FiniteRange(0, 1000).convert(value, None, None)
    assert run_zoo("serve", "no-such-recipe", "--port", "0", option, value).status == 2


def test_address_of_a_service_that_is_loading() -> None:
    with bind("127.0.0.1", 0) as loading:
        port = loading.getsockname()[1]
        with pytest.raises(SettingError) as caught:
            bind("127.0.0.1", port)
        assert (caught.value.name, caught.value.value) == ("port", port)


def test_a_request_that_takes_longer_than_a_stop_is_answered() -> None:
    with running(timeout=1.0) as service, socket.create_connection(("127.0.0.1", service.port), timeout=20) as slow:
        slow.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n")
        time.sleep(0.2)
        service.server.should_exit = True
        head, _, body = read_all(slow).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 1" in head.lower()
        assert "error" in json.loads(body)
