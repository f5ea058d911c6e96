"""The datasets ``npz``, ``idx`` and ``digits``: arrays of one's own, and those that come with scikit-learn."""

from __future__ import annotations

import errno
import gzip
import json
import os
import pickle
import struct
import sys
import tracemalloc
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from zoo_images.arrays.digits import Digits
from zoo_images.arrays.idx import IdxFiles
from zoo_images.arrays.npz import NpzFile

import zoo
from tests.support.command_line import Zoo
from tests.support.golden import Golden
from tests.support.small_recipe import FashionSlice
from zoo import DataError, Entry, Registry, Split
from zoo.data import without_validation

FASHION = FashionSlice(train=200, test=60).load(None)
IMAGES, LABELS = FASHION.train[np.arange(200)]
TEST_IMAGES, TEST_LABELS = FASHION.test[np.arange(60)]
Arrays = dict[str, NDArray[Any]]


def save(path: Path, **arrays: NDArray[Any]) -> Path:
    np.savez_compressed(path, allow_pickle=True, **arrays)
    return path


def sizes(split: Split) -> dict[str, int]:
    return {part: len(getattr(split, part) or ()) for part in ("train", "validation", "test")}


@pytest.mark.slow
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
         "validation_images": 255 - TEST_IMAGES[:9], "validation_labels": TEST_LABELS[:9]},
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
        np.testing.assert_array_equal(split.validation[np.arange(9)][0], arrays["validation_images"])
    if name != "all":  # other images are cut out
        assert NpzFile(test_share=0.1).load(tmp_path / "a.npz").digests["test"] != split.digests["test"]
    np.testing.assert_array_equal(again.train[np.arange(9)][0], images[:9])


