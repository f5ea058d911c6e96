"""`zoo compare`: what differs, what it came to, and McNemar's test on kept predictions."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save
from scipy import stats
from zoo_results.mcnemar import PairedTest, holm, paired_test

import zoo
from tests.support.command_line import Outcome, Zoo
from tests.support.golden import Golden
from tests.support.sealing import seal, unsealed
from zoo import Run


@pytest.fixture
def other(small_run: Run, tmp_path: Path) -> Path:
    """The finished run with other settings, wrong on the first 30 images that it is right on."""
    path = Path(shutil.copytree(small_run.path, tmp_path / "other"))
    content = unsealed(path / "run.json")
    content["recipe"]["seed"] = 1
    content["recipe"]["optimizer"]["settings"]["learning_rate"] = 0.01
    found = zoo.read_predictions(small_run)
    right = np.flatnonzero(found.probabilities.argmax(axis=1) == found.labels)[:30]
    probabilities = found.probabilities.copy()
    probabilities[right] = np.roll(probabilities[right], 1, axis=1)
    write(path, content, probabilities, found.labels)
    return path


def readings(done: Outcome) -> str:
    """Return what is said of the runs below the tables: why one is left out, and what McNemar's test says of two."""
    return "\n\n".join(done.out.split("\n\n")[3:])


def write(path: Path, content: dict[str, Any], probabilities: Any, labels: Any) -> None:
    data = save({"labels": labels, "probabilities": probabilities})
    (path / "test-predictions.safetensors").write_bytes(data)
    content["predictions_sha256"] = hashlib.sha256(data).hexdigest()
    content["test"]["accuracy"] = float((probabilities.argmax(axis=1) == labels).mean())
    (path / "run.json").write_bytes(seal(content))


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (3, 9), (10, 10), (86, 150), (499, 501), (700, 650)])
def test_p_value_is_the_binomial_test_s_or_near_it(b: int, c: int) -> None:
    test = PairedTest(first_alone=b, second_alone=c, images=10_000)
    expected = stats.binomtest(b, b + c).pvalue if b + c else 1.0
    assert test.is_exact == (b + c <= 1000)
    assert test.p_value == pytest.approx(expected, rel=1e-9 if test.is_exact else 0.01)


def test_many_deciding_images_are_chi_squared_with_correction() -> None:
    test = PairedTest(first_alone=1100, second_alone=1000, images=10_000)
    assert test.p_value == pytest.approx(stats.chi2.sf((100 - 1) ** 2 / 2100, df=1))


def test_interval_is_that_of_the_textbook() -> None:
    # Agresti, table 11.1: 794, 150, 86, 570 of 1600 approve in one survey, the other, both, neither
    test = PairedTest(first_alone=150, second_alone=86, images=1600)
    assert test.difference == pytest.approx(-0.04)
    assert test.interval == pytest.approx((-0.059, -0.021), abs=5e-4)


def test_counts_images_of_which_one_alone_is_right() -> None:
    first, second = np.array([1, 1, 1, 0, 0], bool), np.array([1, 0, 0, 1, 0], bool)
    assert paired_test(first, second) == PairedTest(first_alone=2, second_alone=1, images=5)


def test_holm_is_what_statisticians_compute() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_says_what_differs_and_which_is_better(run_zoo: Zoo, small_run: Run, golden: Golden, other: Path) -> None:
    done = run_zoo("compare", small_run.path, other)
    assert (done.status, done.err) == (0, "")
    rows = {line.partition("  ")[0]: line.split()[-2:] for line in done.out.splitlines()}
    assert rows["seed"] == ["0", "1"]
    assert rows["optimizer.learning_rate"] == ["0.003", "0.01"]
    assert "epochs" in rows
    assert "model.dense_width" not in rows  # is the same
    golden.says(readings(done))


def test_other_components_and_further_metrics_are_side_by_side(run_zoo: Zoo, small_run: Run, other: Path) -> None:
    content = unsealed(other / "run.json")
    shift = {"name": "shift", "plugin": "keras", "settings": {"pixels": 2}}
    content["recipe"] |= {"schedule": {"name": "cosine", "plugin": "keras", "settings": {}}, "augmentations": [shift]}
    content["validation"]["others"] = content["test"]["others"] = {"macro-f1": 0.5}
    (other / "run.json").write_bytes(seal(content))
    done = run_zoo("compare", small_run.path, other)
    assert done.status == 0, done.err
    rows = {line.partition("  ")[0]: line.split()[-2:] for line in done.out.splitlines()}
    assert rows["schedule"] == ["keras/constant", "keras/cosine"]
    assert rows["augmentations"] == ["-", "keras/shift"]
    assert rows["augmentation.shift.pixels"] == ["-", "2"]
    assert rows["validation macro-f1"] == rows["test macro-f1"] == ["-", "0.5000"]
    assert "loss" not in rows  # the same function
    told = json.loads(run_zoo("compare", small_run.path, other, "--json").out)
    assert told["differing"]["augmentations"] == {"A": None, "B": "keras/shift"}
    assert told["runs"]["B"]["test"]["macro-f1"] == 0.5
    assert list(told["runs"]["A"]["test"]) == ["loss", "accuracy"]


