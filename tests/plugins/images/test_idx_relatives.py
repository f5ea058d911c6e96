"""IDX files as downloaders leave them, and sets made like MNIST: EMNIST, QMNIST, the folders of torchvision."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from zoo_images.arrays.idx import IdxFiles

from tests.support.command_line import Zoo
from tests.support.golden import Golden
from zoo import DataError, Split
from zoo.errors import ZooWarning

RANDOM = np.random.default_rng(0)
PARTS = ("train", "t10k")
IMAGES = {part: RANDOM.integers(0, 256, (n, 6, 5), np.uint8) for part, n in zip(PARTS, (60, 12), strict=True)}
LABELS = {part: np.arange(len(images), dtype=np.uint8) % 4 for part, images in IMAGES.items()}
CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def idx(array: NDArray[Any]) -> bytes:
    header = bytes([0, 0, CODES[array.dtype.str[1:]], array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write(
    folder: Path, prefix: str = "", *, test: str = "t10k", first: int = 0, end: str = "", is_turned: bool = False
) -> Path:
    """Write four files; return their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, images in IMAGES.items():
        name = f"{prefix}{part if part == 'train' else test}"
        stored = images.swapaxes(1, 2) if is_turned else images
        (folder / f"{name}-images-idx3-ubyte{end}").write_bytes(idx(stored))
        (folder / f"{name}-labels-idx1-ubyte{end}").write_bytes(idx(LABELS[part] + first))
    return folder


def assert_is_plain(split: Split) -> None:
    for examples, part in ((split.train, "train"), (split.test, "t10k")):
        images, labels = examples[np.arange(len(examples))]
        np.testing.assert_array_equal(images, IMAGES[part][..., None])
        np.testing.assert_array_equal(labels, LABELS[part])


def test_file_and_its_compressed_copy_are_one(tmp_path: Path) -> None:
    write(tmp_path)
    plain = IdxFiles().load(tmp_path)
    for path in list(tmp_path.iterdir()):
        (tmp_path / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    both = IdxFiles().load(tmp_path)
    assert both.digests == plain.digests
    np.testing.assert_array_equal(both.train[np.arange(9)][0], plain.train[np.arange(9)][0])


@pytest.mark.parametrize("is_packed", [True, False])
def test_compression_is_told_by_content(tmp_path: Path, is_packed: bool) -> None:
    for path in write(tmp_path, end="" if is_packed else ".gz").iterdir():
        path.write_bytes(gzip.compress(path.read_bytes()) if is_packed else path.read_bytes())
    assert_is_plain(IdxFiles(validation_share=0).load(tmp_path))


def test_web_page_is_called_one(tmp_path: Path, run_zoo: Zoo, golden: Golden) -> None:
    for path in write(tmp_path, end=".gz").iterdir():
        path.write_bytes(b"\xef\xbb\xbf\n<HTML><body>Forbidden</body></HTML>")
    done = run_zoo("run", "fashion-cnn", "--dataset", "idx", "--data-dir", tmp_path, "--out", tmp_path / "run")
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    golden.says(done.err)


def test_emnist_is_turned_upright_and_named(tmp_path: Path) -> None:
    write(tmp_path, "emnist-letters-", test="test", first=1, is_turned=True)
    mapping = tmp_path / "emnist-letters-mapping.txt"
    mapping.write_text("1 65 97\n2 66 98\n3 67 99\n4 68 100\n")
    split = IdxFiles(validation_share=0).load(tmp_path)
    assert_is_plain(split)
    assert split.class_names == ("A", "B", "C", "D")
    mapping.unlink()
    write(tmp_path / "balanced", "emnist-balanced-", test="test", is_turned=True)
    (tmp_path / "balanced/emnist-balanced-mapping.txt").write_text("0 48\n1 49\n2 65\n3 97\n", encoding="utf-8-sig")
    split = IdxFiles(validation_share=0).load(tmp_path / "balanced")
    assert_is_plain(split)
    assert split.class_names == ("0", "1", "A", "a")


def test_letters_without_names_are_numbered_as_they_were(tmp_path: Path, golden: Golden) -> None:
    with golden.warns(ZooWarning):
        split = IdxFiles(validation_share=0).load(write(tmp_path, "emnist-letters-", first=1, is_turned=True))
    assert_is_plain(split)
    assert split.class_names == ("1", "2", "3", "4")


@pytest.mark.parametrize("text", ["", "0 65 66\n2 66", "0 A", "0", "0 -1", "0 65\n1 65", "0 7", "0 9999999999999"])
def test_mapping_that_is_not_one_is_refused(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, "emnist-digits-", is_turned=True) / "emnist-digits-mapping.txt"
    path.write_text(text)
    with pytest.raises(DataError) as raised:
        IdxFiles().load(tmp_path)
    assert raised.value.path in (str(path), str(tmp_path))


def test_qmnist_has_the_class_in_the_first_of_eight_columns(tmp_path: Path) -> None:
    write(tmp_path, "qmnist-", test="test")
    for part, labels in LABELS.items():
        name = f"qmnist-{'train' if part == 'train' else 'test'}-labels-idx"
        (tmp_path / f"{name}1-ubyte").unlink()
        columns = np.stack([labels.astype(np.int32), *RANDOM.integers(0, 9999, (7, len(labels)), np.int32)], axis=1)
        (tmp_path / f"{name}2-int.gz").write_bytes(gzip.compress(idx(columns)))
    split = IdxFiles(validation_share=0).load(tmp_path)
    assert_is_plain(split)
    assert split.train[np.arange(2)][1].dtype.isnative


@pytest.mark.parametrize("kind", ["i1", "i2", "i4"])
def test_labels_of_other_integers(tmp_path: Path, kind: str) -> None:
    write(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(LABELS["train"].astype(kind)))
    assert_is_plain(IdxFiles(validation_share=0).load(tmp_path))


@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_images_of_floating_point_numbers_are_converted(tmp_path: Path, kind: str, golden: Golden) -> None:
    write(tmp_path)
    for part, images in IMAGES.items():
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx((images / 255).astype(kind)))
    with golden.warns(ZooWarning):
        assert_is_plain(IdxFiles(validation_share=0).load(tmp_path))


