"""Folders as people have them: names of splits, wrappers, litter, one name in two spellings, links."""

from __future__ import annotations

import io
import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from tests.plugins.images.test_image_folder import fill, load, pixels, png, write
from tests.support.command_line import Zoo
from tests.support.golden import Golden
from zoo import DataError, Split
from zoo.errors import ZooWarning
from zoo.images import SUFFIXES, expand, is_litter, unsupported

LITTER = (
    "__MACOSX", ".DS_Store", "._img0.png", "@eaDir", "img0.png:Zone.Identifier", "img0.png\uf03aZone.Identifier",
    "Thumbs.db", "ehthumbs.db", "desktop.ini", ".ipynb_checkpoints", "Icon\r", "$RECYCLE.BIN", "#recycle",
    "System Volume Information", "lost+found", ".Spotlight-V100", ".Trash-1000",
)  # fmt: skip


def sizes(split: Split) -> tuple[int, int, int]:
    return len(split.train), len(split.validation or ()), len(split.test)


@pytest.mark.parametrize("name", LITTER)
def test_litter_is_ignored_wherever_it_is(tmp_path: Path, name: str) -> None:
    data = fill(tmp_path / "data")
    plain = load(data)
    for folder in (data, data / "cat"):
        write(folder / name, b"\0\x05\x16\x07")
    split = load(data)
    assert (split.digests, split.class_names, split.skipped_files) == (plain.digests, ("cat", "dog"), ())
    for folder in (data, data / "dog"):
        (folder / name).unlink(missing_ok=True)
        write(folder / name / "cat" / "img0.png", b"no image")
    assert load(data).digests == plain.digests
    found = expand([str(data)])
    assert (len(found.files), found.bad, found.passed_over) == (12, [], [])
    assert found.litter == 3
    assert is_litter(name)
    assert is_litter(name.upper())


def test_names_of_classes_and_images_are_no_litter() -> None:
    names = ("icon", "thumbs", "recycle", "trash", "img0.png", "macosx", "lost", "Zone.Identifier", "_0.png")
    assert [name for name in names if is_litter(name)] == []


def test_litter_is_counted_by_predict(run_zoo: Zoo, tmp_path: Path, golden: Golden) -> None:
    fill(tmp_path, ("cat",), count=2)
    for name in ("cat/.DS_Store", "__MACOSX/cat/._img0.png", "cat/img0.png:Zone.Identifier"):
        write(tmp_path / name, b"x")
    done = run_zoo("predict", "fashion-cnn", tmp_path)
    assert (done.status, done.out.count("\n")) == (0, 2)
    golden.says(next(line for line in done.err.splitlines() if "3" in line))
    assert len(expand([str(tmp_path / "**" / "*")]).files) == 2


@pytest.mark.parametrize(
    "parts",
    [
        ("training", "testing", "validation"), ("Train", "Test", "Valid"), ("TRAIN", "TEST", "VAL"),
        ("train", "Test", "dev"), ("Training", "test", "val"),
    ],
)  # fmt: skip
def test_folders_of_splits_have_their_usual_names_in_any_case(tmp_path: Path, parts: tuple[str, str, str]) -> None:
    for name, count in zip(parts, (10, 3, 2), strict=True):
        fill(tmp_path / name, count=count)
    assert sizes(load(tmp_path)) == (20, 4, 6)


def test_classes_may_be_called_like_splits(tmp_path: Path) -> None:
    fill(tmp_path / "a", ("Train", "Test"))
    assert load(tmp_path / "a").class_names == ("Test", "Train")
    fill(tmp_path / "b", ("train", "bus"))
    assert load(tmp_path / "b").class_names == ("bus", "train")


def test_two_folders_for_a_split_are_refused(tmp_path: Path, golden: Golden) -> None:
    for name in ("Train", "training", "test"):
        fill(tmp_path / name)
    with golden.raises(DataError, path=str(tmp_path)):
        load(tmp_path)


