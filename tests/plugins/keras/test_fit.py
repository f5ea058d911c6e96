"""The trainer ``fit``: depends on seed and epoch alone, resumes exactly, tells of every step."""

from __future__ import annotations

import gc
import os
import platform
import subprocess
import sys
import time
import weakref
from typing import Any

import keras
import numpy as np
import pytest
import zoo_keras.batches
from numpy.typing import NDArray
from zoo_fashion.model import build
from zoo_keras.batches import AHEAD, ReadAhead, ShuffledBatches, as_fit_takes_them
from zoo_keras.fit import Fit, FitTraining
from zoo_keras.variables import order_of

from tests.support.golden import Golden
from tests.support.small_recipe import FashionSlice
from zoo import ArrayExamples, DataError, Metrics, TrainingConfig
from zoo.data import scale_pixels

SETTINGS = TrainingConfig(epochs=3, batch_size=64, seed=7)
TRAIN = FashionSlice().load(None).train

on_tensorflow = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="other backends use no tf.data")


def quietly(step: int, metrics: Metrics) -> None:
    """Watch nothing."""


def start(settings: TrainingConfig = SETTINGS) -> tuple[keras.Model, FitTraining]:
    keras.utils.set_random_seed(settings.seed)
    model = build((28, 28, 1), 10, widths=(4, 4, 4), dense_width=8)
    return model, Fit().begin(model, TRAIN, settings)


@pytest.mark.slow
def test_one_seed_gives_the_same_bits_and_another_others() -> None:
    first, again, other = (start(TrainingConfig(epochs=3, batch_size=64, seed=seed))[1] for seed in (7, 7, 8))
    metrics = [training.run_epoch(0, quietly) for training in (first, again, other)]
    assert metrics[0] == metrics[1] != metrics[2]
    for name, array in first.state().items():
        np.testing.assert_array_equal(array, again.state()[name])


@pytest.mark.slow
def test_resuming_gives_the_same_bits_as_going_on() -> None:
    _, whole = start()
    for epoch in range(2):
        whole.run_epoch(epoch, quietly)
    state = whole.state()
    expected = whole.run_epoch(2, quietly)

    model, resumed = start()
    keras.random.normal((3,))  # what was drawn elsewhere does not matter
    resumed.restore(state)
    assert resumed.run_epoch(2, quietly) == expected
    for name, array in whole.state().items():
        np.testing.assert_array_equal(array, resumed.state()[name])
    assert int(model.optimizer.iterations) == 3 * 10


def test_state_is_a_copy() -> None:
    _, training = start()
    before = training.state()
    copies = {name: array.copy() for name, array in before.items()}
    training.run_epoch(0, quietly)
    for name, array in before.items():
        np.testing.assert_array_equal(array, copies[name])


