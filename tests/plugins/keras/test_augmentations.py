"""The augmentations: what each does to images, and how those that mix images mix labels."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image, ImageEnhance
from zoo_keras.augmentations import color, crop, cutmix, cutout, erase, flip, mixup, randaugment, shift

from tests.support.golden import Golden
from zoo import SettingError

SHAPE = (8, 6, 1)


def changed(layer: keras.layers.Layer, images: Any) -> Any:
    """Return images as a layer changes them during training."""
    return np.asarray(layer(np.asarray(images, np.float32), training=True))


def test_shift_moves_by_whole_pixels_as_often_one_way_as_another() -> None:
    move = shift((6, 5, 1), pixels=1)
    image = np.random.default_rng(0).random((6, 5, 1)).astype(np.float32)
    padded = np.pad(image, [(1, 1), (1, 1), (0, 0)])
    known = {(y, x): padded[y : y + 6, x : x + 5] for y in range(3) for x in range(3)}
    moved = np.asarray(move(np.tile(image, (3600, 1, 1, 1)), training=True))
    counts = [np.isclose(moved, shifted).all(axis=(1, 2, 3)).sum() for shifted in known.values()]
    assert sum(counts) == 3600
    assert all(300 < count < 500 for count in counts)  # 400 each, with a deviation of 19


def test_cutmix_mixes_labels_by_the_area_that_each_image_has() -> None:
    mixing = cutmix((8, 6, 1), share=0.7)
    brightness = np.arange(1, 1002, dtype=np.float32)  # no two images alike
    mixed = np.asarray(mixing(np.tile(brightness[:, None, None, None], (1, 8, 6, 1)), training=True))
    other = brightness[::-1, None, None, None]
    area = (mixed == other).mean(axis=(1, 2, 3))
    assert ((mixed == other) | (mixed == brightness[:, None, None, None])).all()
    labels = np.asarray(mixing.mix_labels(np.eye(1001, dtype=np.float32)))
    alone = np.arange(1001) != 500  # the one in the middle is its own partner
    np.testing.assert_allclose(labels[np.arange(1001), np.arange(1001)][alone], 1 - area[alone], atol=1e-6)
    np.testing.assert_allclose(labels[np.arange(1001), np.arange(1001)[::-1]][alone], area[alone], atol=1e-6)
    # uniform areas, of which borders cut off a part
    assert 0.55 < (area > 0).mean() < 0.75
    assert area[alone].max() > 0.7


def test_mixup_blends_labels_as_it_blends_images() -> None:
    mixing = mixup((8, 6, 1), alpha=0.5)
    brightness = np.linspace(0, 1, 1001, dtype=np.float32)
    images = np.tile(brightness[:, None, None, None], (1, 8, 6, 1))
    blended = changed(mixing, images)[:, 0, 0, 0]
    labels = np.asarray(mixing.mix_labels(np.eye(1001, dtype=np.float32)))
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(labels @ brightness, blended, atol=1e-5)
    own = labels[np.arange(1001), np.arange(1001)]
    assert own.min() >= 0.5  # the larger share is the image's own
    assert own.max() - own[np.arange(1001) != 500].min() > 0.4


@pytest.mark.parametrize("make", [cutmix, mixup])
def test_labels_are_not_mixed_outside_of_training(make: Any) -> None:
    mixing, labels = make(SHAPE), np.eye(4, dtype=np.float32)
    mixing(np.ones((4, *SHAPE), np.float32), training=False)
    np.testing.assert_array_equal(mixing.mix_labels(labels), labels)


def test_crop_shows_each_place_of_the_padded_image_as_often() -> None:
    image = np.random.default_rng(0).random((6, 5, 1)).astype(np.float32)
    padded = np.pad(image, [(1, 1), (1, 1), (0, 0)])
    cropped = changed(crop((6, 5, 1), padding=1), np.tile(image, (3600, 1, 1, 1)))
    places = [padded[y : y + 6, x : x + 5] for y in range(3) for x in range(3)]
    counts = [(cropped == place).all(axis=(1, 2, 3)).sum() for place in places]
    assert sum(counts) == 3600
    assert all(300 < count < 500 for count in counts)  # 400 each, with a deviation of 19


def test_cutout_cuts_one_square_that_may_lie_outside() -> None:
    cut = changed(cutout((9, 9, 1), size=3), np.ones((500, 9, 9, 1))) == 0
    rows, columns = cut.any(axis=2).sum(axis=1), cut.any(axis=1).sum(axis=1)
    np.testing.assert_array_equal(cut.sum(axis=(1, 2)), rows * columns)  # a rectangle
    assert (rows.max(), columns.max()) == (3, 3)
    assert (rows.min(), columns.min()) < (3, 3)


def test_erase_changes_a_share_of_the_images_inside_a_rectangle() -> None:
    erased = changed(erase((20, 20, 1), share=0.3), np.full((1000, 20, 20, 1), 2.0)) != 2.0
    assert 0.25 < erased.any(axis=(1, 2, 3)).mean() < 0.35
    area = erased.mean(axis=(1, 2, 3))
    assert area.max() < 0.4


def test_flip_flips_half_of_the_images() -> None:
    image = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    flipped = changed(flip(SHAPE), np.tile(image, (1000, 1, 1, 1)))
    is_same, is_mirrored = ((flipped == other).all(axis=(1, 2, 3)) for other in (image, image[:, ::-1]))
    assert (is_same | is_mirrored).all()
    assert 0.45 < is_mirrored.mean() < 0.55


def test_color_of_gray_images_stays_gray() -> None:
    gray = np.tile(np.random.default_rng(0).random((50, 8, 6, 1)), (1, 1, 1, 3))
    layer = color((8, 6, 3))
    jittered = changed(layer, gray)
    np.testing.assert_allclose(jittered, jittered.mean(axis=-1, keepdims=True) + 0 * jittered, atol=1e-5)
    colored = changed(layer, np.random.default_rng(0).random((50, 8, 6, 3)))
    assert (colored.max(axis=-1) > colored.min(axis=-1)).any(axis=(1, 2)).all()
    assert (colored.min(), colored.max()) == (0, 1)
    assert changed(color(SHAPE), np.ones((5, *SHAPE))).shape == (5, *SHAPE)


@pytest.mark.parametrize(
    ("make", "setting"),
    [(shift, "shift.pixels"), (crop, "crop.padding"), (cutout, "cutout.size")],
    ids=["shift", "crop", "cutout"],
)
def test_what_is_as_large_as_the_image_is_refused(golden: Golden, make: Any, setting: str) -> None:
    name = setting.partition(".")[2]
    with golden.raises(SettingError, name=f"augmentation.{setting}", value=6):
        make(SHAPE, **{name: 6})
    make(SHAPE, **{name: 5})


def values_changed(images: Any, amount: float) -> dict[str, Any]:
    """Return what each operation of RandAugment that changes values makes of images, computed by NumPy and Pillow."""
    mean, low, high = (f(images, axis=(1, 2, 3), keepdims=True) for f in (np.mean, np.min, np.max))
    gray = images @ np.array([[0.299], [0.587], [0.114]], np.float32) if images.shape[-1] == 3 else images
    levels = 2.0 ** np.round(8 - 6 * abs(amount)) - 1
    sharpened = [
        ImageEnhance.Sharpness(Image.fromarray(np.round(image * 255).astype(np.uint8).squeeze())).enhance(1 + amount)
        for image in images
    ]
    values = {
        "brightness": images + amount,
        "contrast": mean + (images - mean) * (1 + amount),
        "saturation": gray + (images - gray) * (1 + amount),
        "sharpness": np.stack([np.asarray(each, np.float32) / 255 for each in sharpened]).reshape(images.shape),
        "solarize": np.where(images > 1 - abs(amount), 1 - images, images),
        "posterize": np.round(images * levels) / levels,
        "autocontrast": (images - low) / (high - low),
    }
    return {name: np.clip(each, 0, 1) for name, each in values.items()}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("amount", [-0.4, 0.6])
def test_randaugment_changes_values_as_pillow_does(
    monkeypatch: pytest.MonkeyPatch, channels: int, amount: float
) -> None:
    random = np.random.default_rng(0)
    coarse = random.uniform(0.2, 0.8, (1, 4, 4, channels)).repeat(3, 1).repeat(3, 2)
    images = np.clip(coarse + random.normal(0, 0.05, coarse.shape), 0, 1).astype(np.float32)
    layer = randaugment(images.shape[1:], operations=1, strength=1.0)
    expected, found = values_changed(images, amount), set()
    for operation in range(12):
        draws = iter([float(operation), amount])  # which operation, and how strong
        monkeypatch.setattr(keras.random, "uniform", lambda shape, *_, **__: keras.ops.full(shape, next(draws)))  # noqa: B023  # called at once
        result = changed(layer, images)
        inner = np.s_[:, 1:-1, 1:-1]  # Pillow leaves the border as it is
        found |= {name for name, values in expected.items() if abs(result - values)[inner].max() < 0.01}
    assert found == set(expected)