def test_folder_around_the_data_is_looked_into(tmp_path: Path, golden: Golden) -> None:
    plain = load(fill(tmp_path / "plain"))
    os.makedirs(tmp_path / "archive" / "data-1.0")
    (tmp_path / "plain").rename(tmp_path / "archive" / "data-1.0" / "photos")
    write(tmp_path / "archive" / "README.md", b"x")
    write(tmp_path / "archive" / "__MACOSX" / "._photos", b"x")
    split = load(tmp_path / "archive")
    assert (split.digests, split.class_names) == (plain.digests, plain.class_names)
    for name in ("train", "test"):
        fill(tmp_path / "parts" / "inner" / name)
    assert sizes(load(tmp_path / "parts")) == (10, 2, 12)
    fill(tmp_path / "one" / "inner", ("cat",))
    with golden.raises(DataError, path=str(tmp_path / "one" / "inner")):
        load(tmp_path / "one")
    deep = tmp_path / "deep"
    fill(deep.joinpath(*"abcdefghijkl"))
    with golden.raises(DataError):
        load(deep)


@pytest.mark.parametrize("skip_bad", [False, True])
@pytest.mark.parametrize("names", [("test",), ("val",), ("Testing", "validation")])
def test_split_without_classes_is_named_and_made_from_the_rest(
    tmp_path: Path, names: tuple[str, ...], skip_bad: bool, golden: Golden
) -> None:
    plain = load(fill(tmp_path / "train", count=10))
    for name in names:
        write(tmp_path / name / "0.png", png(pixels()))
    with golden.warns(ZooWarning, len(names)) as told:
        split = load(tmp_path, skip_bad=skip_bad)
    assert {each for each in names if any(each in str(one.message) for one in told)} == set(names)
    assert sizes(split) == sizes(plain)
    assert split.digests["test"] == plain.digests["test"]
    assert split.skipped_files == ()


@pytest.mark.slow
def test_test_folder_without_classes_can_be_predicted(run_zoo: Zoo, tmp_path: Path) -> None:
    fill(tmp_path / "data" / "train", count=10)
    unlabeled = write(tmp_path / "data" / "test" / "0.png", png(pixels(28, 28, 1))).parent
    command = ["train", "fashion-cnn", "--dataset", "image-folder", "--data-dir", tmp_path / "data", "--epochs", "1"]
    settings = ["--set", "model.widths=4,4,4", "--set", "dataset.size=8,8"]
    done = run_zoo(*command, *settings, "--out", tmp_path / "run", "--quiet")
    assert (done.status, done.err.count(str(unlabeled))) == (0, 2), done.err  # named once, with the command
    assert run_zoo("predict", tmp_path / "run", unlabeled).out.startswith(str(unlabeled / "0.png"))


def test_name_in_two_spellings_is_one_class(tmp_path: Path, golden: Golden) -> None:
    composed, apart = (unicodedata.normalize(form, "Tür") for form in ("NFC", "NFD"))
    fill(tmp_path / "train", (composed, "Wand"))
    fill(tmp_path / "test", (apart, "Wand"), count=2)
    split = load(tmp_path)
    assert split.class_names == (composed, "Wand")
    assert split.test[np.arange(4)][1].tolist() == [0, 0, 1, 1]
    fill(tmp_path / "train", (apart,))
    with golden.raises(DataError, path=str(tmp_path / "train" / composed)):
        load(tmp_path)


def test_links_are_followed_if_they_are_to_be(tmp_path: Path, golden: Golden) -> None:
    whole = fill(tmp_path / "all", count=8)
    for name in ("cat", "dog"):
        (tmp_path / "subset" / name).mkdir(parents=True)
        for i in range(6):
            (tmp_path / "subset" / name / f"{i}.png").symlink_to(f"../../all/{name}/img{i}.png")
    with golden.raises(DataError, path=str(tmp_path / "subset")):
        load(tmp_path / "subset")
    assert sum(sizes(load(tmp_path / "subset", follow_links=True))) == 12
    fill(tmp_path / "fold" / "train")
    (tmp_path / "fold" / "valid").symlink_to("../all")
    with golden.raises(DataError, path=str(tmp_path / "fold" / "valid")):
        load(tmp_path / "fold")
    assert sizes(load(tmp_path / "fold", follow_links=True))[1] == 16
    (tmp_path / "subset" / "around").symlink_to(tmp_path)  # folders, and no images
    (tmp_path / "subset" / "dog" / "null.png").symlink_to("/dev/zero")
    (tmp_path / "subset" / "dog" / "loop.png").symlink_to("loop.png")
    with pytest.raises(DataError) as raised:
        load(tmp_path / "subset", follow_links=True)
    assert "null.png" in str(raised.value)
    assert "loop.png" in str(raised.value)
    (whole / "self").symlink_to(whole)
    with pytest.raises(DataError):
        load(whole, follow_links=True)


