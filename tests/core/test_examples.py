"""Examples, the cut of a validation split, and what loss and accuracy mean."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import pytest

from tests.support.golden import Golden
from zoo import ArrayExamples, DataError, PluginError, SettingError, Split, Trainer
from zoo.data import Subset, first_joined, labels_of, scale_pixels, split
from zoo.data.examples import Joined
from zoo.interfaces import Training, TrainingConfig
from zoo.runs.records import ComponentRecord
from zoo.training import metrics
from zoo.utils import processors_allowed

IMAGES = np.arange(20 * 2 * 2, dtype=np.uint8).reshape(20, 2, 2, 1)
LABELS = np.arange(20) % 3
SPLIT = Split(train=ArrayExamples(IMAGES, LABELS), test=ArrayExamples(IMAGES, LABELS), class_names=("a", "b", "c"))


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (IMAGES[..., 0], LABELS),
        (IMAGES.astype(np.float32), LABELS),
        (IMAGES, LABELS[:-1]),
        (IMAGES, LABELS.astype(float)),
        (IMAGES, LABELS[:, None]),
    ],
    ids=["no-channels", "float-images", "one-label-less", "float-labels", "labels-in-a-column"],
)
def test_arrays_of_other_shapes_or_types_are_refused(golden: Golden, images: Any, labels: Any) -> None:
    with golden.raises(DataError):
        ArrayExamples(images, labels)


def test_subset_takes_in_its_own_order() -> None:
    subset = Subset(SPLIT.train, np.array([5, 3, 1]))
    images, labels = subset[np.array([2, 0])]
    np.testing.assert_array_equal(images, IMAGES[[1, 5]])
    np.testing.assert_array_equal(labels, LABELS[[1, 5]])


def test_validation_is_cut_out_of_the_training_examples_the_same_every_time() -> None:
    first, second = (split.cut_validation(SPLIT, 6) for _ in range(2))
    assert isinstance(first.train, Subset)
    assert isinstance(first.validation, Subset)
    assert isinstance(second.validation, Subset)
    assert (len(first.train), len(first.validation)) == (14, 6)
    assert set(first.train.indices) | set(first.validation.indices) == set(range(20))
    np.testing.assert_array_equal(first.validation.indices, second.validation.indices)
    assert first.test is SPLIT.test


@pytest.mark.parametrize("count", [1, 5, 11, 19])
def test_validation_does_not_divide_groups(count: int) -> None:
    groups = tuple(str(i) for i in [0] * 6 + [1] * 5 + [2] * 4 + [3, 4, 5, 6, 7])
    grouped = dataclasses.replace(SPLIT, train_groups=groups, train_ids=tuple(map(str, range(20))))
    cut = split.cut_validation(grouped, count)
    assert set(cut.train_groups).isdisjoint(cut.validation_groups)
    assert cut.train_groups
    assert abs(len(cut.validation_ids) - count) <= 6  # the largest group
    assert cut.validation_groups == tuple(groups[int(name)] for name in cut.validation_ids)
    alone = dataclasses.replace(grouped, train_groups=tuple(map(str, range(20))))  # then as without groups
    plain = split.cut_validation(dataclasses.replace(grouped, train_groups=()), count)
    assert split.cut_validation(alone, count).validation_ids == plain.validation_ids


def test_a_single_group_is_not_held_out(golden: Golden) -> None:
    with golden.raises(SettingError) as raised:
        split.cut_validation(dataclasses.replace(SPLIT, train_groups=("one",) * 20), 5)
    assert (raised.value.name, raised.value.value) == ("validation", 5)


def test_names_and_groups_go_with_their_examples() -> None:
    names = tuple(f"{number}.png" for number in range(20))
    named = dataclasses.replace(SPLIT, train_ids=names, train_groups=tuple(f"group {name}" for name in names))
    cut = split.cut_validation(named, 6)
    for examples, ids in ((cut.train, cut.train_ids), (cut.validation, cut.validation_ids)):
        assert isinstance(examples, Subset)
        assert ids == tuple(names[index] for index in examples.indices)
    assert cut.train_groups == tuple(f"group {name}" for name in cut.train_ids)


@pytest.mark.parametrize("count", [0, 1, 30, 500])
def test_pairs_join_items_into_groups_named_after_their_first(count: int) -> None:
    pairs = np.random.default_rng(count).integers(0, max(count, 1), (count // 2, 2)).tolist()
    expected = list(range(count))
    for _ in range(count):  # numbers spread from pair to pair until none changes
        for one, other in pairs:
            expected[one] = expected[other] = min(expected[one], expected[other])
    assert first_joined(count, pairs).tolist() == expected


def test_folds_have_equal_shares_of_each_class_and_every_image_once() -> None:
    labels = np.repeat([0, 1, 2], [50, 30, 11])
    numbers = split.fold_numbers(labels, (), 5)
    assert sorted(np.bincount(numbers)[1:].tolist()) == [18, 18, 18, 18, 19]
    for label, least, most in ((0, 10, 10), (1, 6, 6), (2, 2, 3)):
        counts = np.bincount(numbers[labels == label], minlength=6)[1:]
        assert least <= counts.min() <= counts.max() <= most
    np.testing.assert_array_equal(numbers, split.fold_numbers(labels, (), 5))


def test_groups_stay_in_one_fold() -> None:
    rng = np.random.default_rng(1)
    groups = tuple(f"patient {number}" for number in rng.integers(0, 40, 600))
    labels = rng.choice(3, 600, p=[0.7, 0.2, 0.1])
    numbers = split.fold_numbers(labels, groups, 4)
    for group in set(groups):
        assert len({number for number, name in zip(numbers, groups, strict=True) if name == group}) == 1
    for label in range(3):
        counts = np.bincount(numbers[labels == label], minlength=5)[1:]
        largest = max(sum(name == group for name in np.array(groups)[labels == label]) for group in set(groups))
        assert counts.max() - counts.min() <= 2 * largest


@pytest.mark.parametrize("groups", [(), ("a", "b", "a", "b")], ids=["images", "groups"])
def test_more_folds_than_images_or_groups_are_refused(golden: Golden, groups: tuple[str, ...]) -> None:
    with golden.raises(SettingError) as raised:
        split.fold_numbers(np.array([0, 1, 0, 1]), groups, 5 if not groups else 3)
    assert raised.value.name == "fold"


def test_a_fold_includes_the_data_set_s_own_validation_images() -> None:
    own = dataclasses.replace(
        SPLIT,
        validation=ArrayExamples(IMAGES[:10] + 100, LABELS[:10]),
        train_ids=tuple(map(str, range(20))),
        validation_ids=tuple(map(str, range(20, 30))),
        train_groups=tuple("ab" * 10),
    )
    given = split.without_validation(dataclasses.replace(own, validation_groups=tuple("b" * 10)))
    assert given.train_groups == (*"ab" * 10, *"b" * 10)
    assert len(set(split.without_validation(own).train_groups)) == 12  # others are on their own
    for several in (own, dataclasses.replace(own, train_groups=())):
        folds = [split.cut_fold(several, number, 3) for number in (1, 2, 3)]
        assert sorted(name for fold in folds for name in fold.validation_ids) == sorted(map(str, range(30)))
        for fold in folds:
            assert fold.validation is not None
            assert len(fold.train) + len(fold.validation) == 30
            for examples, ids in ((fold.train, fold.train_ids), (fold.validation, fold.validation_ids)):
                images, labels = examples[np.arange(len(examples))]
                np.testing.assert_array_equal(labels, [int(name) % 20 % 3 for name in ids])
                expected = [IMAGES[int(name) % 20] + (100 if int(name) >= 20 else 0) for name in ids]
                np.testing.assert_array_equal(images, expected)


def test_labels_are_taken_without_reading_images_where_they_are_stored() -> None:
    class Unread(ArrayExamples):
        def __getitem__(self, indices: Any, /) -> Any:
            raise AssertionError("An image was read.")

    stored = Subset(Joined(Unread(IMAGES, LABELS), Unread(IMAGES, LABELS)), np.array([3, 25, 7]))
    np.testing.assert_array_equal(labels_of(stored, 3), LABELS[[3, 5, 7]])
    with pytest.raises(DataError):
        labels_of(stored, 1)

    class Alone:
        def __len__(self) -> int:
            return 20

        def __getitem__(self, indices: Any, /) -> Any:
            return IMAGES[indices], LABELS[indices]

    np.testing.assert_array_equal(labels_of(Subset(Alone(), np.array([4, 1])), 3), LABELS[[4, 1]])


def test_labels_of_large_images_are_read_in_bounded_memory() -> None:
    class Large:
        read = 0  # bytes, at most at once

        def __len__(self) -> int:
            return 200

        def __getitem__(self, indices: Any, /) -> Any:
            images = np.zeros((len(indices), 1024, 1024, 3), np.uint8)
            self.read = max(self.read, images.nbytes)
            return images, indices % 3

    large = Large()
    np.testing.assert_array_equal(labels_of(large, 3), np.arange(200) % 3)
    assert 0 < large.read <= 64 << 20


def test_balanced_sampling_repeats_images_of_smaller_classes() -> None:
    labels = np.repeat([0, 1, 2], [12, 5, 3])
    uneven = dataclasses.replace(
        SPLIT, train=ArrayExamples(IMAGES, labels), train_ids=tuple(map(str, range(20))), sampling="balanced"
    )
    found = split.balanced(uneven)
    assert np.bincount(labels_of(found.train, 3)).tolist() == [12, 12, 12]
    repeated = np.bincount([int(name) for name in found.train_ids], minlength=20)
    assert repeated.tolist() == [1] * 12 + [3, 3, 2, 2, 2] + [4] * 3
    assert split.balanced(SPLIT) is SPLIT


def test_a_data_set_s_own_validation_split_stays() -> None:
    own = Split(train=SPLIT.train, test=SPLIT.test, validation=SPLIT.test, class_names=SPLIT.class_names)
    assert split.cut_validation(own, 6) is own
    assert split.cut_validation(SPLIT, 0) is SPLIT


def test_too_large_a_validation_split_is_refused(golden: Golden) -> None:
    with golden.raises(SettingError) as raised:
        split.cut_validation(SPLIT, 20)
    assert (raised.value.name, raised.value.value) == ("validation", 20)


def test_scaled_pixels_are_exact() -> None:
    scaled = scale_pixels(np.arange(256, dtype=np.uint8))
    assert scaled.dtype == np.float32
    np.testing.assert_array_equal(scaled, np.arange(256, dtype=np.float32) / 255)


@pytest.mark.parametrize("shape", [(1,), (3, 5, 7, 3), (64, 28, 28, 1), (9, 250, 250, 3)])
def test_scaled_pixels_begin_where_backends_need_no_copy(shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    arrays = [scale_pixels(images) for _ in range(5)]  # each at another place
    assert [scaled.ctypes.data % 64 for scaled in arrays] == [0] * 5
    for scaled in arrays:
        np.testing.assert_array_equal(scaled, images / np.float32(255))
    assert scale_pixels(images[:0]).shape == (0, *shape[1:])


@pytest.mark.parametrize("shape", [(13, 300, 300, 3), (2, 1200, 1200, 1), (1 << 20, 2), (1, 1 << 21)])
def test_threads_scale_parts_of_many_pixels(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    with ThreadPoolExecutor(3) as pool:
        monkeypatch.setattr("zoo.data.examples._scaling_threads", lambda: pool)
        np.testing.assert_array_equal(scale_pixels(images[::-1]), images[::-1] / np.float32(255))
        assert pool._threads


SCALE_AT_EXIT = """
import atexit
import numpy as np
from zoo.data import scale_pixels

