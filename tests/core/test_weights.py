"""Artifacts: exact, comparable, and refused whole."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load, save

from tests.support.golden import Golden
from zoo.errors import ArtifactError
from zoo.models import weights
from zoo.runs import array_io

Arrays = dict[str, NDArray[np.float32]]


def build(units: int = 4) -> keras.Model:
    return keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(units), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)]
    )


def test_round_trip_is_exact_and_holds_statistics_but_no_seeds() -> None:
    model, fresh = build(), build()
    model.weights[-1].assign([1.5, 2.5, 3.5, 4.5])
    data = weights.encode(model)
    weights.decode_into(fresh, data, "it")
    assert sorted(load(data)) == [
        "000.kernel", "001.bias", "002.gamma", "003.beta", "004.moving_mean", "005.moving_variance",
    ]  # fmt: skip
    for ours, theirs in zip(model.weights, fresh.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert weights.encode(fresh) == data


def test_names_do_not_depend_on_what_the_process_built_before() -> None:
    class Scale(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
        def build(self, shape: tuple[int, ...]) -> None:
            self.factor = self.add_weight(shape=shape[-1:])  # no name: Keras numbers it

        def call(self, inputs: object) -> object:
            return inputs * self.factor

    first, second = (keras.Sequential([keras.Input((3,)), Scale()]) for _ in range(2))
    assert weights.names_of(first) == weights.names_of(second) == ["000.variable"]


def test_artifact_fits_its_limit() -> None:
    model = build()
    assert len(weights.encode(model)) <= array_io.size_limit(weights.layout_of(model))


def without_last(arrays: Arrays) -> None:
    del arrays["005.moving_variance"]


def with_more(arrays: Arrays) -> None:
    arrays["../../x"] = np.zeros(1, np.float32)


def of_other_shape(arrays: Arrays) -> None:
    arrays["001.bias"] = np.zeros(5, np.float32)


def of_other_type(arrays: Arrays) -> None:
    arrays["001.bias"] = arrays["001.bias"].astype(np.float16)


def with_nan(arrays: Arrays) -> None:
    arrays["005.moving_variance"][2] = np.nan


@pytest.mark.parametrize("damage", [without_last, with_more, of_other_shape, of_other_type, with_nan])
def test_artifact_that_does_not_fit_changes_nothing(golden: Golden, damage: Callable[[Arrays], None]) -> None:
    arrays = load(weights.encode(build()))
    damage(arrays)
    model = build()
    before = weights.encode(model)
    with golden.raises(ArtifactError, path="it"):
        weights.decode_into(model, save(arrays), "it")
    assert weights.encode(model) == before


@pytest.mark.parametrize("data", [b"", b"x" * 100, b"\xff" * 8], ids=["empty", "text", "no-header"])
def test_what_is_no_safetensors_file_is_refused(golden: Golden, data: bytes) -> None:
    with golden.raises(ArtifactError, path="it"):
        weights.decode_into(build(), data, "it")


def test_safetensors_file_that_is_cut_off_is_refused() -> None:
    with pytest.raises(ArtifactError) as raised:  # not golden: most of it are words of the library
        weights.decode_into(build(), weights.encode(build())[:-1], "it")
    assert raised.value.path == "it"
