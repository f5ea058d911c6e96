"""CIFAR in its binary version and SVHN's MAT files: read as published, everything else refused."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import savemat
from zoo_images.arrays.cifar import Cifar
from zoo_images.arrays.svhn import Svhn

from tests.support.command_line import Zoo
from tests.support.golden import Golden
from zoo import DataError, Dataset
from zoo.errors import ZooWarning
from zoo.interfaces import Examples

RANDOM = np.random.default_rng(0)
TRAIN_IMAGES = RANDOM.integers(0, 256, (200, 32, 32, 3), np.uint8)
TEST_IMAGES = RANDOM.integers(0, 256, (100, 32, 32, 3), np.uint8)
TRAIN_LABELS, TEST_LABELS = (np.arange(n, dtype=np.uint8) % 10 for n in (200, 100))
FINE = {n: np.arange(n, dtype=np.uint8) % 100 for n in (200, 100)}


def never(*_: object) -> None:
    raise AssertionError("Keras was waited for")


def records(images: NDArray[np.uint8], *labels: NDArray[np.uint8]) -> bytes:
    planes = np.moveaxis(images, 3, 1).reshape(len(images), -1)
    return np.concatenate([*(each[:, None] for each in labels), planes], axis=1).tobytes()


def write_cifar_10(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(5):
        part = slice(40 * i, 40 * i + 40)
        (folder / f"data_batch_{i + 1}.bin").write_bytes(records(TRAIN_IMAGES[part], TRAIN_LABELS[part]))
    (folder / "test_batch.bin").write_bytes(records(TEST_IMAGES, TEST_LABELS))
    return folder


def write_cifar_100(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, images in (("train", TRAIN_IMAGES), ("test", TEST_IMAGES)):
        fine = FINE[len(images)]
        (folder / f"{name}.bin").write_bytes(records(images, fine // 5, fine))
    return folder


def write_svhn(folder: Path, **options: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, images, labels in (("train", TRAIN_IMAGES, TRAIN_LABELS), ("test", TEST_IMAGES, TEST_LABELS)):
        write_mat(folder / f"{name}_32x32.mat", images, labels, **options)
    return folder


def write_mat(path: Path, images: NDArray[np.uint8], labels: NDArray[Any], **options: Any) -> None:
    digits = np.where(labels == 0, 10, labels)[:, None].astype(float)
    savemat(path, {"X": images.transpose(1, 2, 3, 0), "y": digits}, **{"do_compression": True, **options})


def assert_is(examples: Examples, images: NDArray[np.uint8], labels: NDArray[Any]) -> None:
    found = examples[np.arange(len(examples))]
    np.testing.assert_array_equal(found[0], images)
    np.testing.assert_array_equal(found[1], labels)


@pytest.mark.parametrize("inner", ["", "cifar-10-batches-bin"])
def test_cifar_10(tmp_path: Path, inner: str) -> None:
    folder = write_cifar_10(tmp_path / inner)
    split = Cifar(validation_share=0).load(tmp_path)
    assert_is(split.train, TRAIN_IMAGES, TRAIN_LABELS)
    assert_is(split.test, TEST_IMAGES, TEST_LABELS)
    assert (split.class_names[0], split.class_names[9], len(split.digests)) == ("airplane", "truck", 6)
    (folder / "batches.meta.txt").write_text("\n".join("abcdefghij") + "\n\n")
    assert Cifar().load(tmp_path).class_names == tuple("abcdefghij")
    (folder / "batches.meta.txt").write_text("\n".join("bcdefghijk"), encoding="utf-8-sig")
    assert Cifar().load(tmp_path).class_names == tuple("bcdefghijk")


def test_cifar_100(tmp_path: Path) -> None:
    write_cifar_100(tmp_path / "cifar-100-binary")
    split = Cifar(validation_share=0).load(tmp_path)
    assert_is(split.train, TRAIN_IMAGES, FINE[200])
    assert split.class_names == tuple(map(str, range(100)))
    (tmp_path / "cifar-100-binary" / "coarse_label_names.txt").write_text("\n".join(f"class {i}" for i in range(20)))
    split = Cifar(validation_share=0, labels="coarse").load(tmp_path)
    assert_is(split.test, TEST_IMAGES, FINE[100] // 5)
    assert split.class_names[19] == "class 19"


BAD_CIFAR: dict[str, tuple[str, bytes | None]] = {
    "missing": ("data_batch_3.bin", None),
    "short": ("data_batch_2.bin", bytes(3072)),
    "empty": ("test_batch.bin", b""),
    "page": ("data_batch_1.bin", b"<!DOCTYPE html>"),
    "label": ("data_batch_1.bin", records(TRAIN_IMAGES[:9], TRAIN_LABELS[:9] + 7)),
    "few names": ("batches.meta.txt", b"cat\ndog\n"),
    "control characters": ("batches.meta.txt", b"\x1b[31m\n" + b"\n".join(b"abcdefghi"[i : i + 1] for i in range(9))),
}


@pytest.mark.parametrize("name", BAD_CIFAR)
def test_cifar_that_is_not_as_it_must_be(tmp_path: Path, name: str, golden: Golden) -> None:
    file, content = BAD_CIFAR[name]
    path = write_cifar_10(tmp_path) / file
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with golden.raises(DataError, path=str(tmp_path if content is None else path)):
        Cifar().load(tmp_path)


def test_cifar_in_other_forms_is_refused_by_name(
    tmp_path: Path, run_zoo: Zoo, golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.cli.run.import_keras", never)
    (tmp_path / "nothing").mkdir()
    (tmp_path / "python").mkdir()
    (tmp_path / "python" / "data_batch_1").write_bytes(b"\x80\x02}q\x01.")
    (tmp_path / "archive" / "cifar-100-python").mkdir(parents=True)
    (tmp_path / "classes" / "train").mkdir(parents=True)  # of images, not of pickles
    write_cifar_10(tmp_path / "both" / "cifar-10-batches-bin")
    write_cifar_100(tmp_path / "both" / "cifar-100-binary")
    for name in ("nothing", "python", "archive", "classes", "both"):
        done = run_zoo(
            "run", "fashion-cnn", "--dataset", "cifar", "--data-dir", tmp_path / name, "--out", tmp_path / "a"
        )
        assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
        golden.says(done.err)
    with golden.raises(DataError, path=str(tmp_path / "both/cifar-10-batches-bin")):
        Cifar(labels="coarse").check_data_dir(tmp_path / "both/cifar-10-batches-bin")


@pytest.mark.parametrize("dataset", [Cifar(), Svhn()])
def test_data_dir_is_needed(dataset: Dataset, golden: Golden) -> None:
    with golden.raises(DataError, path=None):
        dataset.load(None)


@pytest.mark.parametrize("is_compressed", [True, False])
def test_svhn(tmp_path: Path, is_compressed: bool) -> None:
    write_svhn(tmp_path, do_compression=is_compressed)
    split = Svhn(validation_share=0).load(tmp_path)
    assert_is(split.train, TRAIN_IMAGES, TRAIN_LABELS)
    assert_is(split.test, TEST_IMAGES, TEST_LABELS)
    assert split.class_names == tuple("0123456789")
    assert len(split.digests) == 2
    write_mat(tmp_path / "extra_32x32.mat", TEST_IMAGES[:7] // 2, TEST_LABELS[:7])
    assert len(Svhn(validation_share=0).load(tmp_path).train) == 200
    split = Svhn(validation_share=0, extra=True).load(tmp_path)
    assert_is(
        split.train, np.concatenate([TRAIN_IMAGES, TEST_IMAGES[:7] // 2]), np.array([*TRAIN_LABELS, *TEST_LABELS[:7]])
    )
    assert len(split.digests) == 3


def test_svhn_of_a_big_endian_machine(tmp_path: Path) -> None:
    write_svhn(tmp_path)
    (tmp_path / "test_32x32.mat").write_bytes(mat(TEST_IMAGES, TEST_LABELS, ">"))
    assert_is(Svhn(validation_share=0).load(tmp_path).test, TEST_IMAGES, TEST_LABELS)


def test_copies_in_svhn_are_warned_of(tmp_path: Path, golden: Golden) -> None:
    write_svhn(tmp_path)
    write_mat(tmp_path / "test_32x32.mat", TRAIN_IMAGES[:100], TEST_LABELS)
    with golden.warns(ZooWarning):
        Svhn().load(tmp_path)


def element(kind: int, content: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}II", kind, len(content)) + content + bytes(-len(content) % 8)


def variable(
    name: str, sizes: tuple[int, ...], content: bytes, *, kind: int = 2, code: int = 9, order: str = "<", size: int = -1
) -> bytes:
    """Return an array element; ``size`` is what it declares to hold instead of what it does."""
    values = struct.pack(f"{order}II", kind, len(content) if size < 0 else size) + content + bytes(-len(content) % 8)
    parts = [
        element(6, struct.pack(f"{order}II", code, 0), order),
        element(5, struct.pack(f"{order}{len(sizes)}i", *sizes), order),
        element(1, name.encode(), order),
        values,
    ]
    return element(14, b"".join(parts), order)


def header(order: str = "<") -> bytes:
    return b"MATLAB 5.0 MAT-file".ljust(124) + (b"\x00\x01IM" if order == "<" else b"\x01\x00MI")


def mat(images: NDArray[np.uint8], labels: NDArray[np.uint8], order: str) -> bytes:
    """Return a MAT file of images and labels."""
    values = images.transpose(0, 3, 2, 1)  # in the order of the file
    return b"".join(
        (
            header(order),
            variable("X", values.shape[::-1], values.tobytes(), order=order),
            variable("y", (len(labels), 1), labels.tobytes(), order=order),
        )
    )


def packed(data: bytes) -> bytes:
    compressed = zlib.compress(data)
    return struct.pack("<II", 15, len(compressed)) + compressed


LABEL = variable("y", (1, 1), b"\1")
PIXELS = variable("X", (2, 2, 3, 1), bytes(12))
HOSTILE = {
    "nothing": b"",
    "page": b"<html>",
    "header": header()[:60],
    "version 7.3": b"MATLAB 7.3 MAT-file".ljust(128),
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(200),
    "version": header()[:124] + b"\0\2IM" + PIXELS + LABEL,
    "no variables": header(),
    "other variables": header() + variable("a", (1, 1), b"\1") + LABEL,
    "sizes": header() + variable("X", (2, 2), bytes(4)) + LABEL,
    "huge": header() + variable("X", (1 << 30, 1 << 30, 3, 1), b"", size=0) + LABEL,
    "negative": header() + variable("X", (-2, -2, 3, 1), bytes(12)) + LABEL,
    "twice": header() + PIXELS + PIXELS,
    "many": header() + b"".join(variable(f"v{i}", (1, 1), b"\1") for i in range(99)),
    "cell": header() + variable("X", (2, 2, 3, 1), bytes(12), code=1) + LABEL,
    "object": header() + variable("X", (2, 2, 3, 1), bytes(12), code=3) + LABEL,
    "complex": header() + variable("X", (2, 2, 3, 1), bytes(12), code=9 | 0x0800) + LABEL,
    "text": header() + variable("X", (2, 2, 3, 1), bytes(24), kind=17) + LABEL,
    "long name": header() + variable("X" * 5000, (2, 2, 3, 1), bytes(12)) + LABEL,
    "control characters": header() + variable("\x1b[31m", (1, 1), b"\1") + LABEL,
    "not an array": header() + element(9, bytes(64)),
    "truncated": header() + PIXELS + variable("y", (1, 1), b"\1")[:-16],
    "truncated values": header() + LABEL + PIXELS[:-8],
    "not compressed": header() + struct.pack("<II", 15, 64) + bytes(64),
    "truncated stream": header() + packed(LABEL) + packed(PIXELS)[:-8],
    "checksum": header() + packed(LABEL) + packed(PIXELS)[:-1] + b"\0",
    "more in the stream": header() + packed(LABEL) + packed(PIXELS + bytes(64)),
    "bomb": header() + packed(LABEL) + packed(PIXELS + bytes(1 << 26)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_mat_file_of_a_stranger(tmp_path: Path, name: str, golden: Golden) -> None:
    path = write_svhn(tmp_path) / "train_32x32.mat"
    path.write_bytes(HOSTILE[name])
    (tmp_path / "test_32x32.mat").write_bytes(HOSTILE[name])  # with images of the same size
    tracemalloc.start()
    with pytest.raises(DataError) as raised:
        Svhn().load(tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()
    assert raised.value.path == str(path)
    if raised.value.__cause__ is None:  # else in words of the library
        golden.says(str(raised.value))


@pytest.mark.parametrize("digits", [[0, 10], [11], [1.5], [np.nan], [-1]])
def test_labels_that_are_not_digits_are_refused(tmp_path: Path, digits: list[float]) -> None:
    path = write_svhn(tmp_path) / "test_32x32.mat"
    labels = np.resize(np.array(digits), 100)[:, None]
    savemat(path, {"X": TEST_IMAGES.transpose(1, 2, 3, 0), "y": labels})
    with pytest.raises(DataError) as raised:
        Svhn().load(tmp_path)
    assert raised.value.path == str(path)


def test_svhn_that_does_not_fit_is_told_from_its_header(
    tmp_path: Path, run_zoo: Zoo, golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.cli.run.import_keras", never)
    monkeypatch.setattr("zoo_images.arrays.stored_arrays.usable_memory", lambda: 1 << 32)
    count = 1 << 19
    size = count * 3072
    start = PIXELS[8 : 8 + 16 + 16]  # flags, and the tag of the sizes
    with (write_svhn(tmp_path) / "train_32x32.mat").open("wb") as file:
        file.write(header() + variable("y", (count, 1), bytes(count)))
        inner = start[:16] + element(5, struct.pack("<4i", 32, 32, 3, count)) + element(1, b"X")
        file.write(struct.pack("<II", 14, len(inner) + 8 + size) + inner + struct.pack("<II", 2, size))
        file.truncate(file.tell() + size)
    for arguments in (["--data-dir", tmp_path], ["--data-dir", tmp_path, "--set", "dataset.extra=true"]):
        done = run_zoo("run", "fashion-cnn", "--dataset", "svhn", *arguments, "--out", tmp_path / "run")
        assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
        golden.says(done.err)


def test_svhn_needs_both_files(tmp_path: Path, golden: Golden) -> None:
    (write_svhn(tmp_path) / "test_32x32.mat").unlink()
    with golden.raises(DataError, path=str(tmp_path)):
        Svhn().check_data_dir(tmp_path)