atexit.register(lambda: print(scale_pixels(np.full((64, 200, 200, 3), 255, np.uint8)).min()))
"""


def test_pixels_are_scaled_where_no_thread_can_be_started() -> None:
    done = subprocess.run([sys.executable, "-c", SCALE_AT_EXIT], check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("1.0\n", "")


SCALE_IN_A_CHILD = """
import os, signal, threading
import numpy as np
from zoo.data import scale_pixels

images = np.full((64, 200, 200, 3), 255, np.uint8)
for _ in range(3):
    scale_pixels(images)
started = threading.active_count() - 1
child = os.fork()
if not child:
    signal.alarm(30)
    os._exit(0 if scale_pixels(images).min() == 1 else 1)
print(started, os.waitpid(child, 0)[1])
"""


def test_threads_that_scale_are_few_and_a_forked_child_has_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", SCALE_IN_A_CHILD], check=True, capture_output=True, text=True)
    started, status = map(int, done.stdout.split())
    assert 1 <= started <= min(8, processors_allowed())
    assert status == 0


def test_metrics_agree_with_keras() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(5), size=200).astype(np.float32)
    probabilities[0] = [0, 0, 1, 0, 0]
    labels = generator.integers(0, 5, size=200)
    labels[0] = 1  # certain and wrong: the clip counts
    ours = metrics.compute_metrics(probabilities, labels)
    theirs = keras.losses.SparseCategoricalCrossentropy()(labels, probabilities)
    assert ours.loss == pytest.approx(float(theirs), rel=1e-6)
    assert ours.accuracy == (probabilities.argmax(1) == labels).mean()


def test_metrics_of_nan_are_nan() -> None:
    assert np.isnan(metrics.compute_metrics(np.full((2, 3), np.nan), np.array([0, 1])).loss)


class Always(Trainer):
    """A trainer that predicts one thing."""

    def __init__(self, prediction: Any) -> None:
        self.prediction = prediction

    def start(self, model: Any, train: Any, settings: TrainingConfig) -> Training:
        raise NotImplementedError

    def predict(self, model: Any, images: Any) -> Any:
        return np.broadcast_to(self.prediction, (len(images), len(self.prediction)))


def test_evaluation_keeps_the_order() -> None:
    many = ArrayExamples(np.zeros((1200, 2, 2, 1), np.uint8), np.arange(1200) % 3)
    scores = metrics.evaluate(Always([0.5, 0.25, 0.25]), None, many, 3)
    assert scores.probabilities.shape == (1200, 3)
    np.testing.assert_array_equal(scores.labels, many.labels)
    assert scores.metrics.accuracy == 400 / 1200


@pytest.mark.parametrize("predicted", [[0.5, 0.5], [3.0, -2.0, 0.0], [0.5, 0.5, 0.5]], ids=["shape", "negative", "sum"])
def test_evaluation_refuses_odd_predictions(golden: Golden, predicted: list[float]) -> None:
    model = ComponentRecord(name="net", plugin="mine", settings={})
    with golden.raises(PluginError, plugin="mine"), metrics.names_model(model):
        metrics.evaluate(Always(predicted), None, SPLIT.test, 3)