def test_suffixes_of_images_are_read_or_told_what_to_do(tmp_path: Path, golden: Golden) -> None:
    fill(tmp_path, count=4)
    for suffix in (".jfif", ".JPE", ".tif", ".TIFF", ".ppm", ".pgm"):
        write(tmp_path / "cat" / f"x{suffix}", png(pixels(channels=1)))  # the content determines the format
    assert sum(sizes(load(tmp_path))) == 14
    assert all(unsupported(f"x{suffix}") is None for suffix in SUFFIXES)
    for name in ("IMG_1.HEIC", "a.cr2", "a.psd"):
        write(tmp_path / "dog" / name, b"x")
    with golden.raises(DataError, path=str(tmp_path)):
        load(tmp_path)
    golden.says("\n".join(expand([str(tmp_path)]).bad))


def test_list_of_names_from_windows_is_told(
    run_zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Golden
) -> None:
    fill(tmp_path, ("cat",), count=2)
    names = [str(tmp_path / "cat" / f"img{i}.png") for i in range(2)]
    monkeypatch.setattr("zoo.utils.keras_import.import_keras", lambda: None)
    done = run_zoo("predict", "fashion-cnn", *[f"{name}\r" for name in names])
    assert (done.status, done.out) == (1, "")
    golden.says(done.err)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("\r\n".join([*names, ""]).encode())))
    done = run_zoo("predict", "fashion-cnn", "-")
    assert (done.status, done.out) == (1, "")
    golden.says("\n".join(done.err.splitlines()[-2:]))


@pytest.mark.parametrize("name", ["unknown", "images", "all", "0"])
def test_test_folder_with_one_folder_that_is_no_class_is_not_used(tmp_path: Path, name: str, golden: Golden) -> None:
    plain = load(fill(tmp_path / "train", count=10))
    write(tmp_path / "test" / name / "0.png", png(pixels()))
    with golden.warns(ZooWarning):
        split = load(tmp_path)
    assert (sizes(split), split.digests["test"]) == (sizes(plain), plain.digests["test"])


@pytest.mark.parametrize("name", ["Cat", " cat"])
def test_class_that_differs_in_case_or_spaces_is_told(tmp_path: Path, name: str, golden: Golden) -> None:
    fill(tmp_path / "train")
    for names in ((name,), (name, "dog")):
        fill(tmp_path / "test", names)
        with golden.raises(DataError, path=str(tmp_path / "test" / name)):
            load(tmp_path)


@pytest.mark.parametrize("command", ["data", "load"])
@pytest.mark.parametrize("fault", ["heic", "link", "broken"])
def test_class_without_usable_files_is_told_why(
    run_zoo: Zoo, tmp_path: Path, fault: str, command: str, golden: Golden
) -> None:
    data = fill(tmp_path / "data", ("cat", "dog"))
    outside = write(tmp_path / "out.png", png(pixels()))
    for i in range(6):
        path = data / "owl" / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        if fault == "link":
            path.symlink_to(outside)
        else:
            write(path.with_suffix(".heic") if fault == "heic" else path, b"no image")
    if command == "data":
        done = run_zoo("data", "image-folder", "--data-dir", data, "--quiet")
        assert done.status == 1
        golden.says(done.err)
        return
    with golden.raises(DataError, path=str(data)), pytest.warns(ZooWarning):
        load(data, skip_bad=True)


