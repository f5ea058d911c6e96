"""The dataset ``table``: files or pixels with their labels in a table, as people and competitions write them."""

from __future__ import annotations

import contextlib
import errno
import gzip
import itertools
import os
import re
import tempfile
import time
import tracemalloc
import unicodedata
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from zoo_fashion.dataset import FashionMnist
from zoo_images.folders.folder import ImageFolder
from zoo_images.tables.table import Table
from zoo_images.tables.text import MOST_COLUMNS

import zoo
from tests.plugins.images.test_image_folder import all_of, deep_png, pixels, png, write
from tests.support.command_line import Zoo
from tests.support.golden import Golden
from zoo import DataError, Registry, Split
from zoo.errors import DataHint, PluginError, ZooWarning
from zoo.images import prepare
from zoo.utils import ChildProcess

IMAGES, LABELS = FashionMnist().load(None).test[np.arange(120)]
COUNT = 24


def labels_of(count: int = COUNT) -> list[str]:
    return ["cat" if i % 2 else "dog" for i in range(count)]


def write_images(folder: Path, count: int = COUNT, form: str = "{}.png") -> None:
    """Write distinct images; those of odd numbers are brighter."""
    for i in range(count):
        write(folder / form.format(i), png(pixels(8, 8, 1) // 4 + np.uint8(i % 2 * 100)))


def write_table(path: Path, *rows: str, header: str = "filename,label") -> Path:
    return write(path, "\n".join([*([header] if header else []), *rows, ""]).encode())


def photos(root: Path, count: int = COUNT, inner: str = "images") -> Path:
    write_images(root / inner, count)
    return write_table(root / "labels.csv", *(f"{i}.png,{label}" for i, label in enumerate(labels_of(count))))


def load(path: Path, **settings: Any) -> Split:
    return Table(**{"size": (8, 8), **settings}).load(path)


def names(split: Split) -> dict[str, list[str]]:
    return {part: sorted(getattr(split, f"{part}_ids")) for part in ("train", "validation", "test")}


def all_names(split: Split) -> list[str]:
    return [*split.train_ids, *split.validation_ids, *split.test_ids]


def check_right(split: Split) -> None:
    """Compare each label with the brightness of its image."""
    for part in ("train", "validation", "test"):
        images, labels = all_of(split, part)
        assert [split.class_names[label] for label in labels] == [
            "cat" if image.mean() > 90 else "dog" for image in images
        ]


def as_csv(images: NDArray[Any], labels: NDArray[Any], header: str | None = None) -> bytes:
    flat = images.reshape(len(images), -1)
    head = "label," + ",".join(f"pixel{i}" for i in range(flat.shape[1])) if header is None else header
    lines = [",".join(map(str, [label, *row])) for label, row in zip(labels.tolist(), flat.tolist(), strict=True)]
    return "\n".join([*([head] if head else []), *lines, ""]).encode()


def everything(split: Split) -> dict[str, tuple[bytes, str]]:
    """Return the pixels and class of each image, by its name."""
    return {
        name: (image.tobytes(), split.class_names[label])
        for part in ("train", "validation", "test")
        for name, image, label in zip(getattr(split, f"{part}_ids"), *all_of(split, part), strict=True)
    }


# files


def test_table_of_files_is_read_from_the_file_or_its_folder(tmp_path: Path) -> None:
    table = photos(tmp_path)
    split = load(table)
    assert split.class_names == ("cat", "dog")
    assert (len(split.train), len(split.validation or ()), len(split.test)) == (18, 2, 4)
    assert set(split.digests) == {"labels.csv", "files", "test"}
    check_right(split)
    assert names(load(tmp_path)) == names(split)
    assert split.train_groups == ()


def test_table_gives_the_images_and_split_of_the_same_files_in_folders(tmp_path: Path) -> None:
    photos(tmp_path / "table")
    for i, label in enumerate(labels_of()):
        write(tmp_path / "folder" / label / f"{i}.png", (tmp_path / "table/images" / f"{i}.png").read_bytes())
    folder = ImageFolder(size=(8, 8)).load(tmp_path / "folder")
    split = load(tmp_path / "table")
    for part in ("train", "validation", "test"):
        own = {Path(name).name for name in getattr(folder, f"{part}_ids")}
        assert {Path(name).name for name in getattr(split, f"{part}_ids")} == own
        assert {image.tobytes() for image in all_of(split, part)[0]} == {
            image.tobytes() for image in all_of(folder, part)[0]
        }


WAYS: dict[str, Callable[[str], bytes]] = {
    "mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "utf-16": lambda text: text.encode("utf-16"),
    "crlf": lambda text: text.replace("\n", "\r\n").encode(),
    "cr": lambda text: text.replace("\n", "\r").encode(),
    "tab": lambda text: text.replace(",", "\t").encode(),
    "semicolon": lambda text: text.replace(",", ";").encode(),
    "pipe": lambda text: text.replace(",", "|").encode(),
    "quotes": lambda text: re.sub(r"[^,\n]+", lambda found: f'"{found[0]}"', text).encode(),
    "empty lines": lambda text: text.replace("\n", "\n\n").encode(),
    "no last end": lambda text: text.rstrip("\n").encode(),
    "no header": lambda text: text.partition("\n")[2].encode(),
    "spaces": lambda text: text.replace(",", ", ").encode(),
    "spaces before quotes": lambda text: re.sub(r"[^,\n]+", lambda found: f' "{found[0]}"', text).encode(),
    "spaces before some quotes": lambda text: text.replace(",cat", ',  "cat"').replace("label", ' "label"').encode(),
    "last line of spaces": lambda text: (text + " \n").encode(),
    "lines of spaces": lambda text: text.replace("\n", "\n \t\n  \n").encode(),
    "delimiters in the header's quotes": lambda text: (
        text.replace(",", ";").replace("label", '"label, one of cat, dog"').replace("filename", ' "filename"').encode()
    ),
    "order": lambda text: "".join(",".join(line.split(",")[::-1]) + "\n" for line in text.splitlines()).encode(),
    "backslashes": lambda text: re.sub(r"(?m)^(\d)", r"images\\\1", text).encode(),
    "dot": lambda text: re.sub(r"(?m)^(\d)", r"./images/\1", text).encode(),
}


@pytest.mark.parametrize("way", WAYS)
def test_way_of_writing_a_table_makes_no_difference(tmp_path: Path, way: str) -> None:
    table = photos(tmp_path)
    expected = everything(load(table))
    table.write_bytes(WAYS[way](table.read_text()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert everything(load(table)) == expected


def test_spaces_before_quotes_are_not_of_the_field(tmp_path: Path) -> None:
    write_images(tmp_path, form="{}, a.png")
    rows = [f'"{i}, a.png", "{label}, ""big"""' for i, label in enumerate(labels_of())]
    split = load(write_table(tmp_path / "l.csv", *rows, header='"filename", "label"'))
    assert split.class_names == ('cat, "big"', 'dog, "big"')
    rows = [f'"{i}, a.png","{label}, ""big"", \n ""old"""' for i, label in enumerate(labels_of())]
    with pytest.raises(DataError):  # a label of two lines, as it is
        load(write_table(tmp_path / "l.csv", *rows))
    rows = [f'"{i}, a.png",{" " if i % 4 else ""}{label} "big"' for i, label in enumerate(labels_of())]
    with pytest.warns(ZooWarning):  # labels that differ in spaces
        assert load(write_table(tmp_path / "l.csv", *rows)).class_names == ('cat "big"', 'dog "big"')
    rows = [f'"{i}, a.png", "big" {label}' for i, label in enumerate(labels_of())]
    assert load(write_table(tmp_path / "l.csv", *rows)).class_names == ('"big" cat', '"big" dog')


@pytest.mark.parametrize(
    ("header", "settings"),
    [
        ("image_id,breed", {}),
        ("File Name,CLASS", {}),
        ("ID,Category", {}),
        ("img-path,target", {}),
        ("a,b", {"files": "a", "labels": "b"}),
        ("label,filename", {"files": "label", "labels": "filename"}),
        ("A,B", {"files": "a", "labels": "b"}),
    ],
)
def test_columns_have_usual_names_or_chosen_ones(tmp_path: Path, header: str, settings: dict[str, str]) -> None:
    photos(tmp_path)
    table = write_table(
        tmp_path / "labels.csv", *(f"{i}.png,{label}" for i, label in enumerate(labels_of())), header=header
    )
    check_right(load(table, **settings))


def test_first_row_of_more_columns_may_be_an_image(tmp_path: Path) -> None:
    write_images(tmp_path)
    rows = [f"{i}.png,{label},{'test' if i < 8 else 'train'}" for i, label in enumerate(labels_of())]
    split = load(write_table(tmp_path / "l.csv", *rows, header=""), labels="2", split="3")
    assert sorted(split.test_ids) == sorted(f"{i}.png" for i in range(8))
    check_right(split)


def test_range_prepares_new_images_like_those_of_the_split(tmp_path: Path) -> None:
    rows = []
    for i in range(24):
        values = np.random.default_rng(i).integers(0, 4096, (8, 8))
        values[0, :2] = (0, 4095)
        write(tmp_path / f"{i}.png", deep_png(values.tolist(), 0))
        rows.append(f"{i}.png,{'cat' if i % 2 else 'dog'}")
    table = write_table(tmp_path / "l.csv", *rows)
    for value in ((0, 4095), "auto"):
        split = load(table, range=value)
        form = Table(size=(8, 8), range=split.settings.get("range", value)).image_input
        assert form.value_range == (0, 4095)
        for name, image in zip(split.test_ids, all_of(split, "test")[0], strict=True):
            prepared = prepare((tmp_path / name).read_bytes(), name, (8, 8, 1), form, "auto")
            np.testing.assert_array_equal(prepared.pixels, image)
        assert image.max() == 255


def test_names_without_suffix_are_completed(tmp_path: Path) -> None:
    write_images(tmp_path / "train", form="000{}ab.JPG")
    rows = [f"000{i}ab,{label}" for i, label in enumerate(labels_of())]
    split = load(write_table(tmp_path / "labels.csv", *rows, header="id,breed"))
    check_right(split)
    assert all(name.endswith("ab.JPG") for name in split.train_ids)


def test_files_are_in_a_folder_that_a_setting_names(tmp_path: Path) -> None:
    write_images(tmp_path / "elsewhere" / "deep")
    table = write_table(tmp_path / "l.csv", *(f"{i}.png,{label}" for i, label in enumerate(labels_of())))
    for folder in ("elsewhere/deep", "elsewhere", "./elsewhere/../elsewhere/deep/"):
        check_right(load(table, images=folder))
    absolute = [f"{tmp_path}/elsewhere/deep/{i}.png,{label}" for i, label in enumerate(labels_of())]
    check_right(load(write_table(table, *absolute), images="elsewhere"))


def test_folder_of_files_outside_that_of_the_table_is_refused(tmp_path: Path, golden: Golden) -> None:
    write_images(tmp_path / "elsewhere")
    table = write_table(tmp_path / "data" / "l.csv", *(f"{i}.png,{label}" for i, label in enumerate(labels_of())))
    for folder in ("../elsewhere", "a/../../elsewhere", str(tmp_path / "elsewhere"), "../none"):
        for follow_links in (False, True):  # a run folder of others may have both settings
            with golden.raises(DataError, path=str(table.parent)):
                load(table, images=folder, follow_links=follow_links)
    (tmp_path / "data" / "link").symlink_to("../elsewhere")
    with golden.raises(DataError, path=str(table.parent)):
        load(table, images="link")
    check_right(load(table, images="link", follow_links=True))


def test_folder_of_the_split_comes_first(tmp_path: Path) -> None:
    write_images(tmp_path / "train")
    write_images(tmp_path / "test", 6)
    for part, count in (("train", COUNT), ("test", 6)):
        write_table(tmp_path / f"{part}.csv", *(f"{i}.png,{label}" for i, label in enumerate(labels_of(count))))
    split = load(tmp_path)
    assert names(split)["test"] == [f"test/{i}.png" for i in range(6)]
    assert all(name.startswith("train/") for name in split.train_ids)
    check_right(split)


@pytest.mark.parametrize("form", ["{}", "{}_images", "my-{}"])
def test_file_of_another_split_is_no_substitute(tmp_path: Path, form: str, golden: Golden) -> None:
    for part in ("train", "test"):
        write_images(tmp_path / form.format(part))
        write_table(tmp_path / f"{part}.csv", *(f"{i}.png,{label}" for i, label in enumerate(labels_of())))
    missing = tmp_path / form.format("test") / "3.png"
    missing.unlink()
    with golden.raises(DataError):
        load(tmp_path)
    with pytest.warns(ZooWarning):
        split = load(tmp_path, skip_bad=True)
    assert (len(split.skipped_files), len(split.test)) == (1, COUNT - 1)
    with pytest.warns(ZooWarning):
        assert load(tmp_path / "test.csv", skip_bad=True).skipped_files == split.skipped_files
    rows = [f"{i}.png,{i % 2},{part}" for i in range(COUNT) for part in ("train", "test")]
    with pytest.warns(ZooWarning):
        split = load(write_table(tmp_path / "l.csv", *rows, header="file,label,split"), skip_bad=True)
    assert (len(split.skipped_files), len(split.test)) == (1, COUNT - 1)


def test_file_in_the_folder_of_another_split_is_found_if_its_name_is_in_none_else(tmp_path: Path) -> None:
    write_images(tmp_path / "train")
    for i in range(COUNT, COUNT + 4):  # as the unlabeled images of a competition
        write(tmp_path / f"test/{i}.png", png(pixels(8, 8, 1)))
    of = ["train"] * 12 + ["val"] * 4 + ["test"] * (COUNT - 16)
    rows = [f"{i}.png,{label},{of[i]}" for i, label in enumerate(labels_of())]
    split = load(write_table(tmp_path / "l.csv", *rows, header="file,label,split"))
    assert sorted(split.test_ids) == sorted(f"train/{i}.png" for i in range(16, COUNT))
    (tmp_path / "l.csv").unlink()
    rows = [f"{i}.png,{i % 2}" for i in range(COUNT + 4)]
    assert len(all_names(load(write_table(tmp_path / "train_labels.csv", *rows)))) == COUNT + 4


@pytest.mark.parametrize("follow_links", [False, True])
def test_no_way_of_writing_a_path_leads_out_of_the_folder(tmp_path: Path, follow_links: bool) -> None:
    write_images(tmp_path, 1, "out.png")
    data = photos(tmp_path / "data").parent
    rows = [f"images/{i}.png,{label}" for i, label in enumerate(labels_of())]
    table = write_table(data / "labels.csv", *rows, "a\\b/../../out.png,cat")
    with pytest.raises(DataError) as raised:
        load(table, follow_links=follow_links)
    assert raised.value.path == str(data)
    with pytest.warns(ZooWarning):
        assert len(load(table, follow_links=follow_links, skip_bad=True).skipped_files) == 1


@pytest.mark.parametrize("skip_bad", [False, True])
def test_split_whose_files_are_all_missing_is_told_why(tmp_path: Path, skip_bad: bool, golden: Golden) -> None:
    write_images(tmp_path)
    rows = [f"{i}.png,{label},train" for i, label in enumerate(labels_of())]
    lost = (f"{name},{label},test" for name, label in zip(("x.png", "y.png"), labels_of(2), strict=True))
    table = write_table(tmp_path / "l.csv", *rows, *lost, header="file,label,split")
    with contextlib.ExitStack() as stack:
        if skip_bad:
            stack.enter_context(pytest.warns(ZooWarning))
        stack.enter_context(golden.raises(DataError))
        load(table, skip_bad=skip_bad)


def test_files_of_a_split_without_a_folder_are_in_those_of_others(tmp_path: Path) -> None:
    write_images(tmp_path / "train")
    rows = [f"{i}.png,{label},{'val' if i < 6 else 'train'}" for i, label in enumerate(labels_of())]
    split = load(write_table(tmp_path / "l.csv", *rows, header="file,label,split"))
    assert sorted(split.validation_ids) == [f"train/{i}.png" for i in range(6)]
    (tmp_path / "test").mkdir()
    for i in range(12, COUNT):  # of no split that is known
        (tmp_path / f"train/{i}.png").rename(tmp_path / f"test/{i}.png")
    check_right(load(write_table(tmp_path / "l.csv", *(f"{i}.png,{each}" for i, each in enumerate(labels_of())))))


def test_bare_names_in_many_folders_are_found_with_few_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def seconds(folders: int) -> float:
        for i in range(1000):
            write(tmp_path / f"{folders}/images/{i % folders}/{i}.jpeg", b"")
        rows = [f"{i},{i % 2}" for i in range(1000)] + [f"{i}/x,{i % 2}" for i in range(1000)]
        start = time.process_time()
        with pytest.raises(DataError):  # after all names were looked up
            load(write_table(tmp_path / f"{folders}/l.csv", *rows), images="images")
        return time.process_time() - start

    few = seconds(2)
    assert seconds(1000) < 20 * few + 1


def test_column_of_splits(tmp_path: Path, golden: Golden) -> None:
    write_images(tmp_path)
    words = ["train", "Training", " TRAIN", "val", "valid", "dev", "PublicTest", "test", "Testing", "PrivateTest"]
    parts = [*words, "val", *["train"] * 3, *["test"] * 10]
    rows = [f"{i}.png,{label},{part}" for i, (label, part) in enumerate(zip(labels_of(), parts, strict=True))]
    for header, settings in (("file,label,Usage", {}), ("file,label,fold", {"split": "fold"})):
        split = load(write_table(tmp_path / "labels.csv", *rows, header=header), **settings)
        sizes = (len(split.train), len(split.validation or ()), len(split.test))
        assert sizes == (6, 5, 13)
        check_right(split)
    odd = write_table(tmp_path / "labels.csv", *rows, header="file,label,part").read_text()
    (tmp_path / "labels.csv").write_text(odd.replace("Testing", "HAM_part_1"))
    with pytest.warns(ZooWarning) as caught:
        assert len(load(tmp_path / "labels.csv").train) == 18
    golden.says("\n".join(str(each.message) for each in caught))
    none = re.sub(r"(?m)(cat|dog),.*", r"\1,HAM_part_1", odd)  # has no splits, but something else
    (tmp_path / "labels.csv").write_text(none)
    assert len(load(tmp_path / "labels.csv").train) == 18


def test_columns_of_splits_that_are_not_clear_are_refused(tmp_path: Path, golden: Golden) -> None:
    write_images(tmp_path)
    parts = ["train"] * 12 + ["holdout"] * 4 + ["test"] * 8
    labels = labels_of()
    for header in ("file,label,split", "file,label,SPLIT"):
        rows = [f"{i}.png,{labels[i]},{part}" for i, part in enumerate(parts)]
        table = write_table(tmp_path / "l.csv", *rows, header=header)
        with golden.raises(DataError, path=str(table)):
            load(table)
    rows = [f"{i}.png,{labels[i]},{part},{i // 8},test" for i, part in enumerate(parts)]
    right = [f"{row.replace('holdout', 'train')},{'test' if i % 3 else 'train'}" for i, row in enumerate(rows)]
    table = write_table(tmp_path / "l.csv", *right, header="file,label,split,fold,x,set")
    with golden.raises(DataError, path=str(table)):
        load(table)
    assert [len(load(table, split=name).test) for name in ("split", "set")] == [8, 16]
    odd = [row.replace("holdout", "train").rpartition(",")[0] + ",a" for row in rows]
    write_table(tmp_path / "l.csv", *odd, header="file,label,split,fold,set")
    assert len(load(table).test) == 8  # the other column has none


def test_table_that_only_tests_have_no_labels_for(tmp_path: Path, golden: Golden) -> None:
    photos(tmp_path / "rows")
    text = (
        (tmp_path / "rows/labels.csv").read_text().replace("label\n", "label,split\n").replace("cat\n", "cat,train\n")
    )
    write_images(tmp_path / "rows", 2, "new{}.png")
    text = text.replace("dog\n", "dog,train\n") + "new0.png,,test\nnew1.png,,test\n"
    (tmp_path / "rows/labels.csv").write_text(text)
    (tmp_path / "files").mkdir()
    photos(tmp_path / "files").rename(tmp_path / "files/train.csv")
    write_table(tmp_path / "files/sample_submission.csv", "a,cat")
    (tmp_path / "files/test.csv").write_text("filename\nnew.png\n")
    for folder in ("rows", "files"):
        with pytest.warns(ZooWarning) as caught:
            split = load(tmp_path / folder)
        golden.says(str(caught[0].message))
        assert len(caught) == 1
        assert (len(split.train), len(split.test), split.skipped_files) == (18, 4, ())


# groups


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_divided(tmp_path: Path, seed: int) -> None:
    count = 120
    write_images(tmp_path, count)
    groups = [f"p{i // 3 % 40 // (1 + i % 2)}" for i in range(count)]
    rows = [f"{i}.png,{label},{group}" for i, (label, group) in enumerate(zip(labels_of(count), groups, strict=True))]
    rows[0] = rows[0].rpartition(",")[0] + ","  # of no group
    for header, settings in (
        ("file,label,group", {}),
        ("file,label,Group", {}),
        ("FILE,LABEL,GROUP", {}),
        ("file,label,patient", {"group": "patient"}),
    ):
        split = load(write_table(tmp_path / "labels.csv", *rows, header=header), split_seed=seed, **settings)
        own = {f"{i}.png": group for i, group in enumerate(groups)}
        found = {part: {own[name] for name in several if name != "0.png"} for part, several in names(split).items()}
        assert all(not found[a] & found[b] for a, b in itertools.combinations(found, 2))
        assert len(set(all_names(split))) == count
        for part, share in (("test", 0.2), ("validation", 0.08)):
            _, labels = all_of(split, part)
            assert np.bincount(labels) == pytest.approx([share * count / 2] * 2, abs=4)
        expected = [own[name] for name in split.train_ids if name != "0.png"]
        given = [g for g, name in zip(split.train_groups, split.train_ids, strict=True) if name != "0.png"]
        assert given == expected
        if "0.png" in split.train_ids:
            assert split.train_groups[split.train_ids.index("0.png")] == "labels.csv, line 2"


@pytest.mark.parametrize("word", ["NA", "nan", " None "])
def test_words_for_a_missing_group_are_none(tmp_path: Path, word: str) -> None:
    write_images(tmp_path)
    rows = [f"{i}.png,{label},{'p' if i < 4 else word}" for i, label in enumerate(labels_of())]
    split = load(write_table(tmp_path / "l.csv", *rows, header="file,label,group"))
    assert len(set(split.train_groups)) >= len(split.train_groups) - 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # as a hint at groups
        rows = [f"{i}.png,{label},{word}" for i, label in enumerate(labels_of())]
        load(write_table(tmp_path / "l.csv", *rows, header="file,label,patient"))
        rows = [f"{row},{'test' if i > 16 else 'train'}" for i, row in enumerate(rows)]
        load(write_table(tmp_path / "l.csv", *rows, header="file,label,patient,split"))


def test_column_that_may_have_groups_is_hinted_at(tmp_path: Path, golden: Golden) -> None:
    write_images(tmp_path)
    rows = [f"{i}.png,{label},{i // 2}" for i, label in enumerate(labels_of())]
    table = write_table(tmp_path / "l.csv", *rows, header="file,label,Patient ID")
    with pytest.warns(DataHint) as caught:
        load(table)
    golden.says(str(caught[0].message))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(table, group="Patient ID")
        Table().check_data_dir(table)
        write_table(
            table, *(f"{i}.png,{label},{i}" for i, label in enumerate(labels_of())), header="file,label,patient"
        )
        load(table)  # each image has its own
        write_table(table, *(f"{i}.png,{i % 2}" for i in range(COUNT)), header="file,person")
        load(table)  # the classes
        write_table(
            table,
            *(f"{i}.png,{i % 2},{'train' if i < 16 else 'test'}" for i in range(COUNT)),
            header="file,person,split",
        )
        load(table, labels="person")


def test_groups_that_given_splits_divide_are_counted(tmp_path: Path, golden: Golden) -> None:
    write_images(tmp_path)
    rows = [f"{i}.png,{label},{i // 8}" for i, label in enumerate(labels_of())]
    parts = ["test" if i in (3, 12, 16, 17, 18, 19, 20, 21, 22, 23) else "train" for i in range(COUNT)]
    header = "file,label,Patient ID"
    table = write_table(
        tmp_path / "l.csv", *map(",".join, zip(rows, parts, strict=True)), header="file,label,patient id,split"
    )
    with pytest.warns(DataHint) as caught:
        load(table)
    golden.says(str(caught[0].message))
    two = tmp_path / "two"
    write_images(two)
    write_table(two / "train.csv", *rows[:12], header=header)
    write_table(two / "test.csv", *rows[12:], header=header)
    with pytest.warns(DataHint) as caught:
        load(two)
    golden.says(str(caught[0].message))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = [f"{row},{'train' if i < 16 else 'test'}" for i, row in enumerate(rows)]
        load(write_table(table, *whole, header="file,label,patient id,split"))


def test_copies_of_an_image_keep_groups_together(tmp_path: Path) -> None:
    write_images(tmp_path, 40)
    for i in (10, 20, 30):  # four groups are one
        write(tmp_path / f"{i}.png", (tmp_path / "0.png").read_bytes())
    rows = [f"{i}.png,{label},g{i // 2}" for i, label in enumerate(labels_of(40))]
    split = load(write_table(tmp_path / "l.csv", *rows, header="file,label,group"))
    (part,) = [part for part, several in names(split).items() if "0.png" in several]
    assert {f"{i}.png" for i in (0, 1, 10, 11, 20, 21, 30, 31)} <= set(names(split)[part])


def test_group_in_two_given_splits_is_warned_of(tmp_path: Path, golden: Golden) -> None:
    write_images(tmp_path)
    rows = [f"{i}.png,{label},{'train' if i < 16 else 'test'},g{i // 4}" for i, label in enumerate(labels_of())]
    header = "file,label,split,group"
    load(write_table(tmp_path / "l.csv", *rows, header=header))
    rows[23] = rows[23].replace("g5", "g0")
    with pytest.warns(ZooWarning) as caught:
        load(write_table(tmp_path / "l.csv", *rows, header=header))
    golden.says(str(caught[0].message))


@pytest.mark.parametrize("groups", [["a"] * COUNT, ["a", "b"] * 12, [f"{i % 2}{i % 6 // 4}" for i in range(COUNT)]])
def test_too_few_groups_are_refused(tmp_path: Path, groups: list[str], golden: Golden) -> None:
    write_images(tmp_path)
    rows = [f"{i}.png,{label},{group}" for i, (label, group) in enumerate(zip(labels_of(), groups, strict=True))]
    with golden.raises(DataError):
        load(write_table(tmp_path / "l.csv", *rows, header="file,label,group"))


# labels


def test_numbers_are_sorted_as_numbers_and_texts_naturally(tmp_path: Path) -> None:
    write_images(tmp_path, 60)
    table = write_table(tmp_path / "l.csv", *(f"{i}.png,{i % 12}" for i in range(60)))
    assert load(table).class_names == tuple(map(str, range(12)))
    write_table(tmp_path / "l.csv", *(f"{i}.png,{i % 12 - 1}.0" for i in range(60)))
    assert load(table).class_names == tuple(map(str, range(-1, 11)))
    write_table(tmp_path / "l.csv", *(f"{i}.png,class {i % 12}" for i in range(60)))
    assert load(table).class_names == tuple(f"class {i}" for i in range(12))


def test_zeros_before_numbers_are_kept(tmp_path: Path) -> None:
    write_images(tmp_path, 60)
    table = write_table(tmp_path / "l.csv", *(f"{i}.png,{i % 12:03}" for i in range(60)))
    assert load(table).class_names == tuple(f"{i:03}" for i in range(12))
    several = ["1", "01", "2", "-03"]
    write_table(tmp_path / "l.csv", *(f"{i}.png,{several[i % 4]}" for i in range(60)))
    assert load(table).class_names == ("-3", "1", "2")  # 01 and 1 are one number
    write_table(tmp_path / "l.csv", *(f"{i}.png,{['0', '0.0', '-1', '10'][i % 4]}" for i in range(60)))
    assert load(table).class_names == ("-1", "0", "10")


def test_spellings_of_a_label(tmp_path: Path, golden: Golden) -> None:
    write_images(tmp_path, 60)
    several = [
        "caf\N{LATIN SMALL LETTER E WITH ACUTE}",
        unicodedata.normalize("NFD", "caf\xe9"),
        " caf\xe9 ",
        "Bar",
        "bar",
    ]
    table = write_table(tmp_path / "l.csv", *(f"{i}.png,{several[i % 5]}" for i in range(60)))
    with pytest.warns(ZooWarning) as caught:
        assert load(table).class_names == ("Bar", "bar", "caf\xe9")
    golden.says("\n".join(str(each.message) for each in caught))


def test_ones_and_zeros_in_a_column_for_each_class(tmp_path: Path, golden: Golden) -> None:
    write_images(tmp_path, 60)
    ones = ["1.0,0.0,0.0", "0.0,1.0,0.0", "0.0,0.0,1.0"]
    table = write_table(tmp_path / "l.csv", *(f"{i},{ones[i % 3]}" for i in range(60)), header="image,MEL,NV,BCC")
    split = load(table)
    assert split.class_names == ("BCC", "MEL", "NV")
    found = everything(split)
    assert [found[f"{i}.png"][1] for i in range(6)] == ["MEL", "NV", "BCC"] * 2
    table.write_text(table.read_text() + "0,1,0,1\n")
    with golden.raises(DataError, path=str(table)):
        load(table)


@pytest.mark.parametrize("word", ["NaN", "nan", "None", "NULL", "N/A", "na", " NA "])
def test_words_for_a_missing_label_are_none(tmp_path: Path, word: str) -> None:
    table = photos(tmp_path)
    table.write_text(table.read_text().replace("3.png,cat", f"3.png,{word}"))
    with pytest.raises(DataError):
        load(table)
    with pytest.warns(ZooWarning):
        split = load(table, skip_bad=True)
    assert split.class_names == ("cat", "dog")
    assert "images/3.png" not in all_names(split)


def test_words_for_a_missing_label_are_names_of_columns_of_classes(tmp_path: Path) -> None:
    write_images(tmp_path)
    rows = [f"{i}.png,{i % 2},{1 - i % 2}" for i in range(COUNT)]
    assert load(write_table(tmp_path / "l.csv", *rows, header="image,None,MEL")).class_names == ("MEL", "None")


@pytest.mark.parametrize("form", ["{}", "0.{}", "{}e-1", "-{}.5"])
def test_number_of_its_own_in_each_row_is_no_class(tmp_path: Path, form: str, golden: Golden) -> None:
    write_images(tmp_path)
    table = write_table(tmp_path / "l.csv", *(f"{i}.png,{form.format(10 + i)}" for i in range(COUNT)))
    with golden.raises(DataError, path=str(table)):
        load(table)


def test_classes_that_differ_in_case_are_warned_of_before_one_is_too_small(tmp_path: Path) -> None:
    table = photos(tmp_path)
    table.write_text(table.read_text().replace("3.png,cat\n", "3.png,Cat\n", 1))
    with pytest.warns(ZooWarning), pytest.raises(DataError):
        load(table)


SEVERAL = ["cat dog", "cat|dog", "cat, dog", "cat;dog"]


@pytest.mark.parametrize("label", SEVERAL)
def test_several_labels_of_an_image_are_named_so(tmp_path: Path, label: str, golden: Golden) -> None:
    write_images(tmp_path)
    labels = [label if i % 4 == 0 else each for i, each in enumerate(labels_of())]
    table = write_table(tmp_path / "l.csv", *(f'{i}.png,"{each}"' for i, each in enumerate(labels)))
    with golden.raises(DataError, path=str(table)):
        load(table)
    two = [f"golden {each}" for each in labels_of()]  # names of two words are none
    assert load(write_table(table, *(f"{i}.png,{each}" for i, each in enumerate(two)))).class_names == (
        "golden cat", "golden dog",
    )  # fmt: skip


# what is wrong with a table of files

Change = Callable[[list[str]], list[str]]
WRONG: dict[str, Change] = {
    "empty label": lambda rows: [*rows[:3], "2.png,", *rows[4:], "5.png, "],
    "another label": lambda rows: [*rows, "3.png,dog"],
    "longer row": lambda rows: [*rows[:3], rows[3] + ",more", *rows[4:]],
    "shorter row": lambda rows: [*rows[:3], "2.png", *rows[4:]],
    "unclosed quote": lambda rows: [*rows[:3], '"2.png,dog', *rows[4:]],
    "letters after a quote": lambda rows: [*rows[:3], '"2.png"x,dog', *rows[4:]],
    "NUL": lambda rows: [*rows[:3], "2.png,d\0g", *rows[4:]],
    "label that controls a terminal": lambda rows: [*rows[:3], "2.png,\x1b[31m", *rows[4:]],
    "long label": lambda rows: [*rows[:3], "2.png," + "d" * 300, *rows[4:]],
    "class without training images": lambda rows: (
        ["filename,label,split"] + [f"{row},train" for row in rows[1:-1]] + ["23.png,bird,test"]
    ),
    "split": lambda rows: ["filename,label,split", *(f"{row},train" for row in rows[1:]), "1.png,cat,tr\x1bain"],
    "one class": lambda rows: [row.replace("cat", "dog") for row in rows],
    "no rows": lambda rows: rows[:1],
    "nothing": lambda rows: [],
    "one column": lambda rows: [row.partition(",")[0] for row in rows],
    "unknown columns": lambda rows: ["one,two,three", *(f"{row},x" for row in rows[1:])],
    "two columns of labels": lambda rows: ["filename,label,class", *(f"{row},x" for row in rows[1:])],
    "no column of labels": lambda rows: ["filename,one,two", *(f"{row},x" for row in rows[1:])],
    "no file": lambda rows: [rows[0], *(f"not-{row}" for row in rows[1:])],
    "web page": lambda rows: ["<!DOCTYPE html>", "<html>"],
    "LFS": lambda rows: ["version https://git-lfs.github.com/spec/v1", "oid sha256:00"],
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_table_is_refused_by_line_and_column(tmp_path: Path, kind: str, golden: Golden) -> None:
    photos(tmp_path)
    rows = WRONG[kind]((tmp_path / "labels.csv").read_text().splitlines())
    if kind == "split":
        rows = [*rows[:-1], *rows[1:25] * 5, rows[-1]]  # after those that are looked at
    (tmp_path / "labels.csv").write_text("\n".join([*rows, ""]) if rows else "")
    with golden.raises(DataError, path=str(tmp_path / "labels.csv")) as raised:
        load(tmp_path / "labels.csv")
    assert "\x1b" not in str(raised.value)


@pytest.mark.parametrize(
    "settings", [{"files": "nothing"}, {"labels": "nothing"}, {"split": "x"}, {"group": "x"}, {"images": "nowhere"}]
)
def test_wrong_setting_is_refused(tmp_path: Path, settings: dict[str, Any], golden: Golden) -> None:
    with golden.raises(DataError):
        Table(**settings).check_data_dir(photos(tmp_path))


def test_columns_of_splits_and_groups_are_ignored_when_asked(tmp_path: Path) -> None:
    write_images(tmp_path)
    rows = [f"{i}.png,{'cat' if i % 2 else 'dog'},{i % 5},{i // 12}" for i in range(COUNT)]
    path = write_table(tmp_path / "labels.csv", *rows, header="filename,label,split,group")
    with pytest.raises(DataError):
        Table(size=(8, 8)).load(path)
    split = Table(size=(8, 8), split="none", group="none").load(path)
    assert split.train_groups == ()
    assert len(split.train) + len(split.test_ids) + len(split.validation_ids) == COUNT


def test_folder_with_a_table_is_hinted_at_by_image_folder(tmp_path: Path, golden: Golden) -> None:
    write_images(tmp_path / "images")
    write_table(tmp_path / "labels.csv", "0.png,cat", "1.png,dog")
    with golden.raises(DataError, path=str(tmp_path)) as raised:
        ImageFolder().load(tmp_path)
    assert "--dataset table" in str(raised.value)


def test_links_out_of_the_folder_are_followed_when_asked(tmp_path: Path) -> None:
    for i in range(24):
        write(tmp_path / "all" / f"{i}.png", png(pixels(8, 8, 1)))
        (tmp_path / "subset").mkdir(exist_ok=True)
        (tmp_path / "subset" / f"{i}.png").symlink_to(f"../all/{i}.png")
    rows = [f"{i}.png,{'cat' if i % 2 else 'dog'}" for i in range(24)]
    write(tmp_path / "subset/labels.csv", "\n".join(["filename,label", *rows]).encode())
    with pytest.raises(DataError):
        Table(size=(8, 8)).load(tmp_path / "subset")
    split = Table(size=(8, 8), follow_links=True).load(tmp_path / "subset")
    assert len(split.train_ids) + len(split.validation_ids) + len(split.test_ids) == 24


def test_files_that_cannot_be_used_are_named_and_skipped(tmp_path: Path, golden: Golden) -> None:
    table = photos(tmp_path, 30)
    (tmp_path / "images/0.png").unlink()
    write(tmp_path / "images/1.png", b"no image")
    write(tmp_path / "images/3.dcm", b"")
    (tmp_path / "images/4.png").unlink()
    (tmp_path / "images/4.png").symlink_to(write(tmp_path.parent / "out.png", png(pixels())))
    (tmp_path / "images/5.png").unlink()
    os.mkfifo(tmp_path / "images/5.png")
    (tmp_path / "images/6.png").unlink()
    (tmp_path / "images/6.png").mkdir()
    write_images(tmp_path / "other", 8)
    for i in range(7):
        (tmp_path / f"other/{i}.png").unlink()  # 7.png could be either
    odd = [
        "../out.png,cat",
        "/etc/passwd,cat",
        "a\x1bb.png,cat",
        "https://x.org/1.png,cat",
        "3.dcm,cat",
        ",cat",
    ]
    with table.open("a") as file:
        file.write("\n".join([*odd, ""]))
    with golden.raises(DataError, path=str(tmp_path)) as raised:
        load(table)
    golden.says("\n".join(raised.value.__notes__))
    with pytest.warns(ZooWarning) as caught:
        split = load(table, skip_bad=True)
    golden.says(str(caught[0].message))
    assert len(split.skipped_files) == 12
    assert len(set(all_names(split))) == 24


def test_class_whose_files_are_all_missing_is_refused_by_their_names(tmp_path: Path, golden: Golden) -> None:
    table = photos(tmp_path)
    text = table.read_text()
    table.write_text(text + "".join(f"c{i}.png,cow\n" for i in range(7)))
    with golden.raises(DataError, path=str(tmp_path)):
        load(table)
    with golden.raises(DataError, path=str(table)):
        load(table, skip_bad=True)
    rows = [f"{row},train" for row in text.splitlines()[1:]]
    write_images(tmp_path / "images", 1, "c.png")
    write_table(table, *rows, "c.png,cow,test", "d.png,cow,train", header="filename,label,split")
    with golden.raises(DataError, path=str(table)):
        load(table, skip_bad=True)


def test_file_in_a_folder_that_cannot_be_read_is_not_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Golden
) -> None:
    table = photos(tmp_path)
    write_images(tmp_path / "locked" / "deep", 30)
    with table.open("a") as file:
        file.write("29.png,cat\nlocked/deep/28.png,cat\ndeep/27.png,cat\nimages/26.png,cat\n")
    look = os.scandir

    def refuse(path: Any) -> Any:
        if "locked" in str(path):  # which would stop no superuser
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return look(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with golden.raises(DataError, path=str(tmp_path)) as raised:
        load(table)
    assert str(raised.value).count(os.strerror(errno.EACCES)) == 4
    for images in ("", "locked"):
        write_table(table, *(f"locked/deep/{i}.png,{i % 2}" for i in range(COUNT)))
        with golden.raises(DataError, path=str(table)):
            Table(images=images).check_data_dir(table)


def test_link_to_itself_hides_no_files(tmp_path: Path) -> None:
    table = photos(tmp_path)
    for folder in (tmp_path, tmp_path / "images"):
        (folder / "round").symlink_to("round")
    check_right(load(table))


@pytest.mark.parametrize(("written", "stored"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_that_systems_write_differently_are_found(tmp_path: Path, written: Any, stored: Any) -> None:
    write_images(
        tmp_path / unicodedata.normalize(stored, "\xe9t\xe9"), form=unicodedata.normalize(stored, "\xfc{}.png")
    )
    for form in ("\xfc{}.png", "\xfc{}", "\xe9t\xe9/\xfc{}.png", "\xe9t\xe9\\\xfc{}.png"):
        names_ = [unicodedata.normalize(written, form.format(i)) for i in range(COUNT)]
        rows = map(",".join, zip(names_, labels_of(), strict=True))
        split = load(write_table(tmp_path / "l.csv", *rows))
        check_right(split)
        assert unicodedata.is_normalized(stored, split.train_ids[0])
    write(tmp_path / names_[0].replace("\\", "/"), png(pixels(8, 8, 1)))  # the exact one comes first
    assert unicodedata.normalize(written, "\xe9t\xe9/\xfc0.png") in all_names(load(tmp_path))


@pytest.mark.parametrize("form", ["images/deep\\{}.png", "images\\deep/{}.png", ".\\images\\deep\\{}", "deep\\{}.png"])
def test_slashes_of_windows_may_be_mixed(tmp_path: Path, form: str) -> None:
    write_images(tmp_path / "images/deep")
    rows = [f"{form.format(i)},{label}" for i, label in enumerate(labels_of())]
    check_right(load(write_table(tmp_path / "l.csv", *rows)))


def test_backslashes_in_names_of_files_are_read_as_they_are(tmp_path: Path) -> None:
    write_images(tmp_path, form="a\\{}.png")
    check_right(load(write_table(tmp_path / "l.csv", *(f"a\\{i}.png,{each}" for i, each in enumerate(labels_of())))))


NAMES = {
    "two files": "{}",
    "above": "../images/{}.png",
    "Windows": "C:\\photos\\{}.png",
    "Windows with slashes": "C:/photos/{}.png",
    "address": "https://x.org/{}.png",
    "nowhere": "not-{}.png",
}


@pytest.mark.parametrize("kind", NAMES)
def test_names_that_all_have_a_fault_are_refused_for_it(tmp_path: Path, kind: str, golden: Golden) -> None:
    for folder in ("a", "b"):
        write_images(tmp_path / "data" / folder)
    rows = [f"{NAMES[kind].format(i)},{label}" for i, label in enumerate(labels_of())]
    table = write_table(tmp_path / "data" / "l.csv", *rows)
    with golden.raises(DataError, path=str(table)):
        load(table)


def test_spaces_between_names_and_labels_are_no_delimiters(tmp_path: Path, golden: Golden) -> None:
    write_images(tmp_path)
    rows = [f"{i}.PNG   {i % 2}" for i in range(COUNT)]
    for header in ("", "filename label"):
        with golden.raises(DataError, path=str(tmp_path / "l.csv")):
            load(write_table(tmp_path / "l.csv", *rows, header=header))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line", ["sep={}\n", '"sep={}"\r\n', "\ufeffsep={}\n"])
def test_first_line_may_name_the_delimiter(tmp_path: Path, delimiter: str, line: str) -> None:
    table = photos(tmp_path)
    expected = everything(load(table))
    table.write_text(line.format(delimiter) + table.read_text().replace(",", delimiter), newline="")
    assert everything(load(table)) == expected


def test_line_that_names_the_delimiter_counts_in_line_numbers(tmp_path: Path, golden: Golden) -> None:
    table = photos(tmp_path)
    table.write_text("sep=,\n" + table.read_text().replace("0.png,dog", "0.png,", 1))
    with golden.raises(DataError, path=str(table)):
        load(table)


def test_rows_without_label_are_skipped_if_asked(tmp_path: Path) -> None:
    table = photos(tmp_path)
    table.write_text(table.read_text().replace("3.png,cat", "3.png, "))
    with pytest.warns(ZooWarning):
        split = load(table, skip_bad=True)
    assert "images/3.png" not in all_names(split)
    assert split.skipped_files == ("labels.csv, line 15", "labels.csv, line 25", "labels.csv, line 5")


def test_file_named_twice_is_used_once(tmp_path: Path, golden: Golden) -> None:
    table = photos(tmp_path)
    table.write_text(table.read_text() + "3.png,cat\nimages/3.png,cat\n")
    with pytest.warns(ZooWarning) as caught:
        split = load(table)
    golden.says(str(caught[0].message))
    assert sum(map(len, names(split).values())) == COUNT


def test_copies_in_other_classes_and_splits_are_warned_of(tmp_path: Path, golden: Golden) -> None:
    table = photos(tmp_path)
    for i in (4, 5):
        write(tmp_path / f"images/{i}.png", (tmp_path / "images/0.png").read_bytes())
    rows = table.read_text().splitlines()
    rows = [
        "filename,label,split",
        *(f"{row},{'test' if i in (4, 20, 21) else 'train'}" for i, row in enumerate(rows[1:])),
    ]
    table.write_text("\n".join(rows))
    with pytest.warns(ZooWarning) as caught:
        load(table)
    golden.says("\n".join(str(each.message) for each in caught))


# pixels


def shapes(split: Split) -> set[tuple[int, ...]]:
    return {all_of(split, part)[0].shape[1:] for part in ("train", "validation", "test")}


def check_fashion(split: Split, count: int = 120) -> None:
    found = {int(re.findall(r"line (\d+)", name)[0]): value for name, value in everything(split).items()}
    first = min(found)
    assert len(found) == count
    for i in range(count):
        assert found[first + i] == (IMAGES[i].tobytes(), str(LABELS[i]))


FORMS: dict[str, Callable[[], bytes]] = {
    "kaggle": lambda: as_csv(IMAGES, LABELS),
    "1x1": lambda: as_csv(IMAGES, LABELS, "label," + ",".join(f"{i}x{j}" for i in range(1, 29) for j in range(1, 29))),
    "numbers": lambda: as_csv(IMAGES, LABELS, "label," + ",".join(map(str, range(784)))),
    "no header": lambda: as_csv(IMAGES, LABELS, ""),
    "crlf": lambda: as_csv(IMAGES, LABELS).replace(b"\n", b"\r\n"),
    "cr": lambda: as_csv(IMAGES, LABELS).replace(b"\n", b"\r"),
    "mark": lambda: b"\xef\xbb\xbf" + as_csv(IMAGES, LABELS, ""),
    "mark and header": lambda: b"\xef\xbb\xbf" + as_csv(IMAGES, LABELS),
    "utf-16": lambda: as_csv(IMAGES, LABELS).decode().encode("utf-16"),
    "tabs": lambda: as_csv(IMAGES, LABELS).replace(b",", b"\t"),
    "semicolons": lambda: as_csv(IMAGES, LABELS).replace(b",", b";"),
    "spaces": lambda: as_csv(IMAGES, LABELS).replace(b",", b", "),
    "line that names the delimiter": lambda: b"sep=,\n" + as_csv(IMAGES, LABELS),
    "quotes": lambda: re.sub(rb"\d+(?=[,\n])", rb'"\g<0>"', as_csv(IMAGES, LABELS, "")),
    "fractions": lambda: re.sub(rb"(?<=,)\d+(?=[,\n])", rb"\g<0>.0", as_csv(IMAGES, LABELS)),
    "empty lines": lambda: as_csv(IMAGES, LABELS).replace(b"\n", b"\n\n").replace(b"\n\n", b"\n", 1) + b"\n",
    "last": lambda: b"".join(
        b",".join([*line.split(b",")[1:], line.split(b",")[0]]) + b"\n" for line in as_csv(IMAGES, LABELS).splitlines()
    ),
    "last without header": lambda: b"".join(
        b",".join([*line.split(b",")[1:], line.split(b",")[0]]) + b"\n"
        for line in as_csv(IMAGES, LABELS, "").splitlines()
    ),
    "no last end": lambda: as_csv(IMAGES, LABELS).rstrip(),
    "spaces between pixels": lambda: (
        b"emotion,pixels\n"
        + b"".join(
            b",".join([line.split(b",")[0], b" ".join(line.split(b",")[1:])]) + b"\n"
            for line in as_csv(IMAGES, LABELS, "").splitlines()
        )
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_table_of_pixels(tmp_path: Path, form: str) -> None:
    data = FORMS[form]()
    split = load(write(tmp_path / "mnist.csv", data), size=(64, 64))
    if form == "empty lines":
        assert shapes(split) == {(28, 28, 1)}
        return
    check_fashion(split)
    assert set(split.digests) == {"mnist.csv", "test"}


@pytest.mark.parametrize("before", ["\n", "\r\n\r\n", ",,,\n", "\ufeff\n"])
def test_empty_lines_before_the_header_make_it_no_image(tmp_path: Path, before: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1), np.uint8)
    data = as_csv(images, np.arange(60) % 3, ",".join(["label", *map(str, range(64))]))
    found = everything(load(write(tmp_path / "m.csv", before.encode() + data), size=(64, 64)))
    first = before.count("\n") + 2
    assert {f"m.csv, line {first + i}": (image.tobytes(), str(i % 3)) for i, image in enumerate(images)} == found


def shuffled(data: bytes, order: NDArray[np.intp]) -> bytes:
    """Return a table in which the columns after the first are in another order."""
    rows = [line.split(",") for line in data.decode().splitlines()]
    return "".join(",".join([row[0], *(row[i + 1] for i in order)]) + "\n" for row in rows).encode()


@pytest.mark.parametrize("form", ["pixel{0}", "{1}", "{2}x{3}", "pixel_{2}_{3}", "Pixel{4}-{5}", "px{0:03}"])
@pytest.mark.parametrize("order", ["as text", "random", "columns first"])
@pytest.mark.parametrize("spaces", [False, True])
def test_columns_of_pixels_are_in_the_order_of_their_numbers(
    tmp_path: Path, form: str, order: str, spaces: bool
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 12, 12, 1), np.uint8)
    titles = [form.format(i, i + 1, i // 12, i % 12, i // 12 + 1, i % 12 + 1) for i in range(144)]
    shuffle = {
        "as text": np.array(sorted(range(144), key=titles.__getitem__)),
        "random": np.random.default_rng(1).permutation(144),
        "columns first": np.arange(144).reshape(12, 12).T.ravel(),
    }[order]
    data = shuffled(as_csv(images, np.arange(60) % 3, ",".join(["label", *titles])), shuffle)
    split = load(write(tmp_path / "m.csv", data.replace(b",", b", ") if spaces else data), size=(64, 64))
    found = everything(split)
    if order == "columns first" and re.search(r"\{[24]\}", form):  # as if the first number were the column
        images = images.transpose(0, 2, 1, 3)
    assert [found[f"m.csv, line {i + 2}"][0] for i in range(60)] == [image.tobytes() for image in images]


def test_names_of_columns_say_how_many_rows_there_are(tmp_path: Path, golden: Golden) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 5, 1), np.uint8)
    header = ",".join(["label", *(f"{i}x{j}" for i in range(1, 9) for j in range(1, 6))])
    data = as_csv(images, np.arange(60) % 3, header)
    assert shapes(load(write(tmp_path / "m.csv", data), size=(64, 64))) == {(8, 5, 1)}
    with golden.raises(DataError, path=str(tmp_path / "m.csv")):
        Table(shape=(8, 8, 1)).check_data_dir(tmp_path)
    by_column = header.replace("x", "+").split(",")
    by_column = [by_column[0], *("x".join(reversed(name.split("+"))) for name in by_column[1:])]
    split = load(write(tmp_path / "m.csv", as_csv(images, np.arange(60) % 3, ",".join(by_column))), size=(64, 64))
    assert shapes(split) == {(8, 5, 1)}


def test_columns_of_one_row_are_a_square(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1), np.uint8)
    header = ",".join(["label", *(f"1x{i}" for i in range(1, 65))])
    table = write(tmp_path / "m.csv", as_csv(images, np.arange(60) % 3, header))
    assert shapes(load(table, size=(64, 64))) == {(8, 8, 1)}


def test_digits_of_scikit_learn_as_a_table(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    header = ",".join([*(f"pixel_{i}_{j}" for i in range(8) for j in range(8)), "target"])
    rows = [",".join(map(str, [*image, label])) for image, label in zip(images[:200], labels[:200], strict=True)]
    split = load(write_table(tmp_path / "d.csv", *rows, header=header), size=(64, 64))
    assert shapes(split) == {(8, 8, 1)}
    assert split.class_names == tuple(map(str, range(10)))


@pytest.mark.parametrize("numbers", [[3, *range(3), *range(4, 16), 20], [*range(16), 0]])
def test_order_of_pixels_that_is_not_known_is_refused(tmp_path: Path, numbers: list[int], golden: Golden) -> None:
    rows = [",".join(["7"] * len(numbers) + [str(i % 2)]) for i in range(20)]
    table = write_table(tmp_path / "m.csv", *rows, header=",".join([*(f"x{i}" for i in numbers), "label"]))
    with golden.raises(DataError, path=str(table)):
        Table().check_data_dir(table)


def test_pixels_in_order_may_have_gaps(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 4, 4, 1), np.uint8)
    header = ",".join(["label", *(f"x{2 * i + 5}" for i in range(16))])
    found = everything(load(write(tmp_path / "m.csv", as_csv(images, np.arange(60) % 3, header)), size=(64, 64)))
    assert [found[f"m.csv, line {i + 2}"][0] for i in range(60)] == [image.tobytes() for image in images]


def test_many_columns_take_little_time_by_row(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (24, 84, 84, 1), np.uint8)
    text = as_csv(images, np.arange(24) % 2)

    def seconds(name: str, data: bytes) -> float:
        table = write(tmp_path / name, data)
        start = time.process_time()
        load(table, size=(64, 64))
        return time.process_time() - start

    fast = min(seconds("fast.csv", text) for _ in range(2))
    assert seconds("by-row.csv", text.replace(b",", b", ")) < 5 * fast + 2


def test_label_between_pixels(tmp_path: Path) -> None:
    rows = as_csv(IMAGES, LABELS).decode().splitlines()
    lines = [line.split(",") for line in rows]
    write_table(tmp_path / "m.csv", *(",".join([*line[1:9], line[0], *line[9:]]) for line in lines), header="")
    check_fashion(load(tmp_path, size=(64, 64)))


def test_two_tables_of_pixels_are_two_splits(tmp_path: Path) -> None:
    write(tmp_path / "fashion-mnist_train.csv", as_csv(IMAGES[:100], LABELS[:100]))
    write(tmp_path / "fashion-mnist_test.csv", as_csv(IMAGES[100:], LABELS[100:]))
    split = load(tmp_path, size=(64, 64))
    assert (all_of(split, "test")[0] == IMAGES[100:]).all()
    assert len(split.train) + len(split.validation or ()) == 100
    assert [split.class_names[i] for i in all_of(split, "test")[1]] == list(map(str, LABELS[100:]))


def test_pixels_with_names_of_classes_splits_and_groups(tmp_path: Path) -> None:
    lines = as_csv(IMAGES, LABELS % 2).decode().splitlines()
    rows = [
        ",".join(["Ankle boot" if line[0] == "1" else "b", line[2:], "train" if i % 3 else "Test", str(i // 3)])
        for i, line in enumerate(lines[1:])
    ]
    table = write_table(tmp_path / "m.csv", *rows, header=lines[0] + ",split,group")
    with pytest.warns(ZooWarning):  # the groups are divided
        split = load(table, size=(64, 64))
    assert split.class_names == ("Ankle boot", "b")
    assert (all_of(split, "test")[0] == IMAGES[::3]).all()
    assert split.train_groups == tuple(str((int(name.rpartition(" ")[2]) - 2) // 3) for name in split.train_ids)


def test_pixels_of_colors_have_a_shape(tmp_path: Path, golden: Golden) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 6, 4, 3), np.uint8)
    table = write(tmp_path / "colors.csv", as_csv(images, np.arange(60) % 3))
    split = Table(shape=(6, 4, 3), test_share=0.5, validation_share=0).load(table)
    names_ = [int(name.rpartition(" ")[2]) - 2 for name in split.train_ids]
    assert (all_of(split)[0] == images[names_]).all()
    for shape in (None, (4, 4, 3)):
        with golden.raises(DataError, path=str(table)):
            Table(shape=shape).check_data_dir(table)


def test_table_of_pixels_to_predict_is_left_out(tmp_path: Path, golden: Golden) -> None:
    write(tmp_path / "train.csv", as_csv(IMAGES, LABELS))
    text = as_csv(IMAGES[:5], LABELS[:5]).decode().splitlines()
    write_table(tmp_path / "test.csv", *(line.partition(",")[2] for line in text[1:]), header=text[0][6:])
    with pytest.warns(ZooWarning) as caught:
        check_fashion(load(tmp_path, size=(64, 64)))
    golden.says(str(caught[0].message))
    with golden.raises(DataError, path=str(tmp_path / "test.csv")):
        load(tmp_path / "test.csv")


@pytest.mark.parametrize("value", ["256", "-1", "0.5", "nan", "x", "", "1e400"])
@pytest.mark.parametrize("form", ["columns", "one"])
def test_pixel_that_is_none_is_refused_by_line_and_column(
    tmp_path: Path, value: str, form: str, golden: Golden
) -> None:
    separator = "," if form == "columns" else " "
    rows = [f"{i % 2},{separator.join(['7'] * 14 + [str(i), value if i == 11 else '8'])}" for i in range(20)]
    header = "label," + (",".join(f"pixel{i}" for i in range(16)) if form == "columns" else "pixels")
    table = write_table(tmp_path / "m.csv", *rows, header=header)
    with golden.raises(DataError, path=str(table)):
        Table().load(table)


def test_size_of_pixels_is_their_own(tmp_path: Path) -> None:
    table = write(tmp_path / "m.csv", as_csv(IMAGES, LABELS))
    with pytest.warns(ZooWarning):
        assert shapes(load(table, size=(8, 8))) == {(28, 28, 1)}


def test_pixels_take_little_memory(tmp_path: Path) -> None:
    images = np.tile(IMAGES, (50, 1, 1, 1))
    table = write(tmp_path / "m.csv", as_csv(images, np.tile(LABELS, 50)))
    load(table, size=(64, 64))
    tracemalloc.start()
    load(table, size=(64, 64))
    assert tracemalloc.get_traced_memory()[1] < 4 * images.nbytes + (40 << 20)
    tracemalloc.stop()


# hostile


HOSTILE: dict[str, bytes] = {
    "NUL bytes": b"\0" * 1000,
    "PNG": b"\x89PNG\r\n\x1a\n\0\0",
    "workbook": b"PK\3\4" + b"\0" * 100,
    "PK of text": b"PK,label\n",
    "gzip": gzip.compress(b"filename,label\n"),
    "not UTF-8": b"filename,label\n\xff\xfe.png,cat\n",
    "cut UTF-16": b"\xff\xfef\0i",
    "mark alone": b"\xef\xbb\xbf",
    "empty lines": b"\n\n\n",
    "quote": b'"',
    "comma": b",",
    "a million columns": b"1," * 1_000_000,
    "too many columns": b"1," * (MOST_COLUMNS + 1),
    "long line": b"filename,label\n" + b"a" * (1 << 23),
    "unclosed quote": b'filename,label\n"' + b"a\n" * (1 << 20),
    "long field": b"filename,label\n" + b"a" * 200_000 + b",b\n",
    "separator after a number": b"2," * 20 + b"23\x1c\n" + b"1," * 20 + b"1\n",
    "many quotes": b"filename,label\n" + b'"' * 1_000_000,
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_file_that_is_no_table_is_refused(tmp_path: Path, data: bytes, golden: Golden) -> None:
    table = write(tmp_path / "labels.csv", data)
    tracemalloc.start()
    with golden.raises(DataError, path=str(table)) as raised:
        Table().check_data_dir(table)
    assert tracemalloc.get_traced_memory()[1] < 150 << 20
    tracemalloc.stop()
    assert "\0" not in str(raised.value)


def test_table_that_is_no_regular_file_is_refused(tmp_path: Path, golden: Golden) -> None:
    os.mkfifo(tmp_path / "labels.csv")
    for data_dir in (tmp_path, tmp_path / "labels.csv"):
        with golden.raises(DataError, path=str(tmp_path / "labels.csv")):
            Table().check_data_dir(data_dir)
    (tmp_path / "a" / "labels.csv").mkdir(parents=True)
    for data_dir in (tmp_path / "a", tmp_path / "a" / "labels.csv", tmp_path / "none.csv"):
        with golden.raises(DataError):
            Table().check_data_dir(data_dir)
    with golden.raises(DataError):
        Table().check_data_dir(None)
    write_table(tmp_path / "b" / "one.csv")
    write_table(tmp_path / "b" / "two.csv")
    with golden.raises(DataError, path=str(tmp_path / "b")):
        Table().check_data_dir(tmp_path / "b")


def test_table_larger_than_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Golden
) -> None:
    table = write(tmp_path / "m.csv", as_csv(IMAGES, LABELS))
    monkeypatch.setattr("zoo_images.tables.rows.usable_memory", lambda: 4 * table.stat().st_size - 1)
    with golden.raises(DataError, path=str(table)):
        Table().check_data_dir(table)
    monkeypatch.setattr("zoo_images.tables.rows.usable_memory", lambda: 4 * table.stat().st_size)
    check_fashion(load(table, size=(64, 64)))


# command line


def test_errors_come_before_keras(run_zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.utils.keras_import.import_keras", lambda: pytest.fail("Keras was waited for"))
    table = write_table(tmp_path / "labels.csv", "a.png,cat")
    done = run_zoo("run", "fashion-cnn", "--dataset", "table", "--data-dir", table, "--out", tmp_path / "run")
    assert (done.status, done.out) == (1, "")
    assert "dataset.images=DIR" in done.err


def test_table_trains_and_a_run_knows_its_data_again(tmp_path: Path, registry: Registry) -> None:
    table = photos(tmp_path / "data", 40)
    options: Any = {"dataset": "table", "data_dir": table, "registry": registry, "epochs": 1}
    run = zoo.run("small", out=tmp_path / "run", settings={"dataset.size": (8, 8)}, **options)
    record = run.record.data
    assert tuple(record.class_names) == ("cat", "dog")
    assert set(record.digests) == {"labels.csv", "files", "test"}
    assert zoo.test(run.path, data_dir=table, registry=registry).record.test == run.record.test


# Parquet


def write_parquet(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    from pyarrow import parquet, table

    parquet.write_table(table(columns), path, **options)
    return path


@pytest.mark.parametrize("options", [{}, {"compression": "zstd"}, {"use_dictionary": False, "row_group_size": 5}])
def test_parquet_is_read_as_the_same_table_in_csv(tmp_path: Path, options: dict[str, Any]) -> None:
    expected = everything(load(photos(tmp_path)))
    columns = {
        "size": [1.5, None, float("nan")] * 8,
        "filename": [f"{i}.png" for i in range(COUNT)],
        "label": labels_of(),
    }
    table = write_parquet(tmp_path / "labels.parquet", columns, **options)
    assert everything(load(table)) == expected
    assert set(load(table).digests) == {"labels.parquet", "files", "test"}
    flags = {
        "filename": columns["filename"],
        "a": [i % 2 == 0 for i in range(COUNT)],
        "b": [i % 2 for i in range(COUNT)],
    }
    write_parquet(table, flags)
    assert {name: value[0] for name, value in everything(load(table)).items()} == {
        name: value[0] for name, value in expected.items()
    }


def test_parquet_of_pixels(tmp_path: Path) -> None:
    flat = IMAGES.reshape(len(IMAGES), -1)
    columns = {"label": LABELS, **{f"pixel{i}": flat[:, i] for i in range(784)}}
    check_fashion(load(write_parquet(tmp_path / "m.parquet", columns), size=(64, 64)))
    check_fashion(
        load(write_parquet(tmp_path / "m.parquet", {"label": LABELS, "pixels": flat.tolist()}), size=(64, 64))
    )


def test_parquet_that_cannot_be_read_is_refused(tmp_path: Path, golden: Golden) -> None:
    table = write_parquet(tmp_path / "t.parquet", {"image": [{"bytes": b"x", "path": "a.png"}], "label": ["cat"]})
    with golden.raises(DataError, path=str(table)):
        Table().check_data_dir(table)
    table = photos(tmp_path).with_suffix(".parquet")
    data = write_parquet(table, {"filename": ["a.png"] * 99, "label": ["cat"] * 99}).read_bytes()
    for damaged in (data[:-50], data[:4], data[:4] + b"\xff" * 40 + data[44:], data[:-8] + b"\xff\xff\xff\x7fPAR1"):
        table.write_bytes(damaged)
        with pytest.raises(DataError) as raised:  # in pyarrow's words
            Table().load(table)
        assert ".." not in str(raised.value).removeprefix(str(table))


@pytest.mark.slow
def test_parquet_that_decompresses_to_more_than_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyarrow import DictionaryArray, array

    zeros = array(np.zeros(50_000, np.int32))
    columns = {
        "filename": DictionaryArray.from_arrays(zeros, ["a" * 100_000]),
        "label": DictionaryArray.from_arrays(zeros, ["cat"]),
    }
    table = write_parquet(tmp_path / "t.parquet", columns, compression="zstd")
    assert table.stat().st_size < 20_000  # five gigabytes of text
    monkeypatch.setattr("zoo_images.tables.parquet.usable_memory", lambda: 400 << 20)
    with pytest.raises(DataError) as raised:
        Table().check_data_dir(table)
    assert raised.value.path == str(table)


def test_parquet_leaves_no_file_if_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = photos(tmp_path)
    table = write_parquet(table.with_suffix(".parquet"), {"filename": ["0.png"], "label": ["cat"]})
    (tmp_path / "t").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    found = []
    wait = ChildProcess.wait

    def look(self: ChildProcess, seconds: float) -> None:
        wait(self, seconds)
        found.append(os.listdir(tmp_path / "t"))

    monkeypatch.setattr(ChildProcess, "wait", look)
    Table().check_data_dir(table)
    assert found == [[]]


def test_parquet_needs_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Golden) -> None:
    table = write_parquet(tmp_path / "t.parquet", {"filename": ["a.png"], "label": ["cat"]})
    monkeypatch.setattr("zoo_images.tables.parquet.find_spec", lambda _: None)
    with golden.raises(PluginError):
        Table().check_data_dir(table)
