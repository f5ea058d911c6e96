"""Photographs unlike the training images: a shaded background becomes black, another one is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps
from zoo_fashion.dataset import FashionMnist

from tests.plugins.images.test_image_folder import encoded, png
from tests.support.command_line import Zoo
from tests.support.golden import Golden
from zoo import ImageInput
from zoo.images import Prepared, prepare

IMAGES, LABELS = FashionMnist().load(None).test[np.arange(40)]
CLASS_NAMES = FashionMnist().load(None).class_names
CLOTHES = ImageInput(crop="pad", background=0, inverted=True, trimmed=True)
LIGHT = np.linspace(1, 0.45, 400)[None]


def on(brightness: float | NDArray[np.floating], image: NDArray[np.uint8], *, noise: float = 0) -> NDArray[np.uint8]:
    """Return a photograph of a piece of clothing on a ground of some brightness, dark on light."""
    item = Image.fromarray(255 - image[..., 0]).resize((224, 224), Image.Resampling.BICUBIC)
    whole = np.full((300, 400), 1.0)
    whole[40:264, 90:314] = np.asarray(item) / 255
    rough = np.random.default_rng(0).normal(0, noise, whole.shape)
    return (whole * brightness + rough).clip(0, 255).astype(np.uint8)


def prepared(image: NDArray[np.uint8] | Image.Image, form: ImageInput = CLOTHES, **options: Any) -> Prepared:
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    return prepare(encoded(image, "PNG"), "it", options.pop("shape", (28, 28, 1)), form, options.pop("invert", "auto"))


def test_white_and_black_backgrounds_are_left_bit_for_bit() -> None:
    for i in range(10):
        for level, noise in ((255, 0), (250, 2), (246, 1)):
            image = Image.fromarray(on(level, IMAGES[i], noise=noise))
            found = prepared(image)
            assert (found.inverted, found.has_uneven_background) == (True, False)
            np.testing.assert_array_equal(found.pixels, prepared(ImageOps.invert(image), invert="no").pixels)
        own = IMAGES[i][..., 0]
        np.testing.assert_array_equal(prepared(own).pixels[..., 0], own)
        large = Image.fromarray(own).resize((280, 280), Image.Resampling.NEAREST)
        np.testing.assert_array_equal(prepared(large).pixels, prepared(large, invert="no").pixels)


@pytest.mark.parametrize("level", [230, 180, 140, 120, 90])
@pytest.mark.parametrize("noise", [0, 2])
def test_even_background_becomes_black(level: int, noise: float) -> None:
    differences = []
    for i in range(10):
        found, wanted = prepared(on(level, IMAGES[i], noise=noise)), prepared(on(255, IMAGES[i]))
        assert (found.inverted, found.has_uneven_background) == (True, False)
        differences.append(abs(found.pixels.astype(int) - wanted.pixels).mean())
    assert np.mean(differences) < 8  # folds that are hardly darker than a dark ground are lost with it
    assert min(differences) < 3


def test_light_from_one_side_is_evened_out() -> None:
    for light in (LIGHT, LIGHT[:, ::-1], np.linspace(0.5, 0.9, 300)[:, None]):
        for i in range(10):
            found, wanted = prepared(on(255 * light, IMAGES[i])), prepared(on(255, IMAGES[i]))
            assert (found.inverted, found.has_uneven_background) == (True, False)
            assert abs(found.pixels.astype(int) - wanted.pixels).mean() < 8


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_light_subject_on_gray_is_not_inverted(mode: str) -> None:
    for ground in (60, 120, 150):
        image = Image.new("L", (90, 60), ground)
        ImageDraw.Draw(image).rectangle((40, 10, 59, 49), fill=255)
        found = prepared(image.convert(mode), shape=(28, 28, 1 if mode == "L" else 3))
        assert (found.inverted, found.has_uneven_background) == (False, False)
        assert (found.pixels[:, 7:21] == 255).all()
        assert (found.pixels[:, :7] == 0).all()


def test_subject_that_touches_the_border_is_no_background() -> None:
    image = Image.new("L", (100, 100), 170)
    ImageDraw.Draw(image).rectangle((40, 30, 60, 99), fill=20)
    found = prepared(image)
    assert (found.inverted, found.has_uneven_background) == (True, False)
    assert found.pixels.max() > 200
    assert np.median(found.pixels) == 0


def uneven() -> Image.Image:
    """Return a photograph on a carpet of dark and light stripes."""
    image = Image.fromarray(np.where(np.arange(400) % 40 < 20, 80, 190).astype(np.uint8)[None].repeat(300, 0))
    ImageDraw.Draw(image).rectangle((150, 60, 250, 240), fill=20)
    return image


def test_other_background_is_told_and_left() -> None:
    for image in (uneven(), Image.new("L", (90, 60), 30)):
        dark = image.copy()
        ImageDraw.Draw(dark).rectangle((40, 10, 59, 49), fill=0)  # too little contrast to be stretched
        found = prepared(dark)
        assert found.has_uneven_background
        as_before = ImageOps.invert(dark) if found.inverted else dark
        np.testing.assert_array_equal(found.pixels, prepared(as_before, invert="no").pixels)
    for form in (ImageInput(), ImageInput(inverted=False)):  # of whose backgrounds nothing is known
        assert not prepared(uneven(), form).has_uneven_background
    assert not prepared(uneven(), invert="no").has_uneven_background


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (300, 2), (2, 300), (3, 3), (28, 28)])
@pytest.mark.parametrize("level", [0, 20, 100, 200, 255])
def test_uniform_and_tiny_images_are_no_fault(size: tuple[int, int], level: int) -> None:
    for mode, channels in (("L", 1), ("RGB", 3)):
        found = prepared(Image.new("L", size, level).convert(mode), shape=(28, 28, channels))
        assert found.pixels.shape == (28, 28, channels)
        assert found.inverted == (level > 127)


@pytest.mark.slow
def test_clothes_on_gray_are_predicted_and_on_stripes_told(run_zoo: Zoo, tmp_path: Path, golden: Golden) -> None:
    grounds: dict[str, float | NDArray[np.floating]] = {"gray": 130, "shadow": 255 * LIGHT}
    for name, ground in grounds.items():
        folder = tmp_path / name
        folder.mkdir()
        for i in range(40):
            Image.fromarray(on(ground, IMAGES[i])).save(folder / f"{i}.jpg", quality=92)
        found = json.loads(run_zoo("predict", "fashion-cnn", folder, "--json", "--top", "1").out)
        right = [row["predictions"][0]["class"] == CLASS_NAMES[LABELS[i]] for i, row in enumerate(found)]
        assert np.mean(right) > 0.8, name
        assert not any(row["uneven_background"] for row in found)
    uneven().save(tmp_path / "striped.png")
    (tmp_path / "own.png").write_bytes(png(IMAGES[0][..., 0]))
    done = run_zoo("predict", "fashion-cnn", tmp_path / "striped.png", tmp_path / "own.png", "--json")
    assert [row["uneven_background"] for row in json.loads(done.out)] == [True, False]
    golden.says(next(line for line in done.err.splitlines() if "striped" in line))
    assert run_zoo("predict", "fashion-cnn", tmp_path / "striped.png", "--quiet").err == ""
