"""``zoo serve`` as a process: real files, a real client of the protocol, signals."""

from __future__ import annotations

import io
import json
import re
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from zoo_fashion.dataset import FashionMnist
from zoo_serve.served_model import find_exported, load_served

import zoo
from tests.support.onnx_files import write_onnx
from tests.support.serving import Process, ask, serving
from zoo import Registry, Run
from zoo.errors import SettingError, ZooWarning

IMAGES = FashionMnist().load(None).test[np.arange(64)][0]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pretrained() -> Run:
    return zoo.open_run("fashion-cnn")


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory, pretrained: Run) -> Path:
    return write_onnx(tmp_path_factory.mktemp("exported") / "dense.onnx", pretrained)


@pytest.fixture(scope="module")
def service(onnx_file: Path) -> Iterator[Process]:
    with serving(onnx_file) as process:
        yield process


def test_exported_file_of_a_run_is_found(
    tmp_path: Path, pretrained: Run, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(pretrained.path, folder)
    exports = folder / "exports"
    copied = zoo.open_run(folder)
    assert find_exported(copied, registry) is None
    write_onnx(exports / "a-int8.onnx", pretrained, int8=True)
    write_onnx(exports / "b.onnx", pretrained, model_sha256="0" * 64)
    (exports / "foreign.onnx").write_bytes(b"no model of zoo")
    changed = write_onnx(exports / "changed.onnx", pretrained)
    changed.write_bytes(changed.read_bytes()[:-1])
    with pytest.warns(ZooWarning, match=re.escape(str(changed))):
        assert find_exported(copied, registry) is None
    changed.unlink()
    written = write_onnx(exports / "z.onnx", pretrained)
    found = load_served(str(folder), registry, name=None, use_keras=False, before_keras=pytest.fail)
    assert getattr(found.model, "source", None) == written
    assert (found.name, found.platform) == ("fashion-cnn", "onnx_onnxv1")
    with pytest.raises(SettingError):
        load_served(str(written), registry, name=None, use_keras=True, before_keras=pytest.fail)
    for source in (folder, written):  # when a service started, there may have been more CPUs
        load_served(str(source), registry, name=None, use_keras=False, before_keras=pytest.fail, threads=10_000)
    monkeypatch.chdir(folder)  # where `zoo export RECIPE` writes
    found = load_served("fashion-cnn", registry, name=None, use_keras=False, before_keras=pytest.fail)
    assert getattr(found.model, "source", None) == Path("exports/z.onnx")


@pytest.mark.parametrize("options", [(), ("--workers", "2")])
def test_damaged_file_of_a_run_is_warned_of_once(tmp_path: Path, pretrained: Run, options: tuple[str, ...]) -> None:
    folder = Path(shutil.copytree(pretrained.path, tmp_path / "run"))
    damaged = write_onnx(folder / "exports" / "a.onnx", pretrained)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    write_onnx(folder / "exports" / "b.onnx", pretrained)
    with serving(folder, *options) as process:
        assert "b.onnx" in process.title
        said = [line for line in process.said if line.startswith("Warning: ")]
        assert len(said) == 1
        assert str(damaged) in said[0]


def test_a_client_of_the_protocol(service: Process, onnx_file: Path) -> None:
    import tritonclient.http as triton

    expected = zoo.load(onnx_file).predict(IMAGES)
    with triton.InferenceServerClient(f"127.0.0.1:{service.port}") as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("fashion-cnn")
        assert client.is_model_ready("fashion-cnn", "1")
        assert not client.is_model_ready("other")
        assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
        metadata = client.get_model_metadata("fashion-cnn")
        assert metadata["inputs"] == [{"name": "images", "datatype": "UINT8", "shape": [-1, 28, 28, 1]}]
        for is_binary in (True, False):
            given = triton.InferInput("images", list(IMAGES.shape), "UINT8")
            given.set_data_from_numpy(IMAGES, binary_data=is_binary)
            for outputs in (None, [triton.InferRequestedOutput("probabilities", binary_data=not is_binary)]):
                for compression in (None, "gzip", "deflate"):
                    found = client.infer(
                        "fashion-cnn", [given], outputs=outputs, request_id="7", timeout=10, priority=1,
                        request_compression_algorithm=compression, response_compression_algorithm=compression,
                    )  # fmt: skip
                    assert found.get_response()["id"] == "7"
                    np.testing.assert_array_equal(found.as_numpy("probabilities"), expected)
        wrong = triton.InferInput("images", [1, 2], "UINT8")
        wrong.set_data_from_numpy(np.zeros((1, 2), np.uint8))
        with pytest.raises(triton.InferenceServerException) as caught:
            client.infer("fashion-cnn", [wrong])
        assert caught.value.status() == "400"


def test_files_are_predicted_as_zoo_predict_does(service: Process, onnx_file: Path, tmp_path: Path) -> None:
    whole = Image.fromarray(IMAGES[0, ..., 0]).resize((300, 200))
    whole.save(tmp_path / "a.png")
    Image.eval(whole, lambda value: 255 - value).convert("RGB").save(tmp_path / "b.jpg")
    for name in ("a.png", "b.jpg"):
        (expected,) = zoo.load(onnx_file).predict_files(tmp_path / name)
        (found,) = ask(service, "/predict?top=10", (tmp_path / name).read_bytes())[1]["predictions"]
        assert found["inverted"] == expected.inverted
        assert [(each["class"], each["probability"]) for each in found["classes"]] == list(expected.classes)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_requests_under_way(onnx_file: Path, number: signal.Signals) -> None:
    out = io.BytesIO()
    Image.fromarray(IMAGES[0, ..., 0]).save(out, "png")
    image = out.getvalue()
    head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(image)}\r\n\r\n".encode()
    with serving(onnx_file) as process:
        address = ("127.0.0.1", process.port)
        with socket.create_connection(address) as idle, socket.create_connection(address, timeout=20) as busy:
            busy.sendall(head + image[:50])
            time.sleep(0.3)
            process.process.send_signal(number)
            assert idle.recv(10) == b""
            with pytest.raises(ConnectionError):
                socket.create_connection(address)
            busy.sendall(image[50:])
            assert busy.recv(100).startswith(b"HTTP/1.1 200 ")
        assert process.process.wait(10) == 0


