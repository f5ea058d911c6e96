"""The data sets ``npz``, ``idx`` and ``digits``: arrays of one's own, and those that come with scikit-learn."""

from __future__ import annotations

import errno
import gzip
import json
import os
import pickle
import struct
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from zoo_images.digits import Digits
from zoo_images.idx import IdxFiles
from zoo_images.npz import NpzFile

import zoo
from zoo import DataError, Entry, Registry, Split

from .conftest import FashionSlice, Zoo

FASHION = FashionSlice(train=200, test=60).load(None)
IMAGES, LABELS = FASHION.train[np.arange(200)]
TEST_IMAGES, TEST_LABELS = FASHION.test[np.arange(60)]
Arrays = dict[str, NDArray[Any]]


def save(path: Path, **arrays: NDArray[Any]) -> Path:
    np.savez_compressed(path, allow_pickle=True, **arrays)
    return path


def sizes(split: Split) -> dict[str, int]:
    return {part: len(getattr(split, part) or ()) for part in ("train", "validation", "test")}


def test_npz_file_trains(run_zoo: Zoo, tmp_path: Path) -> None:
    path = save(tmp_path / "mine.npz", train_images=IMAGES[..., 0], train_labels=LABELS, test_images=TEST_IMAGES,
                test_labels=TEST_LABELS[:, None], class_names=np.array(FASHION.class_names))  # fmt: skip
    for data_dir in (path, tmp_path):
        out = tmp_path / "runs" / data_dir.name
        command = ["train", "fashion-cnn", "--dataset", "npz", "--data-dir", data_dir, "--epochs", "1", "--out", out]
        done = run_zoo(*command, "--set", "model.widths=2,2,2", "--json", "--quiet")
        assert done.status == 0, done.err
        assert json.loads(done.out)["dataset"] == {"name": "npz", "train": 179, "validation": 21, "test": 60}
    record = json.loads((out / "run.json").read_text())
    assert record["data"]["class_names"][9] == "Ankle boot"
    assert list(record["data"]["digests"]) == ["mine.npz"]
    assert run_zoo("test", out, "--data-dir", path, "--quiet").status == 0


