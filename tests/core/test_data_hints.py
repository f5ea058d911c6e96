"""What does not suit the data is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zoo
from tests.support.golden import Golden
from zoo import Registry
from zoo.errors import DataHint
from zoo.pipeline.data_hints import warn_after_test


def train(registry: Registry, tmp_path: Path, **options: Any) -> None:
    zoo.train("small", registry=registry, out=tmp_path / "run", epochs=1, **options)


@pytest.mark.slow
def test_an_epoch_of_one_step(registry: Registry, tmp_path: Path, golden: Golden) -> None:
    with golden.warns(DataHint):
        train(registry, tmp_path, batch_size=500)


@pytest.mark.slow
def test_a_handful_of_validation_images(registry: Registry, tmp_path: Path, golden: Golden) -> None:
    with golden.warns(DataHint):
        train(registry, tmp_path, validation=20)


@pytest.mark.slow
def test_mirrored_digits(registry: Registry, tmp_path: Path, golden: Golden) -> None:
    with golden.warns(DataHint):
        train(registry, tmp_path, dataset="digits", augmentations=["flip"], settings={"trainer.flip_tta": True})


@pytest.mark.parametrize(("accuracy", "is_said"), [(0.6, True), (0.61, False)])
def test_accuracy_of_the_largest_class(accuracy: float, is_said: bool, golden: Golden) -> None:
    labels = np.array([0] * 6 + [1] * 4)
    with golden.warns(DataHint, int(is_said)):
        warn_after_test(zoo.Metrics(loss=1.0, accuracy=accuracy), labels, ("cat", "dog"))


def test_nothing_is_said_where_nothing_is_wrong(registry: Registry, tmp_path: Path, golden: Golden) -> None:
    with golden.warns(DataHint, 0):
        train(registry, tmp_path, augmentations=["flip"])
