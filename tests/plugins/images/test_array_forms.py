"""Arrays as other programs save them: their names, types, ranges and orders, labels of every form, and copies."""

from __future__ import annotations

import struct
import time
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from zoo_images.arrays.duplicates import image_digests
from zoo_images.arrays.npz import NpzFile
from zoo_images.copies import first_copies

from tests.support.command_line import Zoo
from tests.support.golden import Golden
from zoo import ArrayExamples, DataError, Split
from zoo.data import Subset
from zoo.errors import ZooWarning
from zoo.interfaces import Examples

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (60, 9, 7, 1), np.uint8)
LABELS = np.arange(60, dtype=np.uint8) % 3
TEST_IMAGES = RANDOM.integers(0, 256, (12, 9, 7, 1), np.uint8)
TEST_LABELS = np.arange(12, dtype=np.uint8) % 3
Arrays = dict[str, NDArray[Any]]


def save(path: Path, **arrays: NDArray[Any]) -> Path:
    np.savez_compressed(path, allow_pickle=True, **arrays)
    return path


def content(examples: Examples) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    return examples[np.arange(len(examples))]


def assert_is_plain(split: Split) -> None:
    """Compare a split with the arrays above."""
    for examples, images, labels in ((split.train, IMAGES, LABELS), (split.test, TEST_IMAGES, TEST_LABELS)):
        found = content(examples)
        assert found[0].dtype == np.uint8
        np.testing.assert_array_equal(found[0], images)
        np.testing.assert_array_equal(found[1], labels)


NAMES = {
    "own": "train_images train_labels test_images test_labels",
    "keras": "x_train y_train x_test y_test",
    "capital": "X_train Y_train X_TEST Y_TEST",
    "turned": "train_x train_y test_x test_y",
    "joined": "xtrain ytrain Xtest ytest",
    "torch": "train_data train_targets test_data test_targets",
    "camel": "trainImages trainLabels testImages testLabels",
    "short": "images_training label_train img-test target.test",
}


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_arrays_by_the_names_that_others_give_them(tmp_path: Path, names: str) -> None:
    arrays = dict(zip(names.split(), (IMAGES, LABELS, TEST_IMAGES, TEST_LABELS), strict=True))
    assert_is_plain(NpzFile(validation_share=0).load(save(tmp_path / "a.npz", **arrays)))


@pytest.mark.parametrize("name", ["val", "valid", "validation", "VAL"])
def test_validation_arrays_by_their_usual_names(tmp_path: Path, name: str) -> None:
    arrays = parts(None, lambda labels: labels[:, None])  # as MedMNIST's
    arrays |= {f"{name}_images": 255 - TEST_IMAGES, f"{name}_labels": TEST_LABELS[:, None]}
    path = save(tmp_path / "a.npz", **arrays)
    split = NpzFile().load(path)
    assert_is_plain(split)
    assert split.validation is not None
    np.testing.assert_array_equal(content(split.validation)[0], 255 - TEST_IMAGES)


@pytest.mark.parametrize("names", [("data", "target"), ("X", "y"), ("imgs", "targets"), ("Image", "Label")])
def test_arrays_of_all_images_by_their_usual_names(tmp_path: Path, names: tuple[str, str]) -> None:
    split = NpzFile().load(save(tmp_path / "a.npz", **dict(zip(names, (IMAGES, LABELS), strict=True))))
    plain = NpzFile().load(save(tmp_path / "b.npz", images=IMAGES, labels=LABELS))
    np.testing.assert_array_equal(content(split.test)[0], content(plain.test)[0])


def test_folder_of_files_of_one_array(tmp_path: Path) -> None:
    parts = (IMAGES, LABELS, TEST_IMAGES, TEST_LABELS)
    for name, array in zip(NAMES["own"].split(), parts, strict=True):  # as KMNIST is published
        np.savez(tmp_path / f"kmnist-{name.replace('_', '-').replace('images', 'imgs')}.npz", array)
    (tmp_path / "kmnist_classmap.csv").write_text("index,char\n")
    split = NpzFile(validation_share=0).load(tmp_path)
    assert_is_plain(split)
    assert len(split.digests) == 4
    (tmp_path / "others").mkdir()
    for name, array in zip(NAMES["keras"].split(), parts, strict=True):
        np.save(tmp_path / "others" / f"{name}.npy", array)
    np.save(tmp_path / "others" / "class_names.npy", np.array(["a", "b", "c"]))
    split = NpzFile(validation_share=0).load(tmp_path / "others")
    assert_is_plain(split)
    assert split.class_names == ("a", "b", "c")