def test_the_second_signal_ends_it_at_once(onnx_file: Path) -> None:
    with serving(onnx_file) as process, socket.create_connection(("127.0.0.1", process.port)) as busy:
        busy.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n")
        time.sleep(0.3)
        process.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert process.process.poll() is None
        process.process.send_signal(signal.SIGTERM)
        assert process.process.wait(5) == 128 + signal.SIGTERM


def test_a_log_that_nobody_reads_stops_nothing(onnx_file: Path) -> None:
    with serving(onnx_file) as process:
        path = "/" + "x" * 190
        for _ in range(600):  # more than a pipe holds
            assert ask(process, path)[0] == 404
        assert ask(process, "/v2")[0] == 200
        process.process.send_signal(signal.SIGTERM)
        assert process.process.wait(10) == 0


def test_keras_model_of_a_run() -> None:
    with serving("fashion-cnn-fast", "--keras") as process:
        assert "Keras" in process.title
        status, found = ask(process, "/v2/models/fashion-cnn-fast/infer", json.dumps(infer_request()).encode())
        assert status == 200
    probabilities = np.array(found["outputs"][0]["data"], np.float32).reshape(64, 10)
    expected = zoo.load("fashion-cnn-fast").predict(IMAGES)
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)


def infer_request() -> dict[str, Any]:
    tensor = {"name": "images", "shape": list(IMAGES.shape), "datatype": "UINT8", "data": IMAGES.ravel().tolist()}
    return {"inputs": [tensor]}