SOUND: dict[str, tuple[Arrays, dict[str, int]]] = {
    "whole": ({"images": IMAGES, "labels": LABELS}, {"train": 144, "validation": 16, "test": 40}),
    "train": ({"train_images": IMAGES, "train_labels": LABELS}, {"train": 144, "validation": 16, "test": 40}),
    "validation": (
        {"train_images": IMAGES, "train_labels": LABELS,
         "validation_images": TEST_IMAGES[:9], "validation_labels": TEST_LABELS[:9]},
        {"train": 160, "validation": 9, "test": 40},
    ),
    "all": (
        {"train_images": IMAGES, "train_labels": LABELS, "test_images": TEST_IMAGES, "test_labels": TEST_LABELS,
         "validation_images": TEST_IMAGES[:9], "validation_labels": TEST_LABELS[:9]},
        {"train": 200, "validation": 9, "test": 60},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SOUND)
def test_npz_with_some_or_all_parts(tmp_path: Path, name: str) -> None:
    arrays, expected = SOUND[name]
    split = NpzFile().load(save(tmp_path / "a.npz", **arrays))
    found = sizes(split)
    assert {part: abs(found[part] - expected[part]) <= 5 for part in found} == dict.fromkeys(found, True)
    assert sum(found.values()) == sum(expected.values())
    assert split.class_names == tuple("0123456789")
    images, labels = split.train[np.arange(found["train"])]
    known = {image.tobytes(): label for image, label in zip(IMAGES, LABELS, strict=True)}
    assert all(known[image.tobytes()] == label for image, label in zip(images, labels, strict=True))
    again = NpzFile().load(tmp_path / "a.npz")
    assert again.digests == split.digests
    assert set(split.digests) == ({"a.npz"} if name == "all" else {"a.npz", "test"})
    if "validation_images" in arrays:
        assert split.validation is not None
        np.testing.assert_array_equal(split.validation[np.arange(9)][0], TEST_IMAGES[:9])
    if name != "all":  # other images are cut out
        assert NpzFile(test_share=0.1).load(tmp_path / "a.npz").digests["test"] != split.digests["test"]
    np.testing.assert_array_equal(again.train[np.arange(9)][0], images[:9])


def test_npz_in_the_order_of_fortran(tmp_path: Path) -> None:
    split = NpzFile(validation_share=0).load(
        save(tmp_path / "a.npz", train_images=np.asfortranarray(IMAGES), train_labels=LABELS,
             test_images=TEST_IMAGES, test_labels=TEST_LABELS)
    )  # fmt: skip
    np.testing.assert_array_equal(split.train[np.arange(200)][0], IMAGES)


FAULTY: dict[str, tuple[Arrays, str]] = {
    "nothing": ({}, "must hold train_images and train_labels, or images and labels"),
    "one": ({"images": IMAGES}, "must hold train_images and train_labels"),
    "odd": (
        {"images": IMAGES, "labels": LABELS, "y_test": LABELS, "x_test": IMAGES},
        "holds something else than .*: rename it or leave it out. Received: x_test, y_test$",
    ),
    "both": ({"images": IMAGES, "labels": LABELS, "train_images": IMAGES, "train_labels": LABELS}, "holds either"),
    "half": ({"train_images": IMAGES, "train_labels": LABELS, "test_images": IMAGES}, "one of test_images and test_l"),
    "scaled": ({"images": IMAGES / 255, "labels": LABELS}, r"images must be an array of uint8, .*\* 255\)\..*float64"),
    "wide": ({"images": IMAGES.astype(int), "labels": LABELS}, r"save images\.astype\('uint8'\)\. Received: .*int64"),
    "float labels": ({"images": IMAGES, "labels": LABELS * 1.0}, r"integers from 0: save labels\.astype\(int\)\. Rec"),
    "text labels": ({"images": IMAGES, "labels": LABELS.astype(str)}, "class_names, labels = numpy.unique"),
    "one-hot": ({"images": IMAGES, "labels": np.eye(10, dtype=int)[LABELS]}, r"take numpy\.argmax.*shape=\(200, 10\)"),
    "channels first": (
        {"images": np.repeat(np.moveaxis(IMAGES, 3, 1), 3, axis=1), "labels": LABELS},
        r"a\.npz, all images.*channels last.*numpy\.transpose\(images, \(0, 2, 3, 1\)\)\. .*=\(200, 3, 28, 28\)",
    ),
    "channel first": ({"images": np.moveaxis(IMAGES, 3, 1), "labels": LABELS}, r"first: turn .*=\(200, 1, 28, 28\)"),
    "objects": ({"images": IMAGES, "labels": np.array([print] * 200)}, "labels must be an array of integers"),
    "lengths": ({"images": IMAGES, "labels": LABELS[:-1]}, "one for each image"),
    "flat": ({"images": IMAGES.reshape(200, -1), "labels": LABELS}, "Images are an array"),
    "negative": ({"images": IMAGES, "labels": LABELS.astype(np.int64) - 1}, "without a class: leave .* -1 to 8$"),
    "far": ({"images": IMAGES, "labels": LABELS.astype(np.uint64) + 2**63}, "less than 65,536. Received: label=9223"),
    "names": ({"images": IMAGES, "labels": LABELS, "class_names": np.array(["a", "b"])},
              r"a\.npz: class_names must name every class, .* which go to 9\. Received: 2 names"),
    "few": (
        {"images": IMAGES[:3], "labels": np.array([0, 1, 1])},
        r"a\.npz, .*: Class '0' \(and 1 more\) has too few images: 3 that differ are needed in each, one to train on "
        r"and one each for test and validation, .*validation_share=0 --set validation=0\. Received: 1 that",
    ),
    "from one": (
        {"images": IMAGES[:30], "labels": np.arange(30) % 3 + 1},
        r"a\.npz, .*: no image has label 0: do labels begin at 1\? .*Received: labels from 1 to 3, 3 different",
    ),
    "a gap": (
        {"images": IMAGES[:30], "labels": np.arange(30) % 3 * 2},
        r"no image has label 1: Labels are 0, 1, 2 .*return_inverse=True\)\[1\] n.* 0 to 4, 3 different",
    ),
    "empty": ({"images": IMAGES[:0], "labels": LABELS[:0]}, r"a\.npz, .*: it holds no images"),
    "test of another size": (
        {"train_images": IMAGES, "train_labels": LABELS, "test_images": TEST_IMAGES[:, :20],
         "test_labels": TEST_LABELS},
        r"a\.npz, test_images.*: images must have the size \(28, 28, 1\), .* Received: \(20, 28, 1\)",
    ),
    "validation of another size": (
        {"train_images": IMAGES, "train_labels": LABELS, "validation_images": np.repeat(TEST_IMAGES, 3, axis=3),
         "validation_labels": TEST_LABELS},
        r"a\.npz, validation_images.*: images must have the size \(28, 28, 1\), .* Received: \(28, 28, 3\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTY)
def test_npz_that_is_not_as_it_must_be(tmp_path: Path, name: str) -> None:
    arrays, fault = FAULTY[name]
    with pytest.raises(DataError, match=fault):
        NpzFile().load(save(tmp_path / "a.npz", **arrays))


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (sys.exit, ("executed",))


def npy(shape: tuple[int, ...], content: bytes, descr: str = "|u1") -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


TWO_LABELS = {"labels.npy": npy((2,), b"01")}
HOSTILE: dict[str, tuple[dict[str, bytes], str]] = {
    "pickle": ({"images.npy": npy((1,), pickle.dumps(Bomb()), "|O"), **TWO_LABELS}, "must be an array of uint8"),
    "huge": ({"images.npy": npy((2**40, 28, 28), b""), **TWO_LABELS}, "more than a quarter of the memory"),
    "negative": ({"images.npy": npy((-1, 28, 28), b""), **TWO_LABELS}, r"images must have sizes.*=\(-1, 28, 28\)"),
    "less than none": (
        {"images.npy": npy((2**40, 28, 28), b""), "labels.npy": npy((-(2**40) * 784,), b"")},
        "labels must have sizes from 0",
    ),
    "short": ({"images.npy": npy((2, 2, 2), b"1234567"), **TWO_LABELS}, "images has fewer bytes than"),
    "long": ({"images.npy": npy((2, 2, 2), bytes(1 << 24)), **TWO_LABELS}, "images has more bytes than"),
    "header": ({"images.npy": npy((2,), b"")[:20], **TWO_LABELS}, "is not a sound .npz file"),
    "path": ({"../../images.npy": npy((2,), b"01"), **TWO_LABELS}, "holds something else"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_npz_of_a_stranger(tmp_path: Path, name: str) -> None:
    members, fault = HOSTILE[name]
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    with pytest.raises(DataError, match=fault):
        NpzFile().load(tmp_path / "a.npz")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_npz_that_inflates_without_bound_is_refused(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", method) as archive:
        archive.writestr("images.npy", npy((20, 8, 8), bytes(1 << 26)))
        archive.writestr("labels.npy", npy((20,), bytes(range(2)) * 10))
    tracemalloc.start()
    with pytest.raises(DataError, match=r"images is packed in a way that numpy\.savez does not use"):
        NpzFile().load(tmp_path / "a.npz")
    assert tracemalloc.get_traced_memory()[1] < 1 << 25
    tracemalloc.stop()


def test_npz_of_which_a_share_leaves_nothing(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", images=IMAGES[:8], labels=np.arange(8) % 2)
    with pytest.raises(DataError, match=r"A share of 0\.9 for test leaves no image of class '0' .*: 4 images"):
        NpzFile(test_share=0.9).load(path)


def test_classes_without_training_images_are_told_where_nothing_is_cut(tmp_path: Path) -> None:
    parts: Arrays = {}
    for part in ("train", "test", "validation"):
        parts |= {f"{part}_images": IMAGES[:30], f"{part}_labels": np.arange(30) % 3 * 2}
    with pytest.raises(DataError, match="train_images and labels: no image has label 1"):
        NpzFile().load(save(tmp_path / "a.npz", **parts))


def test_npy_file_is_told_from_a_damaged_one(tmp_path: Path, run_zoo: Zoo) -> None:
    np.save(tmp_path / "mine.npy", IMAGES)
    command = ["run", "fashion-cnn", "--dataset", "npz", "--out", tmp_path / "run"]
    done = run_zoo(*command, "--data-dir", tmp_path / "mine.npy")
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert "mine.npy is one array, as numpy.save writes it" in done.err
    assert "numpy.savez('mine.npz', images=images, labels=labels)" in done.err
    with pytest.raises(DataError, match="is one array"):
        NpzFile().load(tmp_path / "mine.npy")


def test_npz_damaged_or_missing(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", images=IMAGES, labels=LABELS)
    content = bytearray(path.read_bytes())
    content[2000:2100] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"is not a sound \.npz file"):
        NpzFile().load(path)
    path.write_bytes(content[:500])
    with pytest.raises(DataError, match=r"is not a sound \.npz file: File is not a zip file"):
        NpzFile().load(path)
    save(tmp_path / "b.npz", images=IMAGES, labels=LABELS)
    with pytest.raises(DataError, match=r"must hold one .npz file.*\['a.npz', 'b.npz'\]"):
        NpzFile().load(tmp_path)
    with pytest.raises(DataError, match=r"give their file, --data-dir FILE\.npz"):
        NpzFile().load(None)


def test_only_what_takes_a_file_gets_one(tmp_path: Path, registry: Registry) -> None:
    path = save(tmp_path / "a.npz", images=IMAGES, labels=LABELS)
    for dataset, fault in (
        ("fashion-mnist", "The dataset fashion/fashion-mnist reads a folder, and the path is that of something else"),
        ("npz", "The dataset images/npz reads a folder or a file, and the path cannot be followed: No such file"),
    ):
        data_dir = path if dataset == "fashion-mnist" else tmp_path / "nowhere"
        with pytest.raises(DataError, match=fault):
            zoo.train("small", dataset=dataset, data_dir=data_dir, registry=registry, out=tmp_path / "run")


def test_path_that_cannot_be_followed_is_told_why(
    tmp_path: Path, run_zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dangling").symlink_to("gone")
    (tmp_path / "round").symlink_to("round")
    look = os.stat

    def refuse(path: Any, *arguments: Any, **options: Any) -> os.stat_result:
        if str(path).endswith("locked/data"):  # which would stop no superuser
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return look(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", refuse)
    for name, reason in (
        ("dangling", "No such file or directory"),
        ("round", "Too many levels of symbolic links"),
        ("locked/data", "Permission denied"),
        ("n" * 300, "File name too long"),
    ):
        done = run_zoo("run", "small", "--data-dir", tmp_path / name)
        assert (done.status, done.err.count("\n")) == (1, 1)
        assert f"reads a folder, and the path cannot be followed: {reason}. Received: data_dir=" in done.err


@pytest.mark.parametrize("name", ["takes_file", "needs_data_dir", "image_input"])
def test_data_set_that_does_not_say_what_it_reads_is_blamed(
    tmp_path: Path, registry: Registry, run_zoo: Zoo, name: str
) -> None:
    class Odd(FashionSlice):
        pass

    def fail(_: Odd) -> bool:
        raise RuntimeError("not today")

    registry.datasets.add(Entry(name="odd", target=Odd, summary="Says nothing sensible."))
    if name == "image_input":  # is asked for when images are predicted
        command = ["predict", zoo.train("small", dataset="odd", registry=registry, out=tmp_path / "run").path]
        command = [*command, write_image(tmp_path / "a.png")]
    else:
        command = ["run", "small", "--dataset", "odd", *(["--data-dir", tmp_path] if name == "takes_file" else [])]
    setattr(Odd, name, property(fail))
    done = run_zoo(*command)
    assert (done.status, done.out) == (1, "")
    assert f"The dataset local/odd failed to say its {name}: RuntimeError: not today" in done.err
    setattr(Odd, name, lambda _: True)
    done = run_zoo(*command)
    assert (done.status, done.out) == (1, "")
    assert f"The {name} of dataset local/odd must be " in done.err
    assert "Received: <" in done.err


def write_image(path: Path) -> Path:
    Image.fromarray(IMAGES[0, ..., 0]).save(path)
    return path


def idx(array: NDArray[np.uint8]) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx(folder: Path, *, packed: bool = False, test: str = "t10k", dot: str = "-") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for part, images, labels in (("train", IMAGES, LABELS), (test, TEST_IMAGES, TEST_LABELS)):
        for name, array in ((f"images{dot}idx3", images[..., 0]), (f"labels{dot}idx1", labels.astype(np.uint8))):
            content = gzip.compress(idx(array)) if packed else idx(array)
            (folder / f"{part}-{name}-ubyte{'.gz' if packed else ''}").write_bytes(content)
    return folder


@pytest.mark.parametrize("form", [{}, {"packed": True}, {"test": "test", "dot": "."}])
def test_idx_files_are_read(tmp_path: Path, form: dict[str, Any]) -> None:
    split = IdxFiles(validation_share=0).load(write_idx(tmp_path, **form))
    for examples, images, labels in ((split.train, IMAGES, LABELS), (split.test, TEST_IMAGES, TEST_LABELS)):
        found = examples[np.arange(len(examples))]
        np.testing.assert_array_equal(found[0], images)
        np.testing.assert_array_equal(found[1], labels)
    assert len(split.digests) == 4
    assert sizes(IdxFiles().load(tmp_path)) == {"train": 179, "validation": 21, "test": 60}


def test_idx_files_in_colour(tmp_path: Path) -> None:
    write_idx(tmp_path)
    for part, images in (("train", IMAGES), ("t10k", TEST_IMAGES)):
        (tmp_path / f"{part}-images-idx3-ubyte").unlink()
        (tmp_path / f"{part}-images-idx4-ubyte").write_bytes(idx(np.repeat(images, 3, axis=3)))
    assert IdxFiles().load(tmp_path).train[np.arange(2)][0].shape == (2, 28, 28, 3)


BAD_IDX: dict[str, tuple[str, bytes, str]] = {
    "magic": ("train-images-idx3-ubyte", b"\0\0\x0d\x03" + bytes(20), "no IDX file of bytes .* magic=3331"),
    "empty": ("t10k-labels-idx1-ubyte", b"", "Received: magic=0 bytes"),
    "header": ("train-images-idx3-ubyte", b"\0\0\x08\x03\0\0", "ends within its header"),
    "huge": ("train-images-idx3-ubyte", b"\0\0\x08\x03" + b"\xff" * 12, "more than an eighth of the memory"),
    "short": ("train-labels-idx1-ubyte", idx(LABELS.astype(np.uint8))[:-1], "has fewer bytes than .*: 200"),
    "long": ("train-labels-idx1-ubyte", idx(LABELS.astype(np.uint8)) + b"0", "has more bytes than .*: 200"),
    "label": ("t10k-labels-idx1-ubyte", idx(np.full(60, 10, np.uint8)), "test files: Labels are from 0 to 9"),
    "lengths": ("t10k-labels-idx1-ubyte", idx(np.zeros(59, np.uint8)), "one for each image"),
    "size": ("t10k-images-idx3-ubyte", idx(TEST_IMAGES[:, :20, :, 0]), r"test files: images must .* \(20, 28, 1\)"),
    "gzip": ("train-images-idx3-ubyte.gz", b"not gzip at all", "Not a gzipped file"),
    "damaged": ("train-images-idx3-ubyte.gz", gzip.compress(idx(IMAGES[..., 0]))[:-100], "Compressed file ended"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_IDX)
def test_idx_file_that_is_not_as_it_must_be(tmp_path: Path, name: str) -> None:
    file, content, fault = BAD_IDX[name]
    write_idx(tmp_path)
    (tmp_path / file.removesuffix(".gz")).unlink()
    (tmp_path / file).write_bytes(content)
    with pytest.raises(DataError, match=fault):
        IdxFiles().load(tmp_path)


def test_idx_files_missing_or_twice(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"has no file train-images-idx3-ubyte\[\.gz\]\. The data set idx is four files"
    ):
        IdxFiles().load(tmp_path)
    write_idx(tmp_path)
    write_idx(tmp_path, packed=True)
    with pytest.raises(DataError, match="has several of"):
        IdxFiles().load(tmp_path)
    with pytest.raises(DataError, match="give their folder, --data-dir DIR"):
        IdxFiles().load(None)


def test_digits_are_those_of_scikit_learn_and_cut_the_same_every_time() -> None:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    known = {
        (np.rint(image * 255 / 16)).astype(np.uint8).tobytes(): label
        for image, label in zip(*[bunch.images, bunch.target], strict=True)
    }
    split = Digits().load(None)
    assert sum(sizes(split).values()) == 1797
    assert [sizes(split)[part] for part in ("test", "validation")] == pytest.approx([359, 144], abs=5)
    seen = 0
    for part in (split.train, split.validation, split.test):
        assert part is not None
        images, labels = part[np.arange(len(part))]
        assert images.shape[1:] == (8, 8, 1)
        assert images.max() == 255
        assert min(np.bincount(labels)) >= 0.9 * max(np.bincount(labels)) - 3
        seen += sum(known[image.tobytes()] == label for image, label in zip(images, labels, strict=True))
    assert seen == 1797
    again = Digits().load(None)
    np.testing.assert_array_equal(again.test[np.arange(50)][0], split.test[np.arange(50)][0])
    assert again.digests == split.digests


def test_digits_train(run_zoo: Zoo, tmp_path: Path) -> None:
    command = [
        "run",
        "fashion-cnn",
        "--dataset",
        "digits",
        "--epochs",
        "4",
        "--out",
        tmp_path / "run",
        "--json",
        "--quiet",
    ]
    settings = ["--set", "model.widths=8,8,8", "--set", "trainer.learning_rate=0.01", "--set", "model.dropout=0.0"]
    done = run_zoo(*command, *settings)
    assert done.status == 0, done.err
    assert json.loads(done.out)["test"]["accuracy"] > 0.8


def test_digits_need_their_library_and_no_folder(tmp_path: Path, run_zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="leave data_dir out"):
        Digits().load(tmp_path)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    done = run_zoo("run", "fashion-cnn", "--dataset", "digits", "--out", tmp_path / "run", "--quiet")
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert 'The data set digits needs an extra of keras-zoo: pip install "keras-zoo[digits]"' in done.err
    assert "digits" in run_zoo("list", "datasets").out
