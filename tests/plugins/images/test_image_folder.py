"""The dataset ``image-folder``: every kind of file, every trap, the cut, what a run records, from folder to model."""

from __future__ import annotations

import contextlib
import gc
import html
import io
import json
import os
import re
import struct
import threading
import tracemalloc
import warnings
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, features
from zoo_images.folders.folder import ImageFolder

import zoo
from tests.support import ROOT
from tests.support.command_line import Zoo
from tests.support.golden import Golden
from zoo import DataError, Registry, Split
from zoo.data import without_validation
from zoo.errors import ZooWarning
from zoo.images import MAX_BYTES, MAX_PIXELS, PixelBudget, decode, decoded
from zoo.testing import check_plugin

RANDOM = np.random.default_rng(0)
SMALL_MODEL = ["--set", "model.widths=4,4,4", "--set", "model.dense_width=8"]


def pixels(height: int = 8, width: int = 8, channels: int = 3) -> NDArray[np.uint8]:
    shape = (height, width) if channels == 1 else (height, width, channels)
    return RANDOM.integers(0, 256, shape, np.uint8)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(array: NDArray[Any]) -> bytes:
    return encoded(Image.fromarray(array), "PNG")


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def fill(root: Path, classes: tuple[str, ...] = ("cat", "dog"), count: int = 6, channels: int = 1) -> Path:
    """Write so many images for each class; the mean brightness tells the classes apart."""
    for label, name in enumerate(classes):
        for i in range(count):
            write(root / name / f"img{i}.png", png(pixels(8, 8, channels) // 4 + np.uint8(label * 60)))
    return root


def load(root: Path, **settings: Any) -> Split:
    return ImageFolder(**{"size": (8, 8), **settings}).load(root)


def all_of(split: Split, part: str = "train") -> tuple[NDArray[np.uint8], NDArray[np.integer[Any]]]:
    examples = getattr(split, part)
    images, labels = examples[np.arange(len(examples))]
    return images, labels


@pytest.mark.slow
def test_folder_of_photographs_becomes_a_model(run_zoo: Zoo, tmp_path: Path) -> None:
    fill(tmp_path / "photos", count=40)
    command = ["run", "fashion-cnn", "--dataset", "image-folder", "--data-dir", tmp_path / "photos", *SMALL_MODEL]
    settings = ["--set", "dataset.size=12,16", "--set", "optimizer.learning_rate=0.01", "--set", "batch_size=8"]
    done = run_zoo(*command, *settings, "--epochs", "6", "--out", tmp_path / "run", "--json", "--quiet")
    assert done.status == 0, done.err
    result = json.loads(done.out)
    assert result["dataset"] == {"name": "image-folder", "train": 58, "validation": 6, "test": 16}
    assert result["test"]["accuracy"] == 1.0
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["data"]["input_shape"] == [12, 16, 1]
    assert record["data"]["class_names"] == ["cat", "dog"]
    assert set(record["data"]["digests"]) == {"files", "test"}
    again = run_zoo("test", tmp_path / "run", "--data-dir", tmp_path / "photos", "--json", "--quiet")
    assert (json.loads(again.out)["test"], again.err) == (result["test"], "")
    (tmp_path / "photos" / "cat" / "img0.png").write_bytes(png(pixels(channels=1)))
    other = run_zoo("test", tmp_path / "run", "--data-dir", tmp_path / "photos", "--json", "--quiet")
    assert (other.status, other.err.count("\n")) == (0, 1)
    assert "files" in other.err  # the digest that is another


@pytest.mark.slow
def test_worst_mistakes_have_the_names_of_their_files(run_zoo: Zoo, tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", ("<i>cat", "dog"), count=20)
    split = load(photos)
    for part, ids in (("train", split.train_ids), ("validation", split.validation_ids), ("test", split.test_ids)):
        for name, image, label in zip(ids, *all_of(split, part), strict=True):
            assert (np.asarray(Image.open(photos / name)) == image[..., 0]).all()
            assert name.startswith(split.class_names[label])
    command = ["run", "fashion-cnn", "--dataset", "image-folder", "--data-dir", photos, *SMALL_MODEL]
    settings = ["--set", "dataset.size=8,8", "--epochs", "1", "--set", "optimizer.learning_rate=1e-9"]
    assert run_zoo(*command, *settings, "--out", tmp_path / "run", "--quiet").status == 0
    assert run_zoo("report", tmp_path / "run", "--data-dir", photos).status == 0
    page = (tmp_path / "run" / "report.html").read_text()
    wrong = zoo.read_predictions(zoo.open_run(tmp_path / "run"))
    mistaken = {split.test_ids[i] for i in np.flatnonzero(wrong.probabilities.argmax(axis=1) != wrong.labels)}
    assert mistaken  # it has learned nothing
    assert {name for name in split.test_ids if f'<span class="soft">{html.escape(name)}</span>' in page} == mistaken


@pytest.mark.slow
def test_figures_of_other_data_are_shown_and_not_recorded(run_zoo: Zoo, tmp_path: Path, golden: Golden) -> None:
    fill(tmp_path / "photos", count=20)
    fill(tmp_path / "others", count=30)
    command = ["train", "fashion-cnn", "--dataset", "image-folder", "--data-dir", tmp_path / "photos", *SMALL_MODEL]
    settings = ["--set", "dataset.size=8,8", "--epochs", "1", "--out", tmp_path / "run", "--quiet"]
    assert run_zoo(*command, *settings).status == 0
    before = (tmp_path / "run" / "run.json").read_bytes()
    other = run_zoo("test", tmp_path / "run", "--data-dir", tmp_path / "others", "--json", "--quiet")
    assert other.status == 0
    (told,) = [line for line in other.err.splitlines() if "files, test" in line]
    golden.says(told)
    assert json.loads(other.out)["dataset"]["test"] == 12  # of these images, not of its own
    assert (tmp_path / "run" / "run.json").read_bytes() == before
    assert not (tmp_path / "run" / "test-predictions.safetensors").exists()
    own = run_zoo("test", tmp_path / "run", "--data-dir", tmp_path / "photos", "--json", "--quiet")
    assert json.loads(own.out)["test"] == json.loads((tmp_path / "run" / "run.json").read_text())["test"]


@pytest.mark.slow
def test_runs_on_other_test_images_are_not_compared(run_zoo: Zoo, tmp_path: Path, golden: Golden) -> None:
    fill(tmp_path / "photos", count=20)
    command = ["run", "fashion-cnn", "--dataset", "image-folder", "--data-dir", tmp_path / "photos", *SMALL_MODEL]
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        settings = ["--set", f"dataset.split_seed={seed}", "--set", "dataset.size=8,8", "--epochs", "1"]
        done = run_zoo(*command, *settings, "--out", tmp_path / name, "--quiet")
        assert done.status == 0, done.err
    assert run_zoo("compare", tmp_path / "a", tmp_path / "b").status == 0
    done = run_zoo("compare", tmp_path / "a", tmp_path / "c")
    assert (done.status, done.out) == (1, "")
    golden.says(done.err)


@pytest.mark.slow
def test_resident_trains_on_it_as_fit_does(tmp_path: Path, registry: Registry) -> None:
    fill(tmp_path / "data", count=10)
    losses = [
        zoo.train(
            "small", dataset="image-folder", trainer=trainer, data_dir=tmp_path / "data", registry=registry, epochs=1,
            settings={"dataset.size": (8, 8), "model.dropout": 0.0}, out=tmp_path / "runs" / trainer,
        ).record.history[0].train.loss
        for trainer in ("fit", "resident")
    ]  # fmt: skip
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_plugin_passes_all_checks(tmp_path: Path, registry: Registry) -> None:
    assert {result.status for result in check_plugin("images", registry=registry)} == {"passed"}
    fill(tmp_path)
    results = check_plugin("images", registry=registry, data_dir=tmp_path)
    passed = {result.name for result in results if result.status == "passed"}
    assert {
        "dataset image-folder: loads valid images, labels and class names",
        "dataset image-folder: loads the same data each time",
    } <= passed


FILES: dict[str, tuple[Image.Image, dict[str, Any]]] = {
    "a.png": (Image.fromarray(pixels()), {}),
    "a.bmp": (Image.fromarray(pixels()), {}),
    "a.webp": (Image.fromarray(pixels()), {"lossless": True}),
    "gray.png": (Image.fromarray(pixels(channels=1)), {}),
    "GRAY.BMP": (Image.fromarray(pixels(channels=1)), {}),
    "bits.png": (Image.fromarray(pixels(channels=1) > 127), {}),
    "palette.png": (Image.fromarray(pixels()).quantize(16), {}),
    "palette.gif": (Image.fromarray(pixels()).quantize(16), {}),
}


@pytest.mark.parametrize("name", FILES)
def test_lossless_file_is_read_as_it_was_written(tmp_path: Path, name: str) -> None:
    image, options = FILES[name]
    fill(tmp_path)
    write(tmp_path / "cat" / name, encoded(image, Path(name).suffix[1:].upper(), **options))
    wanted = np.asarray(image.convert("RGB"))
    images, _ = all_of(load(tmp_path, color_mode="rgb", test_share=0.01, validation_share=0))
    assert features.check("webp")
    everything = np.concatenate([images, all_of(load(tmp_path, color_mode="rgb", test_share=0.01), "test")[0]])
    assert any((each == wanted).all() for each in everything)


def one(data: bytes, background: int = 255) -> NDArray[np.uint8]:
    return np.asarray(decode(data, "it", background=background))


def test_jpeg_is_close_and_its_kind_is_what_is_in_it_not_its_name(tmp_path: Path) -> None:
    smooth = np.linspace(0, 255, 64, dtype=np.uint8).reshape(8, 8)
    fill(tmp_path)
    write(tmp_path / "cat" / "really-a-jpeg.PNG", encoded(Image.fromarray(smooth), "JPEG", quality=95))
    images = np.concatenate([all_of(load(tmp_path), part)[0] for part in ("train", "test", "validation")])
    assert abs(images[..., 0].astype(int) - smooth).max(axis=(1, 2)).min() < 8


def test_large_jpeg_is_decoded_smaller_to_nearly_the_same() -> None:
    ramp = np.add.outer(np.arange(800), np.arange(1200)) * 255 // 2000
    data = encoded(Image.fromarray(ramp.astype(np.uint8)), "JPEG", quality=95)
    whole, small = decode(data, "it", background=255), decode(data, "it", background=255, near=(30, 40))
    assert whole.size == (1200, 800)
    assert 80 <= small.width < 300
    difference = np.asarray(whole.resize((40, 30))).astype(int) - np.asarray(small.resize((40, 30)))
    assert abs(difference).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photograph_is_turned_as_its_camera_says(orientation: int) -> None:
    upright = pixels(6, 4, 1)
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.T, 6: np.rot90(upright), 7: upright[::-1, ::-1].T, 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(np.ascontiguousarray(stored)), "PNG", exif=exif)
    np.testing.assert_array_equal(one(data), upright)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize("background", [0, 255])
def test_transparent_parts_are_laid_upon_the_background(mode: str, background: int) -> None:
    rgba = np.full((4, 4, 4), 100, np.uint8)
    rgba[..., 3] = 255
    rgba[0, :, 3] = 0
    image, options = Image.fromarray(rgba), {}
    if mode == "LA":
        image = image.convert("LA")
    if mode == "P":
        image, options = Image.new("P", (4, 4), 0), {"transparency": 1}
        image.putpalette([100, 100, 100, 7, 7, 7])
        image.paste(1, (0, 0, 4, 1))
    flat = one(encoded(image, "PNG", **options), background)
    assert flat.ndim == (2 if mode == "LA" else 3)
    assert (flat[0] == background).all()
    assert (flat[1:] == 100).all()


@pytest.mark.parametrize("background", [0, 255])
def test_sixteen_bits_have_a_value_that_is_seen_through(background: int) -> None:
    data = png(np.array([[0, 40000], [65535, 40001]], np.uint16))
    start = data.index(b"IDAT") - 4
    data = data[:start] + chunk(b"tRNS", struct.pack(">H", 40000)) + data[start:]
    assert one(data, background).tolist() == [[0, background], [255, 156]]


@pytest.mark.parametrize("background", [0, 100])
def test_few_bits_have_a_value_that_is_seen_through(background: int) -> None:
    for depth, row, seen_through, expected in (
        (1, 0b10000000, 1, [background, 0]),
        (2, 0b11010000, 3, [background, 85]),
        (4, 0xF1, 15, [background, 17]),
        (4, 0xF1, 1, [255, background]),
    ):
        data = packed_png((2, 1), depth, bytes([row]), struct.pack(">H", seen_through))
        assert one(data, background).tolist() == [expected], depth


def test_png_that_does_not_begin_with_its_header_is_damaged(golden: Golden) -> None:
    data = png(pixels())
    start = len(b"\x89PNG\r\n\x1a\n")
    other = chunk(b"teSt", bytes(8) + bytes([16, 4]))  # where the header would have its bits a channel and kind
    assert one(data).shape == (8, 8, 3)
    with golden.raises(DataError, path="it"):
        one(data[:start] + other + data[start:])


def packed_png(size: tuple[int, int], depth: int, row: bytes, seen_through: bytes) -> bytes:
    """Return a gray PNG of one row with so many bits a pixel."""
    header = struct.pack(">IIBBBBB", *size, depth, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"tRNS", seen_through), (b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def deep_png(values: list[list[list[int]]], color: int, seen_through: bytes = b"") -> bytes:
    """Return a PNG of 16 bits a channel; Pillow writes none that has more than one."""
    array = np.array(values, ">u2")
    header = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], 16, color, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in array)
    chunks = [(b"IHDR", header), (b"tRNS", seen_through), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks if each != (b"tRNS", b""))


@pytest.mark.parametrize("background", [0, 255])
def test_sixteen_bits_of_colour_have_transparency(background: int) -> None:
    ground, seen = [background] * 3, [156, 2, 255]
    alpha = deep_png([[[40000, 600, 65535, 0], [40000, 600, 65535, 65535]]], 6)
    assert one(alpha, background).tolist() == [[ground, seen]]
    value = deep_png([[[1000, 2000, 40001], [40000, 600, 65535]]], 2, struct.pack(">HHH", 1000, 2000, 40001))
    assert one(value, background).tolist() == [[ground, seen]]
    gray = deep_png([[[40000, 0], [40000, 65535]]], 4)
    assert one(gray, background).tolist() == [[background, 156]]


def test_what_pillow_says_commands_no_terminal(monkeypatch: pytest.MonkeyPatch, golden: Golden) -> None:
    def fail(_: Image.Image) -> None:
        raise SyntaxError("broken chunk \x1b[2J\x07")

    data = png(pixels())
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fail)
    with golden.raises(DataError, path="it") as raised:
        decode(data, "it", background=0)
    assert "broken chunk \\x1b[2J\\x07" in str(raised.value)


