"""Copies are found, whatever was done to them; images that only look alike are not."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from zoo_data import near_copies
from zoo_data.copies import find_copies
from zoo_data.hashing import hash_images
from zoo_data.near_copies import NearCopies, find_near_copies
from zoo_data.parts import parts_of, with_ids
from zoo_data.records import Copies
from zoo_data.scanning import scan
from zoo_data.thumbnails import thumbnails_of

from tests.plugins.data.photographs import photographs
from tests.support.small_recipe import shipped
from zoo import ArrayExamples, Split
from zoo.images import WORKERS

SIZE = (64, 64)


def small(picture: Image.Image) -> NDArray[np.uint8]:
    """Return a picture in the size that a model gets."""
    return np.asarray(picture.convert("RGB").resize(SIZE, Image.Resampling.BICUBIC))


def saved_again(picture: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file)


def brighter(picture: Image.Image, factor: float) -> Image.Image:
    return Image.fromarray(np.clip(np.asarray(picture) * factor, 0, 255).astype(np.uint8))


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "a JPEG": lambda picture: saved_again(picture, 90),
    "a JPEG of low quality": lambda picture: saved_again(picture, 60),
    "half the size": lambda picture: picture.resize((picture.width // 2, picture.height // 2)),
    "twice the size": lambda picture: picture.resize((picture.width * 2, picture.height * 2)),
    "mirrored": lambda picture: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "mirrored and a JPEG": lambda picture: saved_again(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 90),
    "darker": lambda picture: brighter(picture, 0.8),
    "a little brighter": lambda picture: brighter(picture, 1.1),
}


def split_of(*parts: tuple[list[NDArray[np.uint8]], list[int]]) -> Split:
    """Return a split of two classes whose training and test parts have these images and labels."""
    train, test = (ArrayExamples(np.stack(images), np.array(labels)) for images, labels in parts)
    return with_ids(Split(train=train, test=test, class_names=("a", "b")))


def copies_of(split: Split) -> Copies:
    parts = parts_of(split)
    return find_copies(scan(parts), parts, split.class_names)


def search(images: NDArray[np.uint8]) -> NearCopies:
    return find_near_copies(thumbnails_of(images), images.mean(axis=(1, 2), dtype=np.float32))


@pytest.mark.parametrize("change", list(CHANGES))
def test_changed_copies_of_photographs_are_found_and_others_are_not(change: str) -> None:
    pictures = [Image.fromarray(picture) for picture in photographs()]
    originals = np.stack([small(picture) for picture in pictures])
    changed = np.stack([small(CHANGES[change](picture)) for picture in pictures])
    found = search(np.concatenate([originals, changed]))
    pairs = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
    planted = {(i, i + len(pictures)) for i in range(len(pictures))}
    assert len(pairs & planted) >= 0.9 * len(planted)
    assert pairs <= planted
    assert found.is_complete
    assert found.is_mirrored.all() == change.startswith("mirrored")


def test_clothes_that_look_alike_are_no_copies() -> None:
    """Trousers have one outline; of 3,000 images, no two were sold twice but these."""
    images, labels = shipped().train[np.arange(3000)]
    found = search(images)
    assert found.compared == 3000
    assert len(found.first) <= 3
    trousers = images[labels == 1]
    thumbnails = thumbnails_of(trousers)
    plain, _ = hash_images(thumbnails)
    alike = np.bitwise_count(plain.bits[:, None] ^ plain.bits) <= 10
    assert np.triu(alike, 1).sum() > 100  # by the hash alone, many are


def test_known_near_copy_of_fashion_mnist_is_found() -> None:
    split = shipped()
    train, test = split.train[np.array([13360, 0, 1])], split.test[np.array([4998, 0, 1])]
    found = search(np.concatenate([train[0], test[0]]))
    assert list(zip(found.first, found.second, strict=True)) == [(0, 3)]


def test_other_color_is_no_copy() -> None:
    picture = small(Image.fromarray(photographs()[0]))
    gray = picture.mean(axis=-1, keepdims=True)
    red, blue = (np.clip(gray * np.array(tint), 0, 255).astype(np.uint8) for tint in ((1.6, 0.7, 0.7), (0.7, 0.7, 1.6)))
    assert len(search(np.stack([red, blue])).first) == 0
    assert len(search(np.stack([red, np.asarray(brighter(Image.fromarray(red), 0.9))])).first) == 1


def test_groups_tell_parts_and_labels_and_count_leaks() -> None:
    a, b, c, d = (small(Image.fromarray(picture)) for picture in photographs()[:4])
    jpeg = small(saved_again(Image.fromarray(photographs()[1]), 90))
    copies = copies_of(split_of(([a, a, b, c, d], [0, 1, 0, 0, 1]), ([jpeg, c], [0, 0])))
    assert (copies.identical_groups, copies.identical_images, copies.near_pairs) == (2, 4, 1)
    assert (copies.groups, copies.across_parts, copies.across_classes, copies.leaked) == (3, 2, 1, 2)
    by_name = {frozenset(image.name for image in group.images): group for group in copies.found}
    assert set(by_name) == {
        frozenset(("train 0", "train 1")),
        frozenset(("train 3", "test 1")),
        frozenset(("train 2", "test 0")),
    }
    same, leak, near = (
        by_name[frozenset(names)] for names in (("train 0", "train 1"), ("train 3", "test 1"), ("train 2", "test 0"))
    )
    assert (same.is_identical, same.across_classes, same.across_parts) == (True, True, False)
    assert (leak.is_identical, leak.across_classes, leak.across_parts) == (True, False, True)
    assert (near.is_identical, near.across_classes, near.across_parts) == (False, False, True)
    assert near.similarity < 1 == leak.similarity
    assert [group.is_identical for group in copies.found] == [True, True, False]


def test_near_copies_of_copies_are_one_group() -> None:
    picture = Image.fromarray(photographs()[0])
    images = [small(picture), small(picture), small(saved_again(picture, 90)), small(brighter(picture, 0.9))]
    copies = copies_of(split_of((images, [0] * 4), ([small(Image.fromarray(photographs()[3]))], [1])))
    (group,) = copies.found
    assert (group.count, group.is_identical, copies.leaked) == (4, False, 0)


def test_blank_and_tiny_images_are_not_compared() -> None:
    blank = np.full((4, *SIZE, 3), 200, np.uint8) + np.arange(4, dtype=np.uint8)[:, None, None, None]
    found = search(blank)
    assert (len(found.first), found.compared, found.is_complete) == (0, 0, True)
    tiny = np.random.default_rng(0).integers(0, 256, (3, 15, 20, 1), np.uint8)
    found = search(np.concatenate([tiny, tiny]))
    assert (len(found.first), found.is_complete) == (0, False)


def test_search_among_images_that_are_all_alike_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_copies, "_MOST_CLOSE", 500)
    random = np.random.default_rng(0)
    base = small(Image.fromarray(photographs()[0])).astype(np.int16)
    alike = np.clip(base + random.integers(-2, 3, (400, *base.shape)), 0, 255).astype(np.uint8)
    found = search(alike)
    assert not found.is_complete
    assert 0 < len(found.first) <= 1000


def test_memory_is_bounded_among_frames_of_one_scene(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block of rows alone has more than a million pairs here, which took 20 MB for each of the tasks at work."""
    monkeypatch.setattr(near_copies, "_MOST_CLOSE", 500)
    rows, columns = np.mgrid[:16, :16]
    scene = (100 + 80 * np.sin(rows / 3) * np.cos(columns / 4)).astype(np.uint8)
    frames = np.repeat(scene[None], 20_000, axis=0)
    tracemalloc.start()
    found = find_near_copies(frames, np.zeros((len(frames), 1), np.float32))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.compared, found.is_complete) == (20_000, False)
    assert 0 < len(found.first) <= 1000
    assert peak < (1 + WORKERS) * 40e6


def test_images_beyond_the_limit_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_copies, "MOST_IMAGES", 3)
    images = np.stack([small(Image.fromarray(picture)) for picture in photographs()[:5]])
    found = search(images)
    assert (found.compared, found.is_complete) == (3, False)