def test_same_run_twice_does_not_differ(run_zoo: Zoo, small_run: Run, golden: Golden) -> None:
    done = run_zoo("compare", small_run.path, small_run.path)
    assert json.loads(run_zoo("compare", small_run.path, small_run.path, "--json").out)["differing"] == {}
    golden.says(done.out.split("\n\n")[1])
    golden.says(readings(done))


def test_several_pairs_are_adjusted_and_json_has_all(run_zoo: Zoo, small_run: Run, golden: Golden, other: Path) -> None:
    done = run_zoo("compare", small_run.path, other, small_run.path, "--json")
    result = json.loads(done.out)
    assert list(result) == ["runs", "differing", "pairs", "unpaired"]
    assert [(pair["first"], pair["second"]) for pair in result["pairs"]] == [("A", "B"), ("A", "C"), ("B", "C")]
    first = result["pairs"][0]
    assert first["adjusted_p_value"] == pytest.approx(3 * first["p_value"])
    assert first["p_value"] == pytest.approx(2 * 0.5**30)
    assert result["differing"]["seed"] == {"A": 0, "B": 1, "C": 0}
    golden.says(readings(run_zoo("compare", small_run.path, other, small_run.path)))


def test_run_without_predictions_leaves_the_pairs_of_the_others(
    run_zoo: Zoo, small_run: Run, golden: Golden, other: Path, tmp_path: Path
) -> None:
    untested = shutil.copytree(small_run.path, tmp_path / "untested")
    content = unsealed(untested / "run.json") | {"status": "trained", "test": None, "predictions_sha256": None}
    (untested / "run.json").write_bytes(seal(content))
    done = run_zoo("compare", untested, small_run.path, other)
    golden.says(readings(done))
    result = json.loads(run_zoo("compare", untested, small_run.path, other, "--json").out)
    assert [(pair["first"], pair["second"]) for pair in result["pairs"]] == [("B", "C")]
    assert list(result["unpaired"]) == ["A"]
    assert f"zoo test {untested}" in result["unpaired"]["A"]
    assert result["unpaired"]["A"] in done.out
    golden.says(readings(run_zoo("compare", untested, other)))


def test_few_deciding_images_tell_nothing(run_zoo: Zoo, small_run: Run, golden: Golden, other: Path) -> None:
    content, found = unsealed(other / "run.json"), zoo.read_predictions(small_run)
    right = np.flatnonzero(found.probabilities.argmax(axis=1) == found.labels)[:3]
    probabilities = found.probabilities.copy()
    probabilities[right] = np.roll(probabilities[right], 1, axis=1)
    write(other, content, probabilities, found.labels)
    golden.says(readings(run_zoo("compare", small_run.path, other)))


def _other_classes(content: dict[str, Any]) -> None:
    content["data"]["class_names"][0] = "hat"


def _other_files(content: dict[str, Any]) -> None:
    content["data"]["digests"] = {"test": "0"}
    del content["test_examples_sha256"]  # as in older records


def _other_images(content: dict[str, Any]) -> None:
    content["test_examples_sha256"] = "0" * 64


def _other_number(content: dict[str, Any]) -> None:
    content["data"]["test"] = 100


@pytest.mark.parametrize(
    "change",
    [_other_classes, _other_files, _other_images, _other_number],
    ids=["classes", "files", "images", "number"],
)
def test_other_test_data_are_refused(run_zoo: Zoo, small_run: Run, golden: Golden, other: Path, change: Any) -> None:
    content = unsealed(other / "run.json")
    change(content)
    (other / "run.json").write_bytes(seal(content))
    done = run_zoo("compare", small_run.path, other)
    assert (done.status, done.out) == (1, "")
    golden.says(done.err.replace(str(small_run.path), "<run>"))


def test_runs_of_other_training_files_are_compared(run_zoo: Zoo, small_run: Run, other: Path) -> None:
    content = unsealed(other / "run.json")
    content["data"]["digests"] = {"train": "0"}
    (other / "run.json").write_bytes(seal(content))
    assert run_zoo("compare", small_run.path, other).status == 0


def test_other_labels_and_other_data_sets_without_digests_are_refused(
    run_zoo: Zoo, small_run: Run, golden: Golden, other: Path, tmp_path: Path
) -> None:
    found = zoo.read_predictions(small_run)
    write(other, unsealed(other / "run.json"), found.probabilities, np.roll(found.labels, 1))
    golden.says(run_zoo("compare", small_run.path, other).err.replace(str(small_run.path), "<run>"))
    mine = Path(shutil.copytree(small_run.path, tmp_path / "mine"))
    for path, name in ((mine, "slice"), (other, "elsewhere")):
        content = unsealed(path / "run.json")
        content["data"]["digests"] = {}
        del content["test_examples_sha256"]
        content["recipe"]["dataset"]["name"] = name
        (path / "run.json").write_bytes(seal(content))
    golden.says(run_zoo("compare", mine, other).err)