def test_order_and_dropout_differ_between_epochs() -> None:
    orders = [ShuffledBatches(TRAIN, 600, (7, epoch), 10)[0][1].argmax(1).tolist() for epoch in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(orders[2])

    model, training = start()
    states = []
    for epoch in (0, 1):
        training.run_epoch(epoch, quietly)
        states.append([np.array(v) for v in model.variables if v.path.endswith("seed_generator_state")])
    assert len(states[0]) == 4
    assert len({state.tobytes() for epoch_states in states for state in epoch_states}) == 8


def test_every_step_is_told_and_metrics_are_those_of_the_epoch() -> None:
    told: list[tuple[int, Metrics]] = []
    _, training = start()
    metrics = training.run_epoch(0, lambda step, metrics: told.append((step, metrics)))
    assert [step for step, _ in told] == list(range(1, 11))  # 600 examples in batches of 64
    assert told[-1][1] == metrics
    assert 0 < metrics.accuracy < 1


@pytest.mark.slow
def test_agrees_with_keras_fit_on_arrays_in_that_order() -> None:
    settings = TrainingConfig(epochs=1, batch_size=64, seed=7)
    keras.utils.set_random_seed(7)
    theirs = build((28, 28, 1), 10, widths=(4, 4, 4), dense_width=8, dropout=0.0)
    theirs.compile("adam", "categorical_crossentropy")
    keras.utils.set_random_seed(7)
    ours = build((28, 28, 1), 10, widths=(4, 4, 4), dense_width=8, dropout=0.0)
    Fit().start(ours, TRAIN, settings).run_epoch(0, quietly)

    images, labels = TRAIN[np.random.default_rng([7, 0]).permutation(600)]
    theirs.fit(images.astype("float32") / 255, keras.utils.to_categorical(labels, 10), 64, 1, 0, shuffle=False)
    for our_weight, their_weight in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(our_weight, their_weight, atol=1e-6)


def test_label_out_of_range_is_told_as_such(golden: Golden) -> None:
    examples = ArrayExamples(np.zeros((8, 28, 28, 1), np.uint8), np.array([0, 1, 2, 3, 4, 5, 6, 10]))
    training = Fit().start(build((28, 28, 1), 10, widths=(2, 2, 2), dense_width=2), examples, SETTINGS)
    with golden.raises(DataError):
        training.run_epoch(0, quietly)


def test_predictions_do_not_depend_on_how_many_are_asked_for_at_once() -> None:
    model, _ = start()
    images, _ = TRAIN[np.arange(600)]
    whole = Fit().predict(model, images)
    assert whole.shape == (600, 10)
    np.testing.assert_array_equal(whole[:500], Fit().predict(model, images[:500]))
    assert Fit().predict(model, images[:0]).shape == (0, 10)


def test_batches_read_ahead_are_the_same_in_the_same_order_and_few() -> None:
    asked: list[tuple[int, ...]] = []

    class Watched:
        def __len__(self) -> int:
            return len(TRAIN)

        def __getitem__(self, indices: NDArray[np.intp], /) -> tuple[NDArray[np.uint8], NDArray[np.integer[Any]]]:
            asked.append(tuple(indices))
            return TRAIN[indices]

    plain = ShuffledBatches(TRAIN, 64, (7, 0), 10)
    ahead = ReadAhead(ShuffledBatches(Watched(), 64, (7, 0), 10))
    order = [tuple(part) for part in np.array_split(order_of(7, 0, 600), range(64, 600, 64))]
    for index in range(len(plain)):
        for ours, theirs in zip(ahead[index], plain[index], strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert len(asked) <= index + 1 + AHEAD
        if index == 0:
            deadline = time.monotonic() + 10
            while len(asked) < 1 + AHEAD and time.monotonic() < deadline:
                time.sleep(0.01)  # nobody asks, and the next ones are read all the same
            assert len(asked) == 1 + AHEAD
    assert asked == order
    ahead.close()


@on_tensorflow
def test_tensorflow_takes_batches_without_copying_them(monkeypatch: pytest.MonkeyPatch) -> None:
    scaled = []

    def note(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        scaled.append(scale_pixels(images))
        return scaled[-1]

    monkeypatch.setattr(zoo_keras.batches, "scale_pixels", note)
    with as_fit_takes_them(ShuffledBatches(TRAIN, 64, (7, 0), 10)) as batches:
        taken = [np.asarray(memoryview(images)) for images, _ in batches]  # kept, so that no memory is used again
    assert len(taken) == 10
    # the first of those noted only gives the shape
    assert [array.ctypes.data for array in taken] == [array.ctypes.data for array in scaled[1:]]


@on_tensorflow
def test_batches_are_free_after_their_epoch() -> None:
    batches = ShuffledBatches(TRAIN, 64, (7, 0), 10)
    reference = weakref.ref(batches)
    with as_fit_takes_them(batches) as data:
        assert len(list(data)) == 10
    del batches, data
    gc.collect()
    assert reference() is None


# blocks of 1 MiB, all at once, again and again: page faults of the last five times
TAKE_MEMORY = """
import resource
import numpy as np
import zoo
from zoo import ArrayExamples
from zoo_keras.batches import ShuffledBatches, as_fit_takes_them

zoo.utils.keep_freed_memory()
examples = ArrayExamples(np.zeros((256, 8, 8, 1), np.uint8), np.zeros(256, int))
faults = []
with as_fit_takes_them(ShuffledBatches(examples, 16, (0,), 10)) as batches:
    for _ in batches:
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
        memory = [bytearray(b"x" * 2**20) for _ in range(400)]
        del memory
print(faults[-1] - faults[-6])
"""


@pytest.mark.slow
@on_tensorflow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is one of glibc's allocator")
def test_memory_is_kept_though_tensorflow_tells_the_allocator_to_return_it() -> None:
    environment = os.environ | {"ZOO_KEEP_MEMORY": "1"}
    command = [sys.executable, "-c", TAKE_MEMORY]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert int(done.stdout) < 5 * 400 * 2**20 // 4096 / 20


def test_fault_in_a_batch_read_ahead_comes_with_that_batch(golden: Golden) -> None:
    examples = ArrayExamples(np.zeros((8, 4, 4, 1), np.uint8), np.array([0, 1, 2, 3, 4, 5, 6, 10]))
    ahead = ReadAhead(batches := ShuffledBatches(examples, 1, (0,), 10))
    bad = int(np.flatnonzero(np.random.default_rng((0,)).permutation(8) == 7)[0])
    for index in range(bad):
        assert ahead[index][1].shape == (1, 10)
    with golden.raises(DataError):
        ahead[bad]
    assert isinstance(batches.error, DataError)
    ahead.close()