@pytest.mark.parametrize("follow_links", [False, True])
@pytest.mark.parametrize("where", ["", "train"])
def test_class_folder_that_is_a_broken_link_is_told(
    tmp_path: Path, where: str, follow_links: bool, golden: Golden
) -> None:
    data = tmp_path / "data"
    fill(data / where)
    (data / where / "owl").symlink_to("/mnt/gone/owl")
    with golden.warns(ZooWarning, 1) as told:
        assert load(data, follow_links=follow_links).class_names == ("cat", "dog")
    assert str(data / where / "owl") in str(told[0].message)


@pytest.mark.parametrize("name", ["val", "test"])
def test_empty_class_folders_of_a_split_are_told(tmp_path: Path, name: str, golden: Golden) -> None:
    fill(tmp_path / "train", count=10)
    for class_name in ("cat", "dog"):
        (tmp_path / name / class_name).mkdir(parents=True)
    with golden.raises(DataError, path=str(tmp_path / name)):
        load(tmp_path)


@pytest.mark.parametrize("suffix", [".png", ".heic"])
def test_split_without_usable_files_is_told_why(tmp_path: Path, suffix: str, golden: Golden) -> None:
    fill(tmp_path / "train", count=10)
    for class_name in ("cat", "dog"):
        write(tmp_path / "Test" / class_name / f"0{suffix}", b"no image")
        write(tmp_path / "Test" / class_name / f"1{suffix}", b"no image")
    with golden.raises(DataError, path=str(tmp_path)), pytest.warns(ZooWarning):
        load(tmp_path, skip_bad=True)


def test_folder_around_the_classes_of_a_split_is_looked_into(tmp_path: Path) -> None:
    for name in ("train", "test"):
        fill(tmp_path / "plain" / name, count=8)
    plain = load(tmp_path / "plain")
    (tmp_path / "data" / "train" / "images").mkdir(parents=True)
    (tmp_path / "plain" / "train").rename(tmp_path / "data" / "train" / "images" / "train")
    (tmp_path / "data" / "test").mkdir()
    (tmp_path / "plain" / "test").rename(tmp_path / "data" / "test" / "test")
    split = load(tmp_path / "data")
    assert (sizes(split), split.class_names) == (sizes(plain), ("cat", "dog"))
    assert split.digests["test"] == plain.digests["test"]


def test_folders_in_an_unlabeled_test_folder_are_no_classes(tmp_path: Path) -> None:
    plain = load(fill(tmp_path / "train", count=10))
    fill(tmp_path / "test" / "images", ("batch1", "batch2"))
    with pytest.warns(ZooWarning, match="test"):
        assert load(tmp_path).digests["test"] == plain.digests["test"]


def test_folder_beside_those_of_splits_is_told(tmp_path: Path, golden: Golden) -> None:
    for name in ("train", "test"):
        fill(tmp_path / name)
    write(tmp_path / "annotations" / "0.xml", b"<xml/>")
    with golden.raises(DataError, path=str(tmp_path)):
        load(tmp_path)


def test_class_folders_that_differ_in_case_or_spaces_are_warned_of(tmp_path: Path, golden: Golden) -> None:
    fill(tmp_path, ("Cat", "cat", "dog"))
    with golden.warns(ZooWarning, 1):
        assert load(tmp_path).class_names == ("Cat", "cat", "dog")


def test_names_with_joiners_are_text(tmp_path: Path) -> None:
    names = (
        "\N{ARABIC LETTER MEEM}\N{ZERO WIDTH NON-JOINER}\N{ARABIC LETTER YEH}",
        "\N{MAN}\N{ZERO WIDTH JOINER}\N{ROCKET}",
    )
    fill(tmp_path, names)
    assert set(load(tmp_path).class_names) == set(names)


def test_pointer_to_a_file_in_git_lfs_is_told(tmp_path: Path, golden: Golden) -> None:
    write(fill(tmp_path) / "cat" / "x.png", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    with golden.raises(DataError, path=str(tmp_path)):
        load(tmp_path)


@pytest.mark.parametrize("name", ["photos.zip", "photos.TAR.GZ", "photos.tgz"])
def test_archive_is_to_be_unpacked(run_zoo: Zoo, tmp_path: Path, name: str, golden: Golden) -> None:
    done = run_zoo("data", "image-folder", "--data-dir", write(tmp_path / name, b"PK"), "--quiet")
    assert done.status == 1
    golden.says(done.err)