@pytest.mark.parametrize("parts", ["all", "given"])
def test_copies_are_in_one_group(tmp_path: Path, parts: str) -> None:
    images = np.concatenate([IMAGES, IMAGES[:10], IMAGES[3:5]])  # two of them three times
    labels = np.concatenate([LABELS, LABELS[:10], LABELS[3:5]])
    arrays = {"images": images, "labels": labels}
    if parts == "given":
        arrays = {
            "train_images": images,
            "train_labels": labels,
            "test_images": TEST_IMAGES,
            "test_labels": TEST_LABELS,
        }
        arrays |= {"validation_images": IMAGES[8:20], "validation_labels": LABELS[8:20]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of copies in both parts
        split = without_validation(NpzFile().load(save(tmp_path / "a.npz", **arrays)))
    pixels = [image.tobytes() for image in split.train[np.arange(len(split.train))][0]]
    assert len(pixels) > len(set(pixels))
    assert len(set(zip(pixels, split.train_groups, strict=True))) == len(set(pixels)) == len(set(split.train_groups))
    assert NpzFile().load(save(tmp_path / "b.npz", images=IMAGES, labels=LABELS)).train_groups == ()


def test_arrays_are_sampled_as_the_setting_says(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", images=IMAGES, labels=LABELS)
    assert [NpzFile(sampling=each).load(path).sampling for each in ("natural", "balanced")] == ["natural", "balanced"]


def test_npz_in_the_order_of_fortran(tmp_path: Path) -> None:
    split = NpzFile(validation_share=0).load(
        save(tmp_path / "a.npz", train_images=np.asfortranarray(IMAGES), train_labels=LABELS,
             test_images=TEST_IMAGES, test_labels=TEST_LABELS)
    )  # fmt: skip
    np.testing.assert_array_equal(split.train[np.arange(200)][0], IMAGES)


FAULTY: dict[str, Arrays] = {
    "nothing": {},
    "one": {"images": IMAGES},
    "odd": {"images": IMAGES, "labels": LABELS, "weights": LABELS},
    "whole and test": {"images": IMAGES, "labels": LABELS, "y_test": LABELS, "x_test": IMAGES},
    "same name": {"images": IMAGES, "labels": LABELS, "X": IMAGES},
    "of positions": {"arr_0": IMAGES, "arr_1": LABELS},
    "both": {"images": IMAGES, "labels": LABELS, "train_images": IMAGES, "train_labels": LABELS},
    "half": {"train_images": IMAGES, "train_labels": LABELS, "test_images": IMAGES},
    "objects": {"images": IMAGES, "labels": np.array([print] * 200)},
    "lengths": {"images": IMAGES, "labels": LABELS[:-1]},
    "flat": {"images": IMAGES.reshape(200, -1), "labels": LABELS},
    "negative": {"images": IMAGES, "labels": LABELS.astype(np.int64) - 1},
    "far": {"images": IMAGES, "labels": LABELS.astype(np.uint64) + 2**63},
    "names": {"images": IMAGES, "labels": LABELS, "class_names": np.array(["a", "b"])},
    "few": {"images": IMAGES[:3], "labels": np.array([0, 1, 1])},
    "a gap": {"images": IMAGES[:30], "labels": np.arange(30) % 3 * 2},
    "empty": {"images": IMAGES[:0], "labels": LABELS[:0]},
    "test of another size": {
        "train_images": IMAGES,
        "train_labels": LABELS,
        "test_images": TEST_IMAGES[:, :20],
        "test_labels": TEST_LABELS,
    },
    "validation of another size": {
        "train_images": IMAGES,
        "train_labels": LABELS,
        "validation_images": np.repeat(TEST_IMAGES, 3, axis=3),
        "validation_labels": TEST_LABELS,
    },
}


@pytest.mark.parametrize("name", FAULTY)
def test_npz_that_is_not_as_it_must_be(tmp_path: Path, name: str, golden: Golden) -> None:
    with golden.raises(DataError, path=str(tmp_path / "a.npz")):
        NpzFile().load(save(tmp_path / "a.npz", **FAULTY[name]))


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (sys.exit, ("executed",))


def npy(shape: tuple[int, ...], content: bytes, descr: str = "|u1") -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


TWO_LABELS = {"labels.npy": npy((2,), b"01")}
HOSTILE: dict[str, dict[str, bytes]] = {
    "pickle": {"images.npy": npy((1,), pickle.dumps(Bomb()), "|O"), **TWO_LABELS},
    "huge": {"images.npy": npy((2**40, 28, 28), b""), **TWO_LABELS},
    "negative": {"images.npy": npy((-1, 28, 28), b""), **TWO_LABELS},
    "less than none": {"images.npy": npy((2**40, 28, 28), b""), "labels.npy": npy((-(2**40) * 784,), b"")},
    "short": {"images.npy": npy((2, 2, 2), b"1234567"), **TWO_LABELS},
    "long": {"images.npy": npy((2, 2, 2), bytes(1 << 24)), **TWO_LABELS},
    "letters": {
        "class_names.npy": npy((1,), b"\xff\xff\xff\x7f", "<U1"),
        "images.npy": npy((2, 2, 2), bytes(8)),
        **TWO_LABELS,
    },
    "surrogates": {"images.npy": npy((2, 2, 2), bytes(8)), "labels.npy": npy((2,), b"\0\xd8\0\0a\0\0\0", "<U1")},
    "header": {"images.npy": npy((2,), b"")[:20], **TWO_LABELS},
    "path": {"../../images.npy": npy((2,), b"01"), **TWO_LABELS},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_npz_of_a_stranger(tmp_path: Path, name: str, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo_images.arrays.stored_arrays.usable_memory", lambda: 1 << 34)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in HOSTILE[name].items():
            archive.writestr(member, content)
    with pytest.raises(DataError) as raised:
        NpzFile().load(tmp_path / "a.npz")
    assert raised.value.path == str(tmp_path / "a.npz")
    if name == "header":
        assert isinstance(raised.value.__cause__, ValueError)  # of NumPy, in its words
    else:
        golden.says(str(raised.value))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bzip2", "lzma"])
def test_npz_that_inflates_without_bound_is_refused(tmp_path: Path, method: int, golden: Golden) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", method) as archive:
        archive.writestr("images.npy", npy((20, 8, 8), bytes(1 << 26)))
        archive.writestr("labels.npy", npy((20,), bytes(range(2)) * 10))
    tracemalloc.start()
    with pytest.raises(DataError) as raised:
        NpzFile().load(tmp_path / "a.npz")
    assert tracemalloc.get_traced_memory()[1] < 1 << 25
    tracemalloc.stop()
    assert raised.value.path == str(tmp_path / "a.npz")
    golden.says(str(raised.value))


def test_npz_of_which_a_share_leaves_nothing(tmp_path: Path, golden: Golden) -> None:
    path = save(tmp_path / "a.npz", images=IMAGES[:8], labels=np.arange(8) % 2)
    with golden.raises(DataError, path=str(path)):
        NpzFile(test_share=0.9).load(path)


def test_classes_without_training_images_are_told_where_nothing_is_cut(tmp_path: Path, golden: Golden) -> None:
    parts: Arrays = {}
    for i, part in enumerate(("train", "test", "validation")):
        parts |= {f"{part}_images": IMAGES[30 * i : 30 * i + 30], f"{part}_labels": np.arange(30) % 3 * 2}
    with golden.raises(DataError, path=str(tmp_path / "a.npz")):
        NpzFile().load(save(tmp_path / "a.npz", **parts))


def test_npy_file_is_told_from_a_damaged_one(tmp_path: Path, run_zoo: Zoo, golden: Golden) -> None:
    np.save(tmp_path / "mine.npy", IMAGES)
    command = ["run", "fashion-cnn", "--dataset", "npz", "--out", tmp_path / "run"]
    done = run_zoo(*command, "--data-dir", tmp_path / "mine.npy")
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert str(tmp_path / "mine.npy") in done.err
    golden.says(done.err)
    with golden.raises(DataError, path=str(tmp_path / "mine.npy")):
        NpzFile().load(tmp_path / "mine.npy")


def test_npz_damaged_or_missing(tmp_path: Path, golden: Golden) -> None:
    path = save(tmp_path / "a.npz", images=IMAGES, labels=LABELS)
    content = bytearray(path.read_bytes())
    content[2000:2100] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(DataError) as raised:
        NpzFile().load(path)
    assert raised.value.path == str(path)
    assert isinstance(raised.value.__cause__, zlib.error | zipfile.BadZipFile)  # in the library's words
    path.write_bytes(content[:500])
    with pytest.raises(DataError) as raised:
        NpzFile().load(path)
    assert raised.value.path == str(path)
    assert isinstance(raised.value.__cause__, zipfile.BadZipFile)
    save(tmp_path / "b.npz", images=IMAGES, labels=LABELS)
    with golden.raises(DataError, path=str(tmp_path)):  # two files
        path.unlink()
        save(tmp_path / "c.npz", images=IMAGES, labels=LABELS)
        NpzFile().load(tmp_path)
    with golden.raises(DataError, path=None):
        NpzFile().load(None)


def test_only_what_takes_a_file_gets_one(tmp_path: Path, registry: Registry, golden: Golden) -> None:
    path = save(tmp_path / "a.npz", images=IMAGES, labels=LABELS)
    for dataset, data_dir in (("fashion-mnist", path), ("npz", tmp_path / "nowhere")):
        with golden.raises(DataError, path=str(data_dir)):
            zoo.train("small", dataset=dataset, data_dir=data_dir, registry=registry, out=tmp_path / "run")


def test_path_that_cannot_be_followed_is_told_why(
    tmp_path: Path, run_zoo: Zoo, monkeypatch: pytest.MonkeyPatch, golden: Golden
) -> None:
    (tmp_path / "dangling").symlink_to("gone")
    (tmp_path / "round").symlink_to("round")
    look = os.stat

    def refuse(path: Any, *arguments: Any, **options: Any) -> os.stat_result:
        if str(path).endswith("locked/data"):  # which would stop no superuser
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return look(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", refuse)
    for name, number in (
        ("dangling", errno.ENOENT),
        ("round", errno.ELOOP),
        ("locked/data", errno.EACCES),
        ("n" * 300, errno.ENAMETOOLONG),
    ):
        done = run_zoo("run", "small", "--data-dir", tmp_path / name)
        assert (done.status, done.err.count("\n")) == (1, 1)
        assert str(tmp_path / name) in done.err
        assert os.strerror(number) in done.err
        golden.says(done.err.replace(os.strerror(number), "<reason>"))


@pytest.mark.parametrize("name", ["takes_file", "needs_data_dir", "image_input"])
def test_data_set_that_does_not_say_what_it_reads_is_blamed(
    tmp_path: Path, registry: Registry, run_zoo: Zoo, name: str, golden: Golden
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
    for fact in ("local/odd", name, "RuntimeError: not today", Path(__file__).name):
        assert fact in done.err
    setattr(Odd, name, lambda _: True)
    done = run_zoo(*command)
    assert (done.status, done.out) == (1, "")
    golden.says(done.err.splitlines()[-1])


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


BAD_IDX: dict[str, tuple[str, bytes]] = {
    "magic": ("train-images-idx3-ubyte", b"\0\0\x0f\x03" + bytes(20)),
    "empty": ("t10k-labels-idx1-ubyte", b""),
    "header": ("train-images-idx3-ubyte", b"\0\0\x08\x03\0\0"),
    "huge": ("train-images-idx3-ubyte", b"\0\0\x08\x03" + b"\xff" * 12),
    "short": ("train-labels-idx1-ubyte", idx(LABELS.astype(np.uint8))[:-1]),
    "long": ("train-labels-idx1-ubyte", idx(LABELS.astype(np.uint8)) + b"0"),
    "label": ("t10k-labels-idx1-ubyte", idx(np.full(60, 10, np.uint8))),
    "lengths": ("t10k-labels-idx1-ubyte", idx(np.zeros(59, np.uint8))),
    "size": ("t10k-images-idx3-ubyte", idx(TEST_IMAGES[:, :20, :, 0])),
    "words": ("train-images-idx3-ubyte.gz", b"not gzip at all"),
    "page": ("train-images-idx3-ubyte.gz", b"\n<!DOCTYPE html><html>Forbidden</html>"),
    "damaged": ("train-images-idx3-ubyte.gz", gzip.compress(idx(IMAGES[..., 0]))[:-100]),
}


@pytest.mark.parametrize("name", BAD_IDX)
def test_idx_file_that_is_not_as_it_must_be(tmp_path: Path, name: str, golden: Golden) -> None:
    file, content = BAD_IDX[name]
    write_idx(tmp_path)
    (tmp_path / file.removesuffix(".gz")).unlink()
    (tmp_path / file).write_bytes(content)
    with pytest.raises(DataError) as raised:
        IdxFiles().load(tmp_path)
    of_others = {"label": tmp_path, "lengths": tmp_path / "t10k-images-idx3-ubyte"}  # files that do not fit together
    assert raised.value.path == str(of_others.get(name, tmp_path / file))
    if name == "damaged":
        assert isinstance(raised.value.__cause__, EOFError)  # in the library's words
    else:
        golden.says(str(raised.value))


def test_idx_files_missing_or_twice(tmp_path: Path, golden: Golden) -> None:
    with golden.raises(DataError, path=str(tmp_path)):
        IdxFiles().load(tmp_path)
    write_idx(tmp_path)
    write_idx(tmp_path, dot=".")
    with golden.raises(DataError, path=str(tmp_path)):
        IdxFiles().load(tmp_path)
    with golden.raises(DataError, path=None):
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


@pytest.mark.slow
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
    settings = ["--set", "model.widths=8,8,8", "--set", "optimizer.learning_rate=0.01", "--set", "model.dropout=0.0"]
    done = run_zoo(*command, *settings)
    assert done.status == 0, done.err
    assert json.loads(done.out)["test"]["accuracy"] > 0.8


def test_digits_need_their_library_and_no_folder(
    tmp_path: Path, run_zoo: Zoo, monkeypatch: pytest.MonkeyPatch, golden: Golden
) -> None:
    with golden.raises(DataError, path=str(tmp_path)):
        Digits().load(tmp_path)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    done = run_zoo("run", "fashion-cnn", "--dataset", "digits", "--out", tmp_path / "run", "--quiet")
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert 'pip install "keras-zoo[digits]"' in done.err
    golden.says(done.err)
    assert "digits" in run_zoo("list", "datasets").out