def test_cmyk_and_sixteen_bits_and_animations() -> None:
    cmyk = encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95)  # red
    assert one(cmyk).shape == (8, 8, 3)
    assert (abs(one(cmyk)[4, 4].astype(int) - [255, 0, 0]) < 8).all()
    deep = np.array([[0, 255, 256], [32768, 65280, 65535]], np.uint16)
    assert one(png(deep)).tolist() == [[0, 0, 1], [128, 255, 255]]
    frames = [Image.new("L", (8, 8), level) for level in (200, 10)]
    for kind in ("GIF", "WEBP", "PNG"):
        data = encoded(
            frames[0], kind, save_all=True, append_images=frames[1:], **({"lossless": True} if kind == "WEBP" else {})
        )
        assert (one(data) == 200).all(), kind


def test_crop_says_how_another_shape_is_fitted(tmp_path: Path) -> None:
    wide = np.zeros((8, 24), np.uint8)
    wide[:, 8:16] = 90
    wide[:, :8] = 180
    fill(tmp_path)
    found = {}
    for crop in ("center", "pad", "stretch"):
        write(tmp_path / "cat" / "img0.png", png(wide))
        split = load(tmp_path, crop=crop, background=77)
        images = np.concatenate([all_of(split, part)[0] for part in ("train", "test", "validation")])[..., 0]
        labels = np.concatenate([all_of(split, part)[1] for part in ("train", "test", "validation")])
        cats = images[labels == 0]
        found[crop] = next(each for each in cats if each.max() > 85)
    assert (found["center"] == 90).mean() > 0.7
    assert (found["pad"][:2] == 77).all()
    assert (found["pad"][6:] == 77).all()
    assert found["pad"][4, 0] > 160 > found["pad"][4, 4] > 70 > found["pad"][4, 7]
    assert found["stretch"][0, 0] > 160 > found["stretch"][0, 4] > 70 > found["stretch"][0, 7]


