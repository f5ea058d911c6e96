"""Wrong labels are found by confident learning; predictions from a file are read with every check."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save
from zoo_data.confident_learning import find_doubtful_labels

from tests.support.golden import Golden
from zoo.errors import ArtifactError, RunFolderError
from zoo.runs import read_out_of_fold


def noisy(
    images: int, classes: int, flipped: float, sharpness: float
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return probabilities of a good model, labels of which some are flipped, and which these are."""
    random = np.random.default_rng(0)
    truth = random.integers(0, classes, images)
    is_wrong = random.random(images) < flipped
    labels = np.where(is_wrong, (truth + random.integers(1, classes, images)) % classes, truth)
    scores = random.normal(size=(images, classes))
    scores[np.arange(images), truth] += sharpness
    probabilities = np.exp(1.5 * scores)
    return probabilities / probabilities.sum(axis=1, keepdims=True), labels, is_wrong


@pytest.mark.parametrize(("sharpness", "precision", "recall"), [(4.0, 0.95, 0.8), (2.5, 0.5, 0.75)])
def test_flipped_labels_are_found(sharpness: float, precision: float, recall: float) -> None:
    probabilities, labels, is_wrong = noisy(4000, 8, 0.05, sharpness)
    found = find_doubtful_labels(probabilities, labels)
    assert is_wrong[found.positions].mean() >= precision  # of which 0.05 would be right by chance
    assert is_wrong[found.positions].sum() >= recall * is_wrong.sum()
    assert is_wrong[found.positions[:50]].mean() >= 0.9  # the most doubtful first


def test_estimate_of_a_good_model_is_near_the_number_of_flipped_labels() -> None:
    probabilities, labels, is_wrong = noisy(4000, 8, 0.05, 4.0)
    found = find_doubtful_labels(probabilities, labels)
    assert found.estimated_errors == pytest.approx(is_wrong.sum(), rel=0.1)


def test_confident_joint_is_that_counted_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.1, 0.9], [0.4, 0.6], [0.95, 0.05]])
    found = find_doubtful_labels(probabilities, np.array([0, 0, 0, 1, 1, 1], np.uint8))
    # of label 0: (0.9 + 0.7 + 0.2) / 3; of label 1: (0.9 + 0.6 + 0.05) / 3
    assert found.thresholds == pytest.approx([0.6, 31 / 60])
    assert found.confident_joint.tolist() == [[0, 0, 2], [0, 1, 1], [1, 0, 1], [1, 1, 2]]  # label, class, images
    assert found.estimated_errors == pytest.approx(2)
    assert found.positions.tolist() == [5, 2]  # by margin: 0.05 - 0.95, then 0.2 - 0.8


def test_right_labels_are_left_alone() -> None:
    labels = np.arange(300) % 3
    assert len(find_doubtful_labels(np.eye(3)[labels] * 0.97 + 0.01, labels).positions) == 0


def test_class_without_images_has_no_threshold() -> None:
    probabilities, labels, _ = noisy(200, 3, 0.0, 4.0)
    wider = np.concatenate([probabilities, np.zeros((200, 1))], axis=1)
    found = find_doubtful_labels(wider, labels)
    assert np.isnan(found.thresholds).tolist() == [False, False, False, True]
    assert 3 not in found.confident_joint[:, :2]


def test_memory_is_bounded_with_many_classes() -> None:
    """A matrix of 20,000 classes would take 3.2 GB."""
    classes, images = 20_000, 1000
    random = np.random.default_rng(0)
    truth = random.integers(0, classes // 100, images) * 100
    labels = truth.copy()
    wrong = [3, 77, 500]
    labels[wrong] = (labels[wrong] + 100) % classes
    probabilities = np.full((images, classes), 0.1 / (classes - 1), np.float32)
    probabilities[np.arange(images), truth] = 0.9
    tracemalloc.start()
    found = find_doubtful_labels(probabilities, labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sorted(found.positions.tolist()) == wrong
    assert peak < 300e6


ARRAYS: dict[str, NDArray[Any]] = {
    "indices": np.array([4, 0, 2], np.int64),
    "labels": np.array([0, 1, 1], np.int64),
    "probabilities": np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]], np.float32),
}


def test_predictions_are_read_from_the_file_or_its_folder(tmp_path: Path) -> None:
    (tmp_path / "out-of-fold.safetensors").write_bytes(save(ARRAYS))
    for path in (tmp_path, tmp_path / "out-of-fold.safetensors"):
        found = read_out_of_fold(path, images=5, classes=2)
        assert found.indices.tolist() == [4, 0, 2]
        assert found.probabilities.dtype == np.float32


def header(**changes: Any) -> bytes:
    """Return a file whose header says something else."""
    text = json.dumps({"indices": {"dtype": "I64", "shape": [3], "data_offsets": [0, 24]}, **changes}).encode()
    return len(text).to_bytes(8, "little") + text + bytes(24)


FAULTS: dict[str, bytes] = {
    "not safetensors": b"nothing of the kind",
    "empty": b"",
    "a list": (2).to_bytes(8, "little") + b"[]",
    "one array": header(),
    "an array too many": save({**ARRAYS, "more": np.zeros(1)}),
    "more images than there are": save({name: np.repeat(array, 2, axis=0) for name, array in ARRAYS.items()}),
    "no images": save({name: array[:0] for name, array in ARRAYS.items()}),
    "an index twice": save({**ARRAYS, "indices": np.array([4, 0, 4])}),
    "an index too large": save({**ARRAYS, "indices": np.array([5, 0, 2])}),
    "an index below 0": save({**ARRAYS, "indices": np.array([-1, 0, 2])}),
    "a label that is no class": save({**ARRAYS, "labels": np.array([0, 1, 2])}),
    "a class too many": save({**ARRAYS, "probabilities": np.full((3, 3), 1 / 3)}),
    "fewer labels": save({**ARRAYS, "labels": ARRAYS["labels"][:2]}),
    "labels as floats": save({**ARRAYS, "labels": ARRAYS["labels"].astype(np.float32)}),
    "no probabilities": save({**ARRAYS, "probabilities": np.full((3, 2), 0.9)}),
    "a negative probability": save({**ARRAYS, "probabilities": np.tile([1.5, -0.5], (3, 1))}),
    "NaN": save({**ARRAYS, "probabilities": np.full((3, 2), np.nan)}),
    "a shape in a list": header(
        **{name: {"dtype": "I64", "shape": [[3]], "data_offsets": [0, 24]} for name in ("indices", "labels")},
        probabilities={"dtype": "F64", "shape": [3, 2], "data_offsets": [0, 48]},
    ),
    "a shape of text": header(labels={"dtype": "I64", "shape": "ab", "data_offsets": [0, 24]}),
}


@pytest.mark.parametrize("fault", list(FAULTS))
def test_file_with_anything_else_is_refused(golden: Golden, tmp_path: Path, fault: str) -> None:
    path = tmp_path / "out-of-fold.safetensors"
    path.write_bytes(FAULTS[fault])
    with golden.raises(ArtifactError, path=str(path)):
        read_out_of_fold(path, images=5, classes=2)


def test_file_that_is_too_large_or_missing_is_not_read(golden: Golden, tmp_path: Path) -> None:
    with golden.raises(RunFolderError):
        read_out_of_fold(tmp_path / "nothing", images=5, classes=2)
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(RunFolderError):
        read_out_of_fold(tmp_path / "large", images=5, classes=2)
