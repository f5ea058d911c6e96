"""The default plugin: the dataset as published, each fault of a file named, the reference network."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import re
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from zoo_fashion import dataset
from zoo_fashion.idx import parse_idx
from zoo_fashion.model import build

from tests.support.golden import Golden
from zoo import DataError

DATA = Path(dataset.__file__).with_name("data")
TRAIN_LABELS = dataset.TRAIN.labels.name
TEST_IMAGES = dataset.TEST.images.name
Damage = Callable[[Path], object]


def test_data_set_is_the_published_one() -> None:
    split = dataset.FashionMnist().load(None)
    assert (len(split.train), len(split.test), split.validation) == (60_000, 10_000, None)
    assert len(split.class_names) == 10
    for examples, mean in ((split.train, 72.94), (split.test, 73.15)):
        images, labels = examples[np.arange(len(examples))]
        assert images.shape == (len(examples), 28, 28, 1)
        assert images.dtype == np.uint8
        assert images.mean() == pytest.approx(mean, abs=0.01)
        np.testing.assert_array_equal(np.bincount(labels), [len(examples) // 10] * 10)


def test_recorded_digests_are_those_of_the_files() -> None:
    digests = dataset.FashionMnist().load(None).digests
    assert {name: hashlib.sha256((DATA / name).read_bytes()).hexdigest() for name in digests} == digests
    assert len(digests) == 4


def test_licence_ships_with_the_data() -> None:
    assert "Zalando SE" in (DATA / "LICENSE").read_text()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for part in (dataset.TRAIN, dataset.TEST):
        for file in (part.images, part.labels):
            os.symlink(DATA / file.name, tmp_path / file.name)
    return tmp_path


def test_reads_the_same_files_from_a_folder(folder: Path) -> None:
    assert dataset.FashionMnist().load(folder).digests == dataset.FashionMnist().load(None).digests


def rewritten(change: Callable[[bytes], bytes]) -> Damage:
    def damage(path: Path) -> None:
        data = gzip.decompress(path.read_bytes())
        path.unlink()
        path.write_bytes(gzip.compress(change(data), 1))

    return damage


def reencoded(change: Callable[[bytes], bytes]) -> Damage:
    def damage(path: Path) -> None:
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(change(data))

    return damage


def other_kind(path: Path) -> None:
    path.unlink()
    shutil.copy(DATA / dataset.TEST.labels.name, path)


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


BAD_FILES: dict[str, tuple[str, Damage]] = {
    "missing": (TEST_IMAGES, Path.unlink),
    "fifo": (TEST_IMAGES, fifo),
    "empty": (TEST_IMAGES, reencoded(lambda _: b"")),
    "not gzip": (TEST_IMAGES, reencoded(lambda data: b"IDX!" + data)),
    "gzip cut off": (TEST_IMAGES, reencoded(lambda data: data[:-100])),
    "gzip damaged": (TEST_IMAGES, reencoded(lambda data: data[:-8] + bytes(8))),
    "gzip with more behind": (TRAIN_LABELS, reencoded(lambda data: data + b"more")),
    "header cut off": (TRAIN_LABELS, rewritten(lambda data: data[:7])),
    "truncated": (TRAIN_LABELS, rewritten(lambda data: data[:-1])),
    "trailing bytes": (TRAIN_LABELS, rewritten(lambda data: data + b"\0")),
    "magic": (TRAIN_LABELS, rewritten(lambda data: b"\0\0\x08\x03" + data[4:])),
    "counts": (TRAIN_LABELS, rewritten(lambda data: data[:4] + struct.pack(">I", 59_999) + data[8:])),
    "huge counts": (TEST_IMAGES, rewritten(lambda data: data[:4] + b"\xff" * 12 + data[16:])),
    "bomb": (TRAIN_LABELS, rewritten(lambda data: data + bytes(1 << 23))),
    "too large": (TRAIN_LABELS, reencoded(lambda data: data + bytes(200_000))),
    "label out of range": (TRAIN_LABELS, rewritten(lambda data: data[:100] + b"\x0a" + data[101:])),
    "another file": (TEST_IMAGES, other_kind),
    "other pixels": (TEST_IMAGES, rewritten(lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:])),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_file_is_named_with_what_is_wrong(folder: Path, case: str, golden: Golden) -> None:
    name, damage = BAD_FILES[case]
    damage(folder / name)
    with pytest.raises(DataError) as raised:
        dataset.FashionMnist().load(folder)
    assert raised.value.path == str(folder / name)
    said = str(raised.value)
    if isinstance(cause := raised.value.__cause__, zlib.error):
        said = said.replace(str(cause), "<reason>")
    # what a file is compressed to, and how far it can be read, depend on zlib
    said = re.sub(r"\b[0-9a-f]{64}\b", "<digest>", said)
    golden.says(re.sub(r"\b\d{7}\b", "<count>", said) if case == "gzip cut off" else said)


def test_hint_takes_no_long_look_at_a_large_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Golden
) -> None:
    looked = []

    @contextlib.contextmanager
    def scan(folder: str) -> Iterator[Iterator[Any]]:
        def entries() -> Iterator[Any]:
            for number in range(100_000):
                looked.append(number)
                yield SimpleNamespace(name=f"{number}.csv", path=f"{folder}/{number}.csv", is_dir=lambda **_: False,
                                      is_symlink=lambda: False)  # fmt: skip

        yield entries()

    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", scan)
        with pytest.raises(DataError) as raised:
            dataset.FashionMnist().load(tmp_path)
    assert raised.value.path == str(tmp_path / dataset.TRAIN.images.name)
    golden.says(str(raised.value))
    assert 1000 < len(looked) <= 10_000


def test_idx_of_any_shape() -> None:
    data = struct.pack(">3I", 0x0802, 2, 3) + bytes(range(6))
    np.testing.assert_array_equal(parse_idx(gzip.compress(data), (2, 3), "it"), [[0, 1, 2], [3, 4, 5]])


def test_reference_network_has_the_published_size() -> None:
    model = build((28, 28, 1), 10)
    assert model.count_params() == 356_234
    kinds = [type(layer).__name__ for layer in model.layers]
    block = ["Conv2D", "LeakyReLU", "MaxPooling2D", "Dropout"]
    assert kinds == [*block * 3, "Flatten", "Dense", "LeakyReLU", "Dropout", "Dense"]
    rates = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert rates == [0.25, 0.25, 0.4, 0.3]


@pytest.mark.parametrize("input_shape", [(28, 28, 1), (32, 32, 3), (7, 9, 2), (1, 1, 1)])
@pytest.mark.parametrize("num_classes", [2, 17])
def test_reference_network_takes_any_size(input_shape: tuple[int, int, int], num_classes: int) -> None:
    model = build(input_shape, num_classes, widths=(2, 3, 4), dense_width=5, dropout=0.1)
    probabilities = model.predict_on_batch(np.ones((3, *input_shape), np.float32))
    assert probabilities.shape == (3, num_classes)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_pooling_first_is_the_same_function() -> None:
    images = np.random.default_rng(0).random((4, 28, 28, 1), np.float32)
    outputs = []
    for pool_first in (False, True):
        keras.utils.set_random_seed(0)
        model = build((28, 28, 1), 10, pool_first=pool_first)
        assert model.count_params() == 356_234
        outputs.append(model.predict_on_batch(images))
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-6)