def test_colour_is_as_stored_or_as_set(tmp_path: Path) -> None:
    fill(tmp_path)
    assert all_of(load(tmp_path))[0].shape[1:] == (8, 8, 1)
    assert all_of(load(tmp_path, color_mode="rgb"))[0].shape[1:] == (8, 8, 3)
    write(tmp_path / "cat" / "one.png", png(pixels()))
    assert all_of(load(tmp_path))[0].shape[1:] == (8, 8, 3)
    assert all_of(load(tmp_path, color_mode="grayscale"))[0].shape[1:] == (8, 8, 1)


def test_images_under_way_have_no_more_pixels_than_one_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    take, scale = PixelBudget.taken, MAX_PIXELS // 100  # as if an image could have 100 pixels
    monkeypatch.setattr(PixelBudget, "taken", lambda budget, pixels: take(budget, pixels * scale))
    large, small = png(pixels(9, 9, 1)), png(pixels(4, 4, 1))
    began, may_end = threading.Event(), threading.Event()
    order: list[str] = []

    def hold() -> None:
        with decoded(large, "it", background=0):
            began.set()
            may_end.wait(60)
            order.append("the first has left")

    def wait() -> None:
        with decoded(large, "it", background=0):
            order.append("the second is there")

    first, second = threading.Thread(target=hold), threading.Thread(target=wait)
    first.start()
    assert began.wait(60)
    second.start()
    with decoded(small, "it", background=0):  # for which there is room
        assert order == []
    second.join(0.2)
    assert second.is_alive()
    may_end.set()
    for thread in (first, second):
        thread.join(60)
    assert order == ["the first has left", "the second is there"]
    with pytest.raises(DataError) as raised, decoded(large[:80], "it", background=0):
        pass
    assert raised.value.path == "it"
    with decoded(png(pixels(20, 20, 1)), "it", background=0) as image:  # the damaged one has left, too
        assert image.size == (20, 20)