def test_run_without_predictions_is_compared_without_them(
    run_zoo: Zoo, small_run: Run, golden: Golden, other: Path
) -> None:
    content = unsealed(other / "run.json")
    (other / "run.json").write_bytes(seal(content | {"predictions_sha256": None}))
    done = run_zoo("compare", small_run.path, other)
    assert done.status == 0
    assert "optimizer.learning_rate" in done.out
    assert f"zoo test {other}" in done.out
    golden.says(readings(done))
    (other / "run.json").write_bytes(seal(content))
    (other / "test-predictions.safetensors").write_bytes(b"damaged")
    done = run_zoo("compare", small_run.path, other)
    assert (done.status, done.out) == (1, "")
    assert str(other / "test-predictions.safetensors") in done.err
    golden.says(done.err)


def test_curves_are_drawn_whatever_the_folder_is_called(run_zoo: Zoo, small_run: Run, other: Path) -> None:
    odd = Path(shutil.copytree(other, other.with_name("$x^2_{$ \\frac <b>")))
    picture = other.parent / "curves.png"
    assert run_zoo("compare", small_run.path, odd, "--out", picture).status == 0
    with Image.open(picture) as image:
        assert image.width > 600
        assert len(set(image.convert("L").resize((64, 64)).tobytes())) > 20  # not blank


def test_recipes_are_compared_by_name(run_zoo: Zoo) -> None:
    done = run_zoo("compare", "fashion-cnn", "fashion-cnn-fast")
    assert done.status == 0
    assert re.search(r"\b212\b.*\b204\b.*\b10,000\b", readings(done))


def test_recipes_keep_their_names_in_all_that_is_said(run_zoo: Zoo, golden: Golden, other: Path) -> None:
    done = run_zoo("compare", "fashion-cnn", other)
    assert (done.status, done.out) == (1, "")
    assert "fashion-cnn" in done.err
    assert str(other) in done.err
    golden.says(done.err)
    found = json.loads(run_zoo("compare", "fashion-cnn", "fashion-cnn-fast", "--json").out)
    assert [each["run"] for each in found["runs"].values()] == ["fashion-cnn", "fashion-cnn-fast"]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["fashion-cnn"], 2),
        (["fashion-cnn"] * 27, 2),
        (["fashion-cnn", "fashion-cn"], 1),
        (["fashion-cnn", "fashion-cnn-fast", "--out", "a.txt"], 2),
        (["fashion-cnn", "fashion-cnn-fast", "--out", "nowhere/a.png"], 1),
    ],
    ids=["one run", "27 runs", "no such run", "no picture", "no such folder"],
)
def test_fault_is_one_clear_line(run_zoo: Zoo, golden: Golden, arguments: list[str], status: int) -> None:
    done = run_zoo("compare", *arguments)
    assert (done.status, done.out) == (status, "")
    (line,) = [line for line in done.err.splitlines() if line.startswith("Error: ")]
    golden.says(line)


def test_accelerator_differs_where_it_is_known(run_zoo: Zoo, small_run: Run, other: Path) -> None:
    content = unsealed(other / "run.json")
    content["environment"]["accelerator"] = "NVIDIA H100 PCIe"
    (other / "run.json").write_bytes(seal(content))
    differing = json.loads(run_zoo("compare", small_run.path, other, "--json").out)["differing"]
    here = small_run.record.environment.accelerator or "none"
    assert differing["accelerator"] == {"A": here, "B": "NVIDIA H100 PCIe"}
    del content["environment"]["accelerator"]  # as records of older versions are
    (other / "run.json").write_bytes(seal(content))
    assert "accelerator" not in json.loads(run_zoo("compare", small_run.path, other, "--json").out)["differing"]


def test_what_one_run_does_not_know_hides_no_difference_of_others(
    run_zoo: Zoo, small_run: Run, other: Path, tmp_path: Path
) -> None:
    third = shutil.copytree(other, tmp_path / "third")
    content = unsealed(other / "run.json")
    content["environment"]["accelerator"] = "NVIDIA H100 PCIe"
    content["environment"]["packages"]["numpy"] = "1.0"
    (other / "run.json").write_bytes(seal(content))
    del content["environment"]["accelerator"], content["environment"]["packages"]["numpy"]
    (third / "run.json").write_bytes(seal(content))
    done = run_zoo("compare", small_run.path, other, third, "--json")
    differing = json.loads(done.out)["differing"]
    record = small_run.record.environment
    assert differing["accelerator"] == {"A": record.accelerator or "none", "B": "NVIDIA H100 PCIe", "C": "unknown"}
    assert differing["version of numpy"] == {"A": record.packages["numpy"], "B": "1.0", "C": None}