def test_dev_in_names_of_files_of_arrays_is_not_a_split(tmp_path: Path) -> None:
    parts = (IMAGES, LABELS, TEST_IMAGES, TEST_LABELS)
    for name, array in zip(NAMES["own"].split(), parts, strict=True):
        np.save(tmp_path / f"dev-{name}.npy", array)
    assert_is_plain(NpzFile(validation_share=0).load(tmp_path))


def test_folder_of_a_file_for_each_part(tmp_path: Path) -> None:
    save(tmp_path / "train.npz", images=IMAGES, labels=LABELS)
    save(tmp_path / "test.npz", X=TEST_IMAGES, y=TEST_LABELS)
    assert_is_plain(NpzFile(validation_share=0).load(tmp_path))


@pytest.mark.parametrize("name", ["two sets", "unknown", "many"])
def test_folder_of_arrays_that_are_not_told_apart(tmp_path: Path, name: str, golden: Golden) -> None:
    names = {"two sets": ("kmnist-train-imgs", "k49-train-imgs"), "unknown": ("x", "weights")}
    for stem in names.get(name, tuple(map(str, range(20)))):
        np.save(tmp_path / f"{stem}.npy", IMAGES)
    path = tmp_path / "weights.npy" if name == "unknown" else tmp_path
    with golden.raises(DataError, path=str(path)):
        NpzFile().check_data_dir(tmp_path)


def parts(images: Any, labels: Any = None) -> Arrays:
    """Return training and test arrays, each changed."""
    arrays = {"train_images": IMAGES, "train_labels": LABELS, "test_images": TEST_IMAGES, "test_labels": TEST_LABELS}
    for name, change in (("images", images), ("labels", labels)):
        if change is not None:
            arrays |= {key: change(array) for key, array in arrays.items() if key.endswith(name)}
    return arrays


CONVERTED = {
    "0 to 1": parts(lambda images: (images / 255).astype(np.float32)),
    "0 to 1, half precision": parts(lambda images: (images / 255).astype(np.float16)),
    "0 to 255": parts(lambda images: images.astype(np.float64)),
    "rounded": parts(lambda images: images + 0.3 * (images < 255)),
    "int64": parts(lambda images: images.astype(np.int64)),
    "16 bits, to 255": parts(lambda images: images.astype(">u2")),
    "one-hot": parts(None, lambda labels: np.eye(3)[labels]),
    "one-hot, bool": parts(None, lambda labels: np.eye(3, dtype=bool)[labels]),
    "floats": parts(None, lambda labels: labels.astype(np.float32)),
    "from one": parts(None, lambda labels: labels + 1),
    "both": parts(lambda images: images / 255.0, lambda labels: np.eye(3, dtype=int)[labels]),
}


@pytest.mark.parametrize("name", CONVERTED)
def test_arrays_of_another_form_are_converted_and_reported(tmp_path: Path, name: str, golden: Golden) -> None:
    path = save(tmp_path / "a.npz", **CONVERTED[name])
    with golden.warns(ZooWarning):
        split = NpzFile(validation_share=0).load(path)
    assert_is_plain(split)
    assert split.class_names == tuple("123" if name == "from one" else "012")