def in_scans(image: Image.Image, *, repeats: int = 1) -> bytes:
    """Return a JPEG that is not progressive and has a scan for each color, all of them several times over."""
    data = [encoded(image.getchannel(i), "JPEG") for i in range(3)]
    tables, frame, codes, scan = (data[0].index(bytes([255, kind])) for kind in (0xDB, 0xC0, 0xC4, 0xDA))
    head = b"\xff\xd8" + data[0][tables:frame]
    head += b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, image.height, image.width, 3)
    head += b"".join(bytes([color, 0x11, 0]) for color in (1, 2, 3)) + data[0][codes:scan]
    scans = [
        b"\xff\xda" + struct.pack(">HB5B", 8, 1, color, 0, 0, 63, 0) + one[one.index(b"\xff\xda") + 10 : -2]
        for color, one in enumerate(data, 1)
    ]
    return head + b"".join(scans) * repeats + b"\xff\xd9"


@pytest.fixture
def reserved(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pixels there was made room for, image by image."""
    take, asked = PixelBudget.taken, list[int]()

    def note(budget: PixelBudget, pixels: int) -> contextlib.AbstractContextManager[None]:
        asked.append(pixels)
        return take(budget, pixels)

    monkeypatch.setattr(PixelBudget, "taken", note)
    return asked


def test_room_for_a_picture_whose_colours_come_one_by_one_is_all_of_it(reserved: list[int]) -> None:
    image = Image.new("RGB", (1024, 512), (90, 128, 128))  # as brightness and two colors
    small = decode(in_scans(image), "it", background=0, near=(28, 28))
    assert small.size == (128, 64)
    assert small.getpixel((9, 9)) == (90, 90, 90)
    thumbnail = b"Exif\0\0" + in_scans(Image.new("RGB", (16, 16)))  # within the file, and none of its scans
    decode(encoded(image, "JPEG", exif=thumbnail), "it", background=0, near=(28, 28))
    assert reserved == [1024 * 512, 128 * 64]


@pytest.mark.parametrize("kind", ["progressive", "a color each"])
def test_jpeg_with_very_many_scans_is_refused_undecoded(
    kind: str, monkeypatch: pytest.MonkeyPatch, golden: Golden
) -> None:
    image = Image.new("RGB", (16, 16))
    data = in_scans(image, repeats=150)  # as many as are read
    if kind == "progressive":
        data = encoded(image, "JPEG", progressive=True)
        at = data.rindex(b"\xff\xda")
        data = data[:-2] + data[at:-2] * 480 + b"\xff\xd9"
    assert decode(data, "it", background=0).size == (16, 16)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda _: pytest.fail("it was decoded"))
    last = data.rindex(b"\xff\xda")
    with golden.raises(DataError, path="it") as raised:
        decode(data[:-2] + data[last:-2] * 60 + b"\xff\xd9", "it", background=0)
    assert "500" in str(raised.value)


@pytest.mark.parametrize(
    ("options", "near", "taken"),
    [
        ({}, None, 1024 * 512),
        ({}, (28, 28), 128 * 64),  # decoded at an eighth
        ({"progressive": True}, None, 1024 * 512),
        ({"progressive": True}, (28, 28), 1024 * 512),  # read whole all the same
    ],
)
def test_room_is_for_what_is_in_memory_at_a_time(
    reserved: list[int], options: dict[str, Any], near: tuple[int, int] | None, taken: int
) -> None:
    decode(encoded(Image.new("RGB", (1024, 512)), "JPEG", **options), "it", background=0, near=near)
    assert reserved == [taken]


def test_very_thin_picture_keeps_a_pixel(tmp_path: Path) -> None:
    fill(tmp_path)
    write(tmp_path / "cat" / "thin.png", png(np.full((1, 500), 200, np.uint8)))
    for crop in ("center", "pad", "stretch"):
        assert len(load(tmp_path, crop=crop).train)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def bomb(width: int, height: int) -> bytes:
    """Return a PNG file that says it is that large and holds next to nothing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


def truncated() -> bytes:
    data = encoded(Image.fromarray(pixels(64, 64)), "JPEG")
    return data[: len(data) // 2]


BAD_FILES: dict[str, bytes] = {
    "empty.png": b"",
    "text.png": b"no image at all",
    "icon-inside.png": encoded(Image.fromarray(pixels()), "ICO"),
    "page.jpg": b"<!DOCTYPE html><title>403</title>",
    "truncated.jpg": truncated(),
    "cut-off.png": png(pixels(64, 64))[:400],
    "large.png": bomb(9000, 9000),
    "larger.png": bomb(30_000, 30_000),
    "largest.png": bomb(2**31 - 1, 2**31 - 1),
    "short-of-it.png": bomb(8000, 8000),
    "notes.txt": b"hello",
    "photo.heic": b"hello",
}
IN_WORDS_OF_PILLOW = ("truncated.jpg", "cut-off.png", "short-of-it.png")


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_file_is_named_or_left_out_and_counted(tmp_path: Path, name: str, golden: Golden) -> None:
    fill(tmp_path)
    write(tmp_path / "dog" / name, BAD_FILES[name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as the command line has it
        with pytest.raises(DataError) as caught:
            load(tmp_path)
    assert caught.value.path == str(tmp_path)
    said = str(caught.value)
    assert f"dog/{name}" in said
    assert "dataset.skip_bad=true" in said
    assert "\n" not in said
    assert said.count(str(tmp_path)) == 1  # names within the folder, all alike
    with pytest.warns(ZooWarning) as told:
        split = load(tmp_path, skip_bad=True)
    (warning,) = [str(each.message) for each in told]
    assert f"dog/{name}" in warning
    if name not in IN_WORDS_OF_PILLOW:
        golden.says(said)
        golden.says(warning)
    assert split.skipped_files == (f"dog/{name}",)
    assert len(split.train) + len(split.test) + len(split.validation or ()) == 12


def test_caps_are_what_the_page_says() -> None:
    page = (ROOT / "docs" / "start" / "your-images.md").read_text()
    assert f"{MAX_BYTES >> 20} MiB" in page
    assert f"{MAX_PIXELS:,} pixels" in page


def test_file_with_too_many_bytes_is_refused_unread(tmp_path: Path, golden: Golden) -> None:
    fill(tmp_path)
    with (tmp_path / "cat" / "huge.png").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with golden.raises(DataError, path=str(tmp_path)) as raised:
        load(tmp_path)
    for fact in ("cat/huge.png", "64 MiB"):
        assert fact in str(raised.value)


def test_skip_bad_at_the_shell(run_zoo: Zoo, tmp_path: Path, golden: Golden) -> None:
    fill(tmp_path / "data")
    for i in range(7):
        write(tmp_path / "data" / "cat" / f"bad{i}\n\x1b[31m.png", b"x")
    command = ["train", "fashion-cnn", "--dataset", "image-folder", "--data-dir", tmp_path / "data", *SMALL_MODEL]
    done = run_zoo(*command, "--epochs", "1", "--out", tmp_path / "run")
    assert done.status == 1
    error = done.err.splitlines()[-1]
    for fact in ("7 of 19", "--traceback", "\\n\\x1b[31m.png"):
        assert fact in error
    golden.says(error)
    everything = run_zoo(*command, "--epochs", "1", "--out", tmp_path / "run", "--traceback").err
    lines = [line for line in everything.splitlines() if line.startswith("cat/bad")]
    assert [line[: len("cat/bad0")] for line in lines] == [f"cat/bad{i}" for i in range(7)]
    assert "\x1b" not in everything
    assert "\x1b" not in done.err
    done = run_zoo(*command, "--epochs", "1", "--out", tmp_path / "run", "--skip-bad", "--json")
    assert done.status == 0, done.err
    assert json.loads(done.out)["dataset"]["train"] == 8
    (warning,) = [line for line in done.err.splitlines() if "7 of 19" in line]
    assert "`run.json`" in warning
    golden.says(warning)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["recipe"]["dataset"]["settings"]["skip_bad"] is True
    assert record["data"]["skipped_files"] == {"count": 7, "names": [f"cat/bad{i}\\n\\x1b[31m.png" for i in range(7)]}


def test_names_of_what_is_left_out_are_recorded_up_to_a_hundred(
    tmp_path: Path, registry: Registry, golden: Golden
) -> None:
    fill(tmp_path / "data")
    for i in range(103):
        write(tmp_path / "data" / "cat" / f"{i:03d}.txt", b"x")
    write(tmp_path / "data" / "cat" / os.fsdecode(b"+\xff.png"), b"x")
    options: Any = {"dataset": "image-folder", "data_dir": tmp_path / "data", "epochs": 1, "registry": registry}
    settings = {"dataset.skip_bad": True, "dataset.size": (28, 28)}
    with golden.warns(ZooWarning):
        run = zoo.train("small", out=tmp_path / "run", settings=settings, **options)
    skipped_files = zoo.open_run(run.path).record.data.skipped_files
    assert skipped_files is not None
    assert skipped_files.count == 104
    assert skipped_files.names == ["cat/+\\udcff.png", *(f"cat/{i:03d}.txt" for i in range(99))]


def test_data_that_a_run_does_not_go_on_with_are_told_apart(
    run_zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, path = fill(tmp_path / "data", count=10), tmp_path / "run"
    command = ["train", "fashion-cnn", "--dataset", "image-folder", "--data-dir", data, *SMALL_MODEL, "--epochs", "2"]
    with monkeypatch.context() as patched:
        patched.setattr("keras.Model.fit", interrupt)
        assert run_zoo(*command, "--out", path, "--skip-bad").status == 130
    write(data / "cat" / "notes.txt", b"x")  # is no other data
    with monkeypatch.context() as patched:
        patched.setattr("keras.Model.fit", interrupt)
        assert run_zoo("resume", path, "--data-dir", data).status == 130  # it went on, and was interrupted again
    (data / "dog" / "img3.png").unlink()
    done = run_zoo("resume", path, "--data-dir", data, "--quiet")
    assert done.status == 1
    # which images are for testing, and so whether their digest differs, depends on what the files are compressed to
    assert str(path) in done.err
    assert "files" in done.err
    assert {"13", "14"} <= set(re.findall(r"\d+", done.err.replace(str(tmp_path), "")))  # training images, now and then


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_links_pipes_and_hidden_files(tmp_path: Path, golden: Golden) -> None:
    data = fill(tmp_path / "data")
    outside = write(tmp_path / "outside.png", png(pixels(channels=1)))
    for name in (".hidden.png", "Thumbs.db", ".DS_Store"):
        write(data / "cat" / name, b"anything")
    write(data / ".git" / "x.png", b"anything")
    write(data / "README.txt", b"of no class, and no image")
    (data / "cat" / "inside.png").symlink_to(data / "cat" / "img0.png")
    split = load(data)
    assert len(split.train) + len(split.test) + len(split.validation or ()) == 13
    (data / "cat" / "link.png").symlink_to(outside)
    (data / "cat" / "gone.png").symlink_to(tmp_path / "gone.png")
    (data / "dog" / "loop.png").symlink_to("loop.png")
    (data / "loop").symlink_to("loop")
    os.mkfifo(data / "dog" / "pipe.png")
    (data / "dog" / "nested").mkdir()
    write(data / "loose.png", png(pixels()))
    bad = ("cat/gone.png", "cat/link.png", "dog/loop.png", "dog/nested", "dog/pipe.png", "loose.png")
    with golden.warns(ZooWarning) as told:
        split = load(data, skip_bad=True)
    assert split.skipped_files == bad
    assert [name for name in bad if name in str(told[0].message)] == list(bad[:5])  # and one more
    (data / "cat" / "gone.png").unlink()
    with golden.warns(ZooWarning) as told:
        load(data, skip_bad=True)
    assert [name for name in bad if name in str(told[0].message)] == list(bad[1:])
    (data / "elsewhere").symlink_to(tmp_path)
    with golden.raises(DataError, path=str(data / "elsewhere")):
        load(data)


def test_file_dated_before_1970_is_as_good_as_any(tmp_path: Path) -> None:
    fill(tmp_path)
    os.utime(tmp_path / "cat" / "img0.png", (-1000, -1000))
    split = load(tmp_path)
    for _ in range(2):
        assert len(all_of(split)[0]) + len(all_of(split, "test")[0]) + len(all_of(split, "validation")[0]) == 12


def test_names_that_are_not_utf8(tmp_path: Path, golden: Golden) -> None:
    fill(tmp_path)
    odd = os.fsdecode(b"caf\xe9.png")
    write(tmp_path / "cat" / odd, png(pixels(channels=1)))
    split = load(tmp_path)
    assert len(split.train) + len(split.test) + len(split.validation or ()) == 13
    write(tmp_path / "cat" / odd, b"")
    with golden.raises(DataError, path=str(tmp_path)) as raised:
        load(tmp_path)
    assert "cat/caf\\udce9.png" in str(raised.value)
    odd_folder = tmp_path / os.fsdecode(b"\xff")
    write(odd_folder / "a.png", png(pixels(channels=1)))
    with golden.raises(DataError, path=str(odd_folder)) as raised:
        load(tmp_path)
    assert "/\\udcff" in str(raised.value)


def test_folders_that_are_no_data_set(tmp_path: Path, golden: Golden) -> None:
    with golden.raises(DataError, path=str(tmp_path)):
        load(tmp_path)
    fill(tmp_path, ("only",))
    with golden.raises(DataError, path=str(tmp_path)):
        load(tmp_path)
    (tmp_path / "other").mkdir()
    with golden.raises(DataError, path=str(tmp_path / "other")):
        load(tmp_path)
    write(tmp_path / "other" / "x.png", b"bad")
    with golden.warns(ZooWarning), golden.raises(DataError, path=str(tmp_path)) as raised:
        load(tmp_path, skip_bad=True)
    assert "'other'" in str(raised.value)
    write(tmp_path / "other" / "x.png", png(pixels(channels=1)))
    with golden.raises(DataError) as raised:
        load(tmp_path)
    assert "'other'" in str(raised.value)
    with golden.raises(DataError, path=None):
        ImageFolder().load(None)


def test_classes_are_in_natural_order(tmp_path: Path) -> None:
    fill(tmp_path, ("class 10", "class 2", "Class 1", "apple"), count=4)
    assert load(tmp_path).class_names == ("apple", "Class 1", "class 2", "class 10")


def test_cut_is_stratified_repeatable_and_by_content(tmp_path: Path) -> None:
    fill(tmp_path / "a", ("x", "y"), count=20)
    fill(tmp_path / "a", ("z",), count=5)
    split = load(tmp_path / "a")
    counts = {part: np.bincount(all_of(split, part)[1]).tolist() for part in ("train", "validation", "test")}
    assert counts == {"train": [14, 14, 3], "validation": [2, 2, 1], "test": [4, 4, 1]}
    for part in counts:
        for ours, theirs in zip(all_of(split, part), all_of(load(tmp_path / "a"), part), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    test = {image.tobytes() for image in all_of(split, "test")[0]}
    assert not test & {image.tobytes() for image in all_of(split)[0]}
    other = {image.tobytes() for image in all_of(load(tmp_path / "a", split_seed=1), "test")[0]}
    assert test != other
    for path in sorted((tmp_path / "a" / "x").iterdir()):  # other names, another order
        path.rename(path.with_name(f"{99 - int(path.stem[3:])}.png"))
    renamed = load(tmp_path / "a")
    assert {image.tobytes() for image in all_of(renamed, "test")[0]} == test
    assert renamed.digests != split.digests
    assert load(tmp_path / "a", validation_share=0).validation is None


def test_copies_of_an_image_stay_together(tmp_path: Path, golden: Golden) -> None:
    fill(tmp_path, count=9)
    for path in sorted(tmp_path.glob("*/*.png")):
        for i in range(3):
            write(path.with_name(f"copy{i} of {path.name}"), path.read_bytes())
    for seed in range(4):
        split = load(tmp_path, split_seed=seed)
        parts = [{image.tobytes() for image in all_of(split, part)[0]} for part in ("train", "validation", "test")]
        assert sum(map(len, parts)) == 18
        assert len(set.union(*parts)) == 18
        assert [len(each) for each in parts] == [12, 2, 4]
    for path in sorted(tmp_path.glob("cat/*.png")):
        path.write_bytes((tmp_path / "cat" / "img0.png").read_bytes())
    with golden.raises(DataError) as raised:
        load(tmp_path)
    assert "'cat'" in str(raised.value)


def test_copies_of_an_image_in_several_classes_are_told(tmp_path: Path, golden: Golden) -> None:
    fill(tmp_path, ("cat", "dog", "eel"), count=6)
    write(tmp_path / "dog" / "img10.png", (tmp_path / "cat" / "img3.png").read_bytes())
    with golden.warns(ZooWarning) as told:
        load(tmp_path)
    assert [name for name in ("cat/img3.png", "dog/img10.png") if name not in str(told[0].message)] == []
    write(tmp_path / "eel" / "img11.png", (tmp_path / "cat" / "img3.png").read_bytes())
    write(tmp_path / "cat" / "img12.png", (tmp_path / "eel" / "img0.png").read_bytes())
    with golden.warns(ZooWarning):
        load(tmp_path)


@pytest.mark.parametrize(
    "parts", [("train", "test"), ("train", "validation"), ("train", "validation", "test"), ("train",)]
)
def test_parts_with_folders_of_their_own(tmp_path: Path, parts: tuple[str, ...]) -> None:
    for part in parts:
        fill(tmp_path / part, count=10)
    split = load(tmp_path)
    sizes = {part: len(getattr(split, part)) for part in ("train", "validation", "test")}
    own = {part: 20 for part in parts if part != "train"}
    left = 20
    for part, share in (("test", 0.2), ("validation", 0.1)):
        if part not in own:
            own[part] = round(left * share)
            left -= own[part]
    assert sizes == {"train": left, **own}


def test_copies_of_an_image_in_several_parts_are_told(tmp_path: Path, golden: Golden) -> None:
    for part in ("train", "val", "test"):
        fill(tmp_path / part, count=4)
    for part in ("val", "test"):
        write(tmp_path / part / "cat" / "again.png", (tmp_path / "train" / "cat" / "img3.png").read_bytes())
    with golden.warns(ZooWarning) as told:
        load(tmp_path)
    assert [name for name in ("train/cat/img3.png", "val/cat/again.png") if name not in str(told[0].message)] == []
    write(tmp_path / "test" / "dog" / "more.png", (tmp_path / "val" / "dog" / "img0.png").read_bytes())
    with golden.warns(ZooWarning):
        load(tmp_path)


@pytest.mark.parametrize("name", ["val", "valid"])
def test_validation_folder_has_the_names_that_people_give_it(tmp_path: Path, name: str, golden: Golden) -> None:
    for part in ("train", name):
        fill(tmp_path / part, count=10)
    split = load(tmp_path)
    assert split.class_names == ("cat", "dog")
    assert split.validation is not None
    assert [len(part) for part in (split.train, split.validation, split.test)] == [16, 20, 4]
    fill(tmp_path / "validation", count=10)
    with golden.raises(DataError, path=str(tmp_path)) as raised:
        load(tmp_path)
    assert repr(name) in str(raised.value)


def test_folders_of_parts_by_other_names_are_told_what_to_be_called(tmp_path: Path, golden: Golden) -> None:
    for part in ("learned", "asked"):
        fill(tmp_path / part, count=3)
    with golden.raises(DataError, path=str(tmp_path)):
        load(tmp_path)


def test_part_may_lack_a_class_but_not_have_another(tmp_path: Path, golden: Golden) -> None:
    fill(tmp_path / "train")
    fill(tmp_path / "test", ("cat",))
    assert all_of(load(tmp_path), "test")[1].tolist() == [0] * 6
    fill(tmp_path / "test", ("cow",))
    with golden.raises(DataError, path=str(tmp_path / "test" / "cow")):
        load(tmp_path)


@pytest.mark.parametrize("color_mode", ["auto", "grayscale", "rgb"])
@pytest.mark.parametrize("crop", ["pad", "center"])
def test_kept_images_are_those_that_are_decoded_again(tmp_path: Path, color_mode: str, crop: str) -> None:
    for label, name in enumerate(("cat", "dog")):
        for i in range(4):
            write(tmp_path / name / f"color{i}.png", png(pixels(20 + label, 30)))
            write(tmp_path / name / f"gray{i}.png", png(pixels(25, 15 + label, 1)))
            write(
                tmp_path / name / f"deep{i}.png",
                encoded(Image.fromarray(pixels(9, 9, 1)[..., 0] * np.uint16(257)), "PNG"),
            )
            write(tmp_path / name / f"clear{i}.png", png(pixels(12, 12 + label, 4)))
            write(tmp_path / name / f"large{i}.jpg", encoded(Image.fromarray(pixels(200, 180 + label)), "JPEG"))
    for chosen in ("*", "*/gray*"):  # all of them, and what is gray alone
        if chosen != "*":
            for path in [*tmp_path.glob("*/*")]:
                if not path.match(chosen):
                    path.unlink()
        read = partial(load, tmp_path, color_mode=color_mode, crop=crop, size=(16, 12), background=77)
        expected = all_of(read(cache=0, disk_cache=0))
        for cache, disk_cache in ((64, 0), (0, 64)):
            split = read(cache=cache, disk_cache=disk_cache)
            for _ in range(2):
                for found, wanted in zip(all_of(split), expected, strict=True):
                    np.testing.assert_array_equal(found, wanted)


def test_file_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, count=10)
    opened: list[Any] = []
    original = Image.open

    def counted(*args: Any, **options: Any) -> Any:
        opened.append(args)
        return original(*args, **options)

    monkeypatch.setattr(Image, "open", counted)
    for cache, disk_cache, times in ((64, 0, 1), (0, 64, 1), (0, 0, 3)):
        opened.clear()
        split = load(tmp_path, size=(6, 6), cache=cache, disk_cache=disk_cache)
        for _ in range(2):
            all_of(split)
        assert len(opened) == 20 + (times - 1) * len(split.train)


def test_copies_of_a_file_are_in_one_group(tmp_path: Path) -> None:
    fill(tmp_path, count=12)
    assert load(tmp_path).train_groups == ()
    for i in range(3):
        write(tmp_path / "cat" / f"copy{i}.png", (tmp_path / "cat" / "img0.png").read_bytes())
    split = without_validation(load(tmp_path))
    contents = [(tmp_path / name).read_bytes() for name in split.train_ids]
    assert (
        len(set(split.train_groups)) == len(set(contents)) == len(set(zip(contents, split.train_groups, strict=True)))
    )


def test_balanced_sampling_repeats_small_classes(tmp_path: Path) -> None:
    fill(tmp_path, ("cat",), count=20)
    fill(tmp_path, ("cat", "dog"), count=5)
    assert load(tmp_path).sampling == "natural"
    assert load(tmp_path, sampling="balanced").sampling == "balanced"


def test_cache_never_serves_a_changed_file(tmp_path: Path, golden: Golden) -> None:
    fill(tmp_path)
    for cache, disk_cache in ((64, 64), (0, 64), (0, 0)):
        split = load(tmp_path, cache=cache, disk_cache=disk_cache)
        before, _ = all_of(split)
        np.testing.assert_array_equal(all_of(split)[0], before)
        paths = sorted(tmp_path.glob("*/*.png"))
        contents = [path.read_bytes() for path in paths]
        for path, content in zip(paths, contents, strict=True):  # the same content anew is no change
            path.unlink()
            path.write_bytes(content)
        np.testing.assert_array_equal(all_of(split)[0], before)
        for path, content in zip(paths, contents, strict=True):
            times = path.stat()
            path.write_bytes(content[:-1] + b"\0")  # same size, same time
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        with pytest.raises(DataError) as raised:
            all_of(split)
        image = str(raised.value.path)
        assert image in map(str, paths)  # which one is asked for first depends on the cut
        assert raised.value.__cause__ is None
        golden.says(str(raised.value).replace(image, "<image>"))
        for path in paths:
            path.unlink()
        with pytest.raises(DataError) as raised:
            all_of(split)
        image = str(raised.value.path)
        assert image in map(str, paths)
        assert isinstance(raised.value.__cause__, FileNotFoundError)
        golden.says(str(raised.value).replace(image, "<image>"))
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_folder(tmp_path: Path) -> None:
    """Bytes of arrays and objects, at most, while all images are read; `tests/benchmarks` has whole runs."""

    def peak(count: int) -> int:
        if not (tmp_path / str(count)).exists():
            fill(tmp_path / str(count), count=count // 2)
        gc.collect()
        tracemalloc.start()
        split = load(tmp_path / str(count), size=(64, 64), cache=0)
        for batch in np.array_split(np.arange(len(split.train)), len(split.train) // 32):
            split.train[batch]
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(60)  # what is made once
    small, large = peak(100), min(peak(1000) for _ in range(2))  # what else the process does comes and goes
    assert large - small < 900 * 1000  # a name, a digest and a signature each; an image would be 4,096 bytes
