"""A dataset by name, or by the name of a recipe: looked up and checked before anything is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.golden import Golden
from zoo import DataError, Recipe, Registry, SettingError
from zoo.data import cut_validation, prepare_dataset
from zoo.errors import UnknownNameError


def test_dataset_is_loaded_with_its_settings(registry: Registry) -> None:
    config = prepare_dataset("slice", settings={"dataset.train": 40, "validation": "8"}, registry=registry)
    assert (config.name, config.validation) == ("local/slice", 8)
    assert config.settings == {"train": 40, "test": 200}
    split = cut_validation(config.load(), config.validation)
    assert split.validation is not None
    assert (len(split.train), len(split.validation), len(split.test)) == (32, 8, 200)


def test_recipe_has_a_dataset_and_settings(registry: Registry) -> None:
    config = prepare_dataset("small", registry=registry)
    assert (config.name, config.validation, dict(config.settings)) == ("local/slice", 100, {"train": 600, "test": 200})
    other = prepare_dataset("small", dataset="fashion-mnist", settings={"validation": 3}, registry=registry)
    assert (other.name, other.validation) == ("fashion/fashion-mnist", 3)


def test_dataset_takes_precedence_over_a_recipe_of_its_name(registry: Registry) -> None:
    registry.recipes.add(
        Recipe(
            name="slice", summary="Of that name.", dataset="fashion-mnist", model="fashion-cnn", trainer="fit",
            epochs=1, batch_size=1, validation=1,
        )
    )  # fmt: skip
    assert prepare_dataset("slice", registry=registry).name == "local/slice"


@pytest.mark.parametrize(
    ("name", "options", "kind"),
    [
        ("slise", {}, UnknownNameError),
        ("small", {"dataset": "slise"}, UnknownNameError),
        ("slice", {"settings": {"dataset.trian": 3}}, SettingError),
        ("slice", {"settings": {"validation": -1}}, SettingError),
        ("small", {"settings": {"epochs": 3}}, SettingError),
    ],
    ids=["no such name", "no such dataset", "no such setting", "negative", "not of the data"],
)
def test_fault_is_told_at_once(
    golden: Golden, registry: Registry, name: str, options: dict[str, Any], kind: type[Exception]
) -> None:
    with golden.raises(kind):
        prepare_dataset(name, **options, registry=registry)


def test_data_is_checked_before_it_is_read(golden: Golden, registry: Registry, tmp_path: Path) -> None:
    with golden.raises(DataError):
        prepare_dataset("image-folder", registry=registry).check()
    with golden.raises(DataError, path=str(tmp_path)):
        prepare_dataset("image-folder", data_dir=tmp_path, registry=registry).check()