@pytest.mark.parametrize("folder", ["MNIST/raw", "raw", "gzip"])
def test_folders_of_downloaders_are_looked_into(tmp_path: Path, folder: str) -> None:
    write(tmp_path / folder)
    (tmp_path / "MNIST.zip").write_bytes(b"")
    assert_is_plain(IdxFiles(validation_share=0).load(tmp_path))


def test_one_of_several_sets_is_chosen(tmp_path: Path, golden: Golden) -> None:
    write(tmp_path / "MNIST/raw")
    write(tmp_path / "FashionMNIST/raw", first=0)
    for name in ("letters", "digits"):
        write(tmp_path / "EMNIST/raw", f"emnist-{name}-", test="test", is_turned=True)
    for subset in ("", "kuzushiji", "MNIST/letters"):
        with golden.raises(DataError, path=str(tmp_path)):
            IdxFiles(subset=subset).check_data_dir(tmp_path)
    for subset in ("letters", "emnist-letters", "EMNIST/emnist-letters", "MNIST", "FashionMNIST"):
        assert_is_plain(IdxFiles(subset=subset, validation_share=0).load(tmp_path))
    # as before: of files in the folder itself, those without a prefix
    write(tmp_path)
    write(tmp_path, "qmnist-", first=1)
    assert_is_plain(IdxFiles(validation_share=0).load(tmp_path))
    with pytest.warns(ZooWarning):  # of labels from 1
        assert IdxFiles(subset="qmnist", validation_share=0).load(tmp_path).class_names == ("1", "2", "3", "4")


def test_set_of_which_a_file_is_missing_is_told_apart(tmp_path: Path, golden: Golden) -> None:
    write(tmp_path / "MNIST/raw")
    (write(tmp_path / "EMNIST/raw", "emnist-letters-") / "emnist-letters-t10k-labels-idx1-ubyte").unlink()
    assert_is_plain(IdxFiles(validation_share=0).load(tmp_path))
    with golden.raises(DataError, path=str(tmp_path / "EMNIST/raw")):
        IdxFiles(subset="letters").check_data_dir(tmp_path)


def test_copies_in_idx_files_are_warned_of(tmp_path: Path, golden: Golden) -> None:
    write(tmp_path)
    images = IMAGES["t10k"].copy()
    images[0] = IMAGES["train"][0]
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(images))
    with golden.warns(ZooWarning):
        IdxFiles().load(tmp_path)


def never(*_: object) -> None:
    raise AssertionError("Keras was waited for")


def test_sparse_file_that_does_not_fit_is_told_from_its_header(
    tmp_path: Path, run_zoo: Zoo, golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.cli.run.import_keras", never)
    monkeypatch.setattr("zoo_images.arrays.stored_arrays.usable_memory", lambda: 1 << 36)
    write(tmp_path)
    count = 1 << 30
    for kind, sizes in (("images", (count, 28, 28)), ("labels", (count,))):
        path = tmp_path / f"train-{kind}-idx{len(sizes)}-ubyte"
        with path.open("wb") as file:
            file.write(bytes([0, 0, 8, len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes))
            file.truncate(1 << 34)
    done = run_zoo("run", "fashion-cnn", "--dataset", "idx", "--data-dir", tmp_path, "--out", tmp_path / "run")
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    golden.says(done.err)