@pytest.mark.parametrize("dtype", ["uint8", "int64", "uint16"])
def test_whole_numbers_of_0_and_1_are_warned_of_and_booleans_are_not(
    tmp_path: Path, dtype: str, golden: Golden
) -> None:
    arrays = parts(lambda images: (images // 128).astype(dtype))
    path = save(tmp_path / "a.npz", **arrays)
    with golden.warns(ZooWarning, count=1 if dtype == "uint8" else 2):
        split = NpzFile(validation_share=0).load(path)
    np.testing.assert_array_equal(content(split.train)[0], IMAGES // 128)
    for name in arrays:
        if "images" in name:
            arrays[name] = arrays[name].astype(bool)
    with pytest.warns(ZooWarning) as told:
        split = NpzFile(validation_share=0).load(save(tmp_path / "b.npz", **arrays))
    assert len(told) == 1  # of the conversion
    assert content(split.train)[0].max() == 255


@pytest.mark.parametrize("largest", [1.01, 2.0, 15.9, 16.0, 32.0])
def test_floating_point_images_of_another_range_are_refused(tmp_path: Path, largest: float, golden: Golden) -> None:
    path = save(tmp_path / "a.npz", **parts(lambda images: images / np.float32(255) * np.float32(largest)))
    with golden.raises(DataError, path=str(path)):
        NpzFile().load(path)


@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_images_that_exceed_32_are_from_0_to_255(tmp_path: Path, dtype: str) -> None:
    path = save(tmp_path / "a.npz", **parts(lambda images: images.clip(0, 33).astype(dtype)))
    with pytest.warns(ZooWarning) as told:
        split = NpzFile(validation_share=0).load(path)
    assert len(told) == 1  # of the conversion
    assert content(split.train)[0].max() == 33


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_one_split_alone_may_be_dark(tmp_path: Path, dtype: str) -> None:
    arrays = parts(lambda images: images.astype(dtype))
    arrays["test_images"] = (TEST_IMAGES / 10).round().astype(dtype)
    path = save(tmp_path / "a.npz", **arrays)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        NpzFile(validation_share=0).load(path)
    assert len(told) == (1 if dtype == "float32" else 0)  # of the conversion


def test_text_none_is_a_class(tmp_path: Path) -> None:
    labels = np.array(["none", "scratch", "a\u00a0b"])[np.arange(len(IMAGES)) % 3]
    path = save(tmp_path / "a.npz", images=IMAGES, labels=labels)
    assert NpzFile().load(path).class_names == ("a b", "none", "scratch")


@pytest.mark.parametrize("largest", [8, 16, 32])
def test_whole_numbers_that_are_nearly_black_are_warned_of(tmp_path: Path, largest: int, golden: Golden) -> None:
    path = save(tmp_path / "a.npz", **parts(lambda images: (images / 255 * largest).astype(np.uint8)))
    with golden.warns(ZooWarning):
        split = NpzFile(validation_share=0).load(path)
    assert content(split.train)[0].max() == largest


def test_digits_of_scikit_learn_as_their_arrays_are_refused(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    with pytest.raises(DataError) as raised:
        NpzFile().load(save(tmp_path / "a.npz", images=digits.images, labels=digits.target))
    assert raised.value.path == str(tmp_path / "a.npz")
    split = NpzFile().load(
        save(tmp_path / "b.npz", images=(digits.images * 15.9).astype(np.uint8), labels=digits.target)
    )
    assert len(split.class_names) == 10


def test_labels_from_one_with_names(tmp_path: Path) -> None:
    arrays = parts(None, lambda labels: labels + 1)
    split = NpzFile(validation_share=0).load(save(tmp_path / "a.npz", **arrays, class_names=np.array(["a", "b", "c"])))
    assert_is_plain(split)
    assert split.class_names == ("a", "b", "c")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_channels_first_are_moved(tmp_path: Path, channels: int, golden: Golden) -> None:
    images, test_images = (np.tile(each, (1, 1, 1, channels)) for each in (IMAGES, TEST_IMAGES))
    images[..., -1] //= 2  # the channels differ
    path = save(
        tmp_path / "a.npz", train_images=np.moveaxis(images, 3, 1), train_labels=LABELS,
        test_images=np.moveaxis(test_images, 3, 1), test_labels=TEST_LABELS,
    )  # fmt: skip
    with golden.warns(ZooWarning):
        split = NpzFile(validation_share=0).load(path)
    np.testing.assert_array_equal(content(split.train)[0], images)


@pytest.mark.parametrize(
    ("stored", "used"),
    [
        ((13, 64, 64), (64, 64, 13)),
        ((6, 12, 12), (12, 12, 6)),
        ((4, 12, 12), (12, 12, 4)),
        ((4, 6, 9), (6, 9, 4)),
        ((12, 12, 4), (12, 12, 4)),
        ((9, 12, 13), (9, 12, 13)),
        ((5, 5, 30), (5, 5, 30)),
        ((2, 3, 4), (2, 3, 4)),
        ((4, 4, 4), (4, 4, 4)),
    ],
)
def test_channels_are_where_the_shape_says(
    tmp_path: Path, stored: tuple[int, int, int], used: tuple[int, int, int]
) -> None:
    images = RANDOM.integers(0, 256, (60, *stored), np.uint8)
    path = save(tmp_path / "a.npz", images=images, labels=LABELS)
    NpzFile().check_data_dir(path)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        split = NpzFile().load(path)
    assert [each.category for each in told] == [ZooWarning] * (stored != used)
    assert content(split.train)[0].shape[1:] == used


@pytest.mark.parametrize("stored", [(28, 28, 28), (8, 8, 8), (5, 7, 7), (12, 8, 8)], ids=str)
def test_channels_that_may_be_first_are_last_with_a_warning(
    tmp_path: Path, stored: tuple[int, int, int], golden: Golden
) -> None:
    images = RANDOM.integers(0, 256, (60, *stored), np.uint8)
    with golden.warns(ZooWarning):
        split = NpzFile().load(save(tmp_path / "a.npz", images=images, labels=LABELS))
    assert content(split.train)[0].shape[1:] == stored


@pytest.mark.parametrize("kind", ["U", "S"])
def test_labels_that_are_texts_name_the_classes(tmp_path: Path, kind: str) -> None:
    names = np.array(["class 10", "class 9", "ape"]).astype(kind)
    split = NpzFile(validation_share=0).load(save(tmp_path / "a.npz", **parts(None, lambda labels: names[labels])))
    assert split.class_names == ("ape", "class 9", "class 10")
    np.testing.assert_array_equal(content(split.test)[1], np.array([2, 1, 0])[TEST_LABELS])


@pytest.mark.parametrize("is_named", [False, True])
def test_texts_that_differ_in_spaces_or_unicode_form_are_one_class(
    tmp_path: Path, is_named: bool, golden: Golden
) -> None:
    texts = np.array(["c", "caf\u00e9", "z"], "U8")[LABELS]
    texts[::6], texts[1::6] = "c ", "cafe\u0301"
    arrays: Arrays = {"class_names": np.array([" z", "cafe\u0301", "c"])} if is_named else {}
    with golden.warns(ZooWarning):
        split = NpzFile().load(save(tmp_path / "a.npz", images=IMAGES, labels=texts, **arrays))
    assert split.class_names == (("z", "caf\u00e9", "c") if is_named else ("c", "caf\u00e9", "z"))
    plain = NpzFile().load(save(tmp_path / "b.npz", images=IMAGES, labels=2 - LABELS if is_named else LABELS))
    np.testing.assert_array_equal(content(split.test)[1], content(plain.test)[1])


def test_class_that_is_called_like_a_missing_label_must_be_named(tmp_path: Path) -> None:
    arrays = {"images": IMAGES, "labels": np.array(["a", "None", "b"])[LABELS]}
    split = NpzFile().load(save(tmp_path / "a.npz", **arrays, class_names=np.array(["a", "None", "b"])))
    assert split.class_names == ("a", "None", "b")
    with pytest.raises(DataError) as raised:
        NpzFile().load(save(tmp_path / "b.npz", **arrays))
    assert raised.value.path == str(tmp_path / "b.npz")


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("dtype", ["float64", "uint8", "bool"])
def test_one_hot_labels_in_one_part_alone(tmp_path: Path, part: str, dtype: str) -> None:
    arrays = parts(None)
    arrays[f"{part}_labels"] = np.eye(3, dtype=dtype)[arrays[f"{part}_labels"]]
    with pytest.warns(ZooWarning) as told:
        split = NpzFile(validation_share=0).load(save(tmp_path / "a.npz", **arrays))
    assert len(told) == 1
    assert_is_plain(split)
    assert split.class_names == tuple("012")


@pytest.mark.filterwarnings("ignore:.* was converted")
def test_one_hot_labels_are_not_shifted_with_labels_from_one(tmp_path: Path, golden: Golden) -> None:
    labels: Arrays = {"train_labels": LABELS + 1, "test_labels": np.eye(4)[1 + TEST_LABELS]}
    with golden.raises(DataError, path=str(tmp_path / "a.npz")):
        NpzFile().load(save(tmp_path / "a.npz", **parts(None) | labels))


NOT_PIXELS = {
    "negative": parts(lambda images: images / 127.5 - 1),
    "standardized": parts(lambda images: (images - 128.0) / 60),
    "NaN": parts(lambda images: np.where(images > 250, np.nan, images)),
    "infinite": parts(lambda images: np.where(images > 250, np.inf, images)),
    "16 bits": parts(lambda images: images.astype(np.uint16) * 257),
    "signed": parts(lambda images: images.astype(np.int16) - 128),
    "complex": parts(lambda images: images * 1j),
    "two ranges": parts(None) | {"test_images": TEST_IMAGES / 255},
}
NOT_LABELS = {
    "several labels": parts(None, lambda labels: np.stack([labels > 0, labels > 1, labels < 1], axis=1).astype(int)),
    "no label": parts(None, lambda labels: np.eye(4, dtype=np.uint8)[labels][:, :2]),
    "columns": parts(None, lambda labels: np.stack([labels, labels + 1], axis=1)),
    "columns of texts": parts(None, lambda labels: np.stack([labels, labels], axis=1).astype(str)),
    "fractions": parts(None, lambda labels: labels + 0.5),
    "large": parts(None, lambda labels: labels * 1e9),
    "infinite labels": parts(None, lambda labels: np.where(labels == 2, np.inf, labels)),
    "NaN labels": parts(None, lambda labels: np.where(labels == 2, np.nan, labels)),
    "NaN in one-hot labels": parts(None, lambda labels: np.where(labels[:, None] == 2, np.nan, np.eye(3)[labels])),
    "NaN text": parts(None, lambda labels: np.array(["a", "b", "nan"])[labels]),
    "empty text": parts(None) | {
        "train_labels": LABELS.astype(str), "test_labels": np.array(["0", "1", " "])[TEST_LABELS],
    },
    "text that is not printable": parts(None, lambda labels: np.array(["a", "b", "a\nb\x1b[31m"])[labels]),
    "one class": parts(None, lambda labels: labels * 0),
    "one text": parts(None, lambda labels: np.array(["cat"])[labels * 0]),
    "one name": parts(None, lambda labels: labels * 0) | {"class_names": np.array(["cat"])},
    "name twice": parts(None) | {"class_names": np.array(["a", "b", "a "])},
    "name empty": parts(None) | {"class_names": np.array(["a", "", "b"])},
    "name that is not printable": parts(None) | {"class_names": np.array(["a", "b", "a\nb\x1b[31m"])},
    "text that is not among the names": parts(None, lambda labels: labels.astype(str)) | {
        "class_names": np.array(["0", "1", "3"]),
    },
    "numbers and texts": parts(None) | {"test_labels": TEST_LABELS.astype(str)},
    "texts and one-hot": parts(None) | {"train_labels": LABELS.astype(str), "test_labels": np.eye(3)[TEST_LABELS]},
    "texts and columns of texts": parts(None) | {
        "train_labels": LABELS.astype(str), "test_labels": np.stack([TEST_LABELS] * 2, axis=1).astype(str),
    },
    "unknown text": parts(None, lambda labels: labels.astype(str)) | {"test_labels": np.array(["?"] * 12)},
    "texts and numbers": parts(None) | {"train_labels": LABELS.astype(str)},
    "long texts": parts(None, lambda labels: np.array(["a" * 1001, "b", "c"])[labels]),
    "many texts": {"images": np.zeros((70_000, 1, 1), np.uint8), "labels": np.arange(70_000).astype(str)},
    "three dimensions": parts(None, lambda labels: labels[:, None, None]),
}  # fmt: skip


@pytest.mark.parametrize("name", [*NOT_PIXELS, *NOT_LABELS])
def test_arrays_that_cannot_be_converted_are_refused(tmp_path: Path, name: str, golden: Golden) -> None:
    with golden.raises(DataError, path=str(tmp_path / "a.npz")):
        NpzFile().load(save(tmp_path / "a.npz", **(NOT_PIXELS | NOT_LABELS)[name]))


def test_copies_stay_together_when_a_split_is_cut(tmp_path: Path) -> None:
    images, labels = np.concatenate([IMAGES, IMAGES[::-1]]), np.concatenate([LABELS, LABELS[::-1]])
    split = NpzFile().load(save(tmp_path / "a.npz", images=images, labels=labels))
    assert split.validation is not None
    found = [{image.tobytes() for image in content(part)[0]} for part in (split.train, split.validation, split.test)]
    assert sum(map(len, found)) == len(set.union(*found)) == 60
    assert len(split.test) == 24  # a share of the images, not of the different ones


def test_splits_of_arrays_without_copies_do_not_depend_on_their_content(tmp_path: Path) -> None:
    """Each image is numbered in its first two pixels, so that the test images are known."""
    images = np.zeros((60, 2, 2), np.uint8)
    images[:, 0, 0] = np.arange(60)
    tests = []
    for name, each in (("a", images), ("b", images + 100)):
        test = NpzFile().load(save(tmp_path / f"{name}.npz", images=each, labels=LABELS)).test
        assert isinstance(test, Subset)
        tests.append(test.indices)
    np.testing.assert_array_equal(tests[0], tests[1])
    # the positions before copies were looked for: the first of each class by a permutation of all
    order = np.argsort(np.random.default_rng(0).permutation(60), kind="stable")
    expected = sorted(int(i) for label in range(3) for i in order[LABELS[order] == label][:4])
    assert tests[0].tolist() == expected


def test_copies_in_other_parts_and_classes_are_warned_of(tmp_path: Path, golden: Golden) -> None:
    test_images = TEST_IMAGES.copy()
    test_images[[3, 6]] = IMAGES[[9, 12]]  # of the same class
    test_images[4] = IMAGES[9]
    path = save(
        tmp_path / "a.npz", train_images=IMAGES, train_labels=LABELS, test_images=test_images, test_labels=TEST_LABELS
    )
    with golden.warns(ZooWarning, count=2):
        NpzFile().load(path)


def test_copies_of_one_image_are_no_class(tmp_path: Path, golden: Golden) -> None:
    images = IMAGES.copy()
    images[LABELS == 1] = 0
    with golden.raises(DataError, path=str(tmp_path / "a.npz")):
        NpzFile().load(save(tmp_path / "a.npz", images=images, labels=LABELS))


def test_copies_among_many_images_are_found_fast() -> None:
    images = np.random.default_rng(0).integers(0, 256, (70_000, 28, 28, 1), np.uint8)
    started = time.process_time()
    first = first_copies(image_digests(images))
    assert (first == np.arange(70_000)).all()
    assert time.process_time() - started < 2  # 0.25 s on the machine that it was written on


def never(*_: object) -> None:
    raise AssertionError("Keras was waited for")


def npy_header(shape: tuple[int, ...], dtype: str = "|u1") -> bytes:
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


def test_arrays_that_do_not_fit_are_told_from_their_headers(
    tmp_path: Path, run_zoo: Zoo, golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.cli.run.import_keras", never)
    monkeypatch.setattr("zoo_images.arrays.stored_arrays.usable_memory", lambda: 1 << 32)
    with zipfile.ZipFile(tmp_path / "zeros.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("images.npy", "w") as member:
            member.write(npy_header((1 << 20, 32, 32)))
            for _ in range(64):  # a part of the 1 GiB that it declares; the rest is never looked at
                member.write(bytes(1 << 20))
        archive.writestr("labels.npy", npy_header((1 << 20,)) + bytes(1 << 20))
    (tmp_path / "sparse").mkdir()
    for name, shape in (("x_train", (1 << 20, 32, 32)), ("y_train", (1 << 20,))):
        with (tmp_path / "sparse" / f"{name}.npy").open("wb") as file:
            file.write(header := npy_header(shape))
            file.truncate(len(header) + int(np.prod(shape)))
    for name in ("zeros.npz", "sparse"):
        started = time.perf_counter()
        done = run_zoo(
            "run", "fashion-cnn", "--dataset", "npz", "--data-dir", tmp_path / name, "--out", tmp_path / "run"
        )
        assert time.perf_counter() - started < 5
        assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
        golden.says(done.err)


HEADERS = {
    "types": parts(lambda images: images * 1j),
    "lengths": parts(None) | {"test_labels": TEST_LABELS[:-1]},
    "sizes": parts(None) | {"test_images": TEST_IMAGES[:, 1:]},
    "flat": parts(lambda images: images.reshape(len(images), -1)),
    "names": {"weights": IMAGES},
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_are_looked_at_before_keras_is_waited_for(
    tmp_path: Path, run_zoo: Zoo, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("zoo.cli.run.import_keras", never)
    path = save(tmp_path / "a.npz", **HEADERS[name])
    done = run_zoo("run", "fashion-cnn", "--dataset", "npz", "--data-dir", path, "--out", tmp_path / "run")
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert str(path) in done.err
    with pytest.raises(DataError) as raised:
        NpzFile().check_data_dir(path)
    assert raised.value.path == str(path)


def test_examples_keep_their_arrays(tmp_path: Path) -> None:
    split = NpzFile(validation_share=0).load(save(tmp_path / "a.npz", **parts(None)))
    assert isinstance(split.train, ArrayExamples)
    assert split.train.images.flags.c_contiguous
