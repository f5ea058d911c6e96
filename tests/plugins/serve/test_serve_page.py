"""The page of ``zoo serve`` in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from zoo_fashion.dataset import FashionMnist

import zoo
from tests.support.browser import PROGRAM
from tests.support.devtools import Browser
from tests.support.onnx_files import write_onnx
from tests.support.serving import Process, serving

IMAGES = FashionMnist().load(None).test[np.arange(1)][0]
KEY = "a-key-of-enough-letters"

pytestmark = [pytest.mark.full, pytest.mark.skipif(not PROGRAM, reason="needs Chromium")]


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_onnx(tmp_path_factory.mktemp("exported") / "dense.onnx", zoo.open_run("fashion-cnn"))


@pytest.fixture(scope="module")
def service(onnx_file: Path) -> Iterator[Process]:
    with serving(onnx_file) as process:
        yield process


def test_page_in_a_browser(service: Process, tmp_path: Path) -> None:
    Image.fromarray(IMAGES[0, ..., 0]).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    url = f"http://127.0.0.1:{service.port}/"
    with Browser("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream") as browser:
        for width in (360, 1200):
            for is_dark in (False, True):
                browser.open(url, width=width, is_dark=is_dark)
                browser.wait_for("!document.getElementById('main').hidden")
                assert browser.run("document.getElementById('about').textContent.endsWith(', ONNX Runtime')")
                browser.choose_files("#files", tmp_path / "a.png", tmp_path / "b.png")
                browser.wait_for("document.querySelectorAll('article').length === 2")
                assert browser.run("document.documentElement.scrollWidth") == width
                lightness = browser.run("getComputedStyle(document.body).backgroundColor")
                assert (lightness == "rgb(255, 255, 255)") == (not is_dark)
        # with the mouse, then with the keyboard
        box = browser.run("(({x, y}) => [x, y])(document.getElementById('canvas').getBoundingClientRect())")
        browser.drag((box[0] + 60, box[1] + 60), (box[0] + 200, box[1] + 60), (box[0] + 200, box[1] + 200))
        browser.wait_for("document.querySelector('article h3').textContent === 'drawing.png'")
        browser.run("document.getElementById('clear').click(); document.getElementById('results').replaceChildren()")
        browser.run("document.getElementById('canvas').focus()")
        for key in (" ", "ArrowRight", "ArrowRight", " "):
            browser.press(key, " " if key == " " else "")
        browser.wait_for("document.querySelectorAll('article').length === 1")
        # every control can be reached with Tab
        browser.run("document.body.focus(); document.activeElement.blur()")
        reached = set()
        for _ in range(12):
            browser.press("Tab")
            reached.add(browser.run("document.activeElement.id"))
        assert {"choose", "open-camera", "canvas", "clear", "dark-ink", "invert", "top"} <= reached
        browser.run("document.getElementById('open-camera').click()")
        browser.wait_for("document.getElementById('video').videoWidth > 0")
        browser.run("document.getElementById('take').click()")
        browser.wait_for("document.querySelector('article h3').textContent === 'camera.png'")
        assert browser.faults == []
    with Browser("--deny-permission-prompts") as browser:
        browser.open(url)
        browser.wait_for("!document.getElementById('main').hidden")
        browser.run("document.getElementById('open-camera').click()")
        browser.wait_for("document.getElementById('status').classList.contains('error')")


def test_page_asks_for_the_key(onnx_file: Path, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(KEY)
    with serving(onnx_file, "--api-key-file", str(tmp_path / "keys")) as process, Browser() as browser:
        browser.open(f"http://127.0.0.1:{process.port}/")
        for key in ("a wrong one", KEY):
            browser.wait_for("!document.getElementById('key-form').hidden")
            assert browser.run("document.activeElement.id") == "key"
            browser.run(f"document.getElementById('key').value = {key!r}")
            browser.run("document.querySelector('#key-form button').click()")
        browser.wait_for("!document.getElementById('main').hidden")
