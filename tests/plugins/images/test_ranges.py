"""Grayscale of 10, 12 or 14 bits in files of 16: warned of, spread over the full brightness, the same ever after."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

import zoo
from tests.plugins.images.test_image_folder import SMALL_MODEL, all_of, deep_png, fill, load, one, png, write
from tests.support.command_line import Zoo
from tests.support.golden import Golden
from zoo import ImageInput, Registry, SettingError
from zoo.errors import ZooWarning
from zoo.images import decode, prepare, range_holding
from zoo.runs.exports import ImageInputRecord

RANDOM = np.random.default_rng(5)


def deep(largest: int, height: int = 8, width: int = 8) -> NDArray[np.uint16]:
    """Return values up to the largest, which is one of them."""
    values = RANDOM.integers(0, largest + 1, (height, width)).astype(np.uint16)
    values[0, 0] = largest
    return values


def fill_deep(root: Path, largest: int, count: int = 10) -> Path:
    for name in ("cat", "dog"):
        for i in range(count):
            write(root / name / f"img{i}.png", png(deep(largest)))
    return root


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_range_of_all_bits_keeps_the_upper_eight(bits: int) -> None:
    values = deep((1 << bits) - 1, 40, 40)
    found = np.asarray(decode(png(values), "it", background=0, value_range=(0, (1 << bits) - 1)))
    np.testing.assert_array_equal(found, values >> (bits - 8))
    assert range_holding((1 << bits) - 1) == (0, (1 << bits) - 1)


@pytest.mark.parametrize("span", [1, 2, 99, 254, 255, 256, 1000])
def test_range_of_any_width_goes_from_black_to_white(span: int) -> None:
    values = np.arange(7, 7 + span + 1, dtype=np.uint16)[None]
    found = np.asarray(decode(png(values), "it", background=0, value_range=(7, 7 + span)))[0].astype(int)
    assert (found[0], found[-1]) == (0, 255)
    steps = np.diff(found)
    assert steps.max() - steps.min() <= 1


def test_range_cuts_off_what_is_outside_and_leaves_other_images() -> None:
    values = np.array([[0, 999, 1000], [1500, 1999, 2000], [2001, 40_000, 65_535]], np.uint16)
    found = np.asarray(decode(png(values), "it", background=0, value_range=(1000, 2000)))
    assert found.tolist() == [[0, 0, 0], [127, 255, 255], [255, 255, 255]]
    for data in (png(values.astype(np.uint8)), deep_png([[[1000, 2000, 40001]]], 2)):
        assert (np.asarray(decode(data, "it", background=0, value_range=(0, 4095))) == one(data)).all()


def test_files_that_use_a_part_of_the_range_are_told(tmp_path: Path, golden: Golden) -> None:
    for largest in (3678, 32_767, 255):
        folder = fill_deep(tmp_path / str(largest), largest)
        with golden.warns(ZooWarning):
            split = load(folder)
        assert split.settings == {}
    color = tmp_path / "color"
    for name in ("cat", "dog"):
        for i in range(10):
            write(color / name / f"{i}.png", deep_png(RANDOM.integers(0, 4096, (8, 8, 3)).tolist(), 2))
    with golden.warns(ZooWarning):
        load(color)


def test_files_that_use_their_range_are_not(tmp_path: Path) -> None:
    load(fill_deep(tmp_path / "full", 40_000))  # warnings are errors
    load(fill_deep(tmp_path / "asked", 3000), range=(0, 4095))
    load(fill(tmp_path / "eight"))


@pytest.mark.parametrize(
    ("largest", "found"), [(255, (0, 255)), (900, (0, 1023)), (3678, (0, 4095)), (9000, (0, 16383)), (16_384, "full")]
)
def test_auto_is_the_range_of_the_training_files(tmp_path: Path, largest: int, found: object) -> None:
    fill_deep(tmp_path / "train", largest)
    fill_deep(tmp_path / "test", 65_535, count=2)  # which says nothing of the training files
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        split = load(tmp_path, range="auto")
    assert [each.category for each in told] == [ZooWarning] * (found != "full")
    assert split.settings == {"range": found}
    assert (all_of(split)[0].max() > 127) == (largest != 16_384)
    stored = (tmp_path / "test" / "cat" / "img0.png").read_bytes()
    wanted = decode(stored, "it", background=0, value_range=None if found == "full" else found)  # type: ignore[arg-type]
    assert any((image[..., 0] == np.asarray(wanted)).all() for image in all_of(split, "test")[0])


def test_images_that_auto_cuts_off_are_warned_of(tmp_path: Path, golden: Golden) -> None:
    fill_deep(tmp_path / "train", 3678)
    fill_deep(tmp_path / "validation", 4095, count=2)  # as bright as the range allows
    fill_deep(tmp_path / "test", 9000, count=2)
    write(tmp_path / "test" / "cat" / "dark.png", png(deep(1000)))
    with golden.warns(ZooWarning):
        split = load(tmp_path, range="auto")
    assert split.settings == {"range": (0, 4095)}
    load(tmp_path, range=(0, 4095))  # warnings are errors: it was asked for


def test_auto_is_full_for_files_of_eight_bits(tmp_path: Path) -> None:
    plain, auto = load(fill(tmp_path)), load(tmp_path, range="auto")
    assert auto.settings == {"range": "full"}
    np.testing.assert_array_equal(all_of(plain)[0], all_of(auto)[0])


def test_empty_range_is_refused(run_zoo: Zoo, tmp_path: Path, golden: Golden) -> None:
    with golden.raises(SettingError, name="dataset.range", value=(9, 9)):
        load(tmp_path, range=(9, 9))
    command = ["train", "fashion-cnn", "--dataset", "image-folder", "--data-dir", tmp_path]
    for value in ("9,9", "1,70000", "some"):
        done = run_zoo(*command, "--set", f"dataset.range={value}")
        assert (done.status, done.out) == (1, "")
        golden.says(done.err)
    with pytest.raises(ValueError, match="9"):
        msgspec.convert(
            {"crop": "pad", "background": 0, "inverted": None, "trimmed": False, "value_range": [9, 9]},
            ImageInputRecord,
        )


@pytest.mark.slow
def test_what_was_found_is_used_by_predict_test_export_and_serve(
    run_zoo: Zoo, tmp_path: Path, registry: Registry
) -> None:
    data = fill_deep(tmp_path / "data", 3678)
    command = ["run", "fashion-cnn", "--dataset", "image-folder", "--data-dir", data, *SMALL_MODEL, "--epochs", "1"]
    settings = ["--set", "dataset.size=8,8", "--set", "dataset.range=auto"]
    done = run_zoo(*command, *settings, "--out", tmp_path / "run", "--json", "--quiet")
    assert done.status == 0, done.err
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["data"]["settings"] == {"range": [0, 4095]}
    assert record["recipe"]["dataset"]["settings"]["range"] == "auto"
    form = ImageInput(background=255, inverted=False, value_range=(0, 4095))
    loaded = zoo.load(tmp_path / "run", registry=registry)
    assert loaded.image_input == form
    brighter = deep(65_535)  # of which `auto` would make another range
    (prediction,) = loaded.predict_files(write(tmp_path / "one.png", png(brighter)))
    image = (brighter.clip(0, 4095) >> 4).astype(np.uint8)
    np.testing.assert_array_equal(prepare(png(brighter), "it", (8, 8, 1), form, "auto").pixels[..., 0], image)
    assert dict(prediction.classes)["cat"] == pytest.approx(float(loaded.predict(image[None])[0][0]), rel=1e-5)
    again = run_zoo("test", tmp_path / "run", "--data-dir", data, "--json", "--quiet")
    assert (json.loads(again.out)["test"], again.err) == (json.loads(done.out)["test"], "")
    others = fill_deep(tmp_path / "others", 65_535)
    other = run_zoo("test", tmp_path / "run", "--data-dir", others, "--json", "--quiet")
    images, labels = all_of(load(others, range=(0, 4095)), "test")
    of_label = loaded.predict(images)[np.arange(len(labels)), labels]
    assert json.loads(other.out)["test"]["loss"] == pytest.approx(float(-np.log(of_label).mean()), rel=1e-4)
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    zoo.export(tmp_path / "run", data_dir=data, registry=registry, out=tmp_path / "files")
    (file,) = (tmp_path / "files").glob("*.onnx")
    exported = zoo.load(file, registry=registry)
    assert exported.image_input == form
    assert exported.exported is not None
    assert exported.exported.dataset.settings["range"] == [0, 4095]
    (again_predicted,) = exported.predict_files(tmp_path / "one.png")
    assert dict(again_predicted.classes)["cat"] == pytest.approx(dict(prediction.classes)["cat"], rel=1e-3)


@pytest.mark.slow
def test_run_resumes_with_the_range_that_it_found(
    run_zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = fill_deep(tmp_path / "data", 3678)
    command = ["train", "fashion-cnn", "--dataset", "image-folder", "--data-dir", data, *SMALL_MODEL, "--epochs", "2"]
    command += ["--set", "dataset.size=8,8", "--set", "dataset.range=auto", "--quiet"]
    assert run_zoo(*command, "--out", tmp_path / "whole").status == 0

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("keras.Model.fit", stop)
        assert run_zoo(*command, "--out", tmp_path / "halves").status == 130
    assert run_zoo("resume", tmp_path / "halves", "--data-dir", data, "--quiet").status == 0
    whole, halves = (json.loads((tmp_path / name / "run.json").read_text()) for name in ("whole", "halves"))
    assert whole["model_sha256"] == halves["model_sha256"]
    assert halves["data"]["settings"] == {"range": [0, 4095]}
