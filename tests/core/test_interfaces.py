"""The base classes of what plugins define: a misspelled attribute is an error, and not silence."""

from __future__ import annotations

from typing import Any

import keras
import pytest

import zoo
from tests.support.golden import Golden
from zoo import Dataset, PluginError, SteppedTraining, Trainer, Training
from zoo.interfaces import ImageInput


@pytest.mark.parametrize(
    ("base", "name"),
    [
        (Dataset, "needs_datadir"),
        (Dataset, "take_file"),
        (Dataset, "image_inputs"),
        (Dataset, "check_datadir"),
        (Trainer, "dtype_polcy"),
        (Trainer, "component"),
        (Trainer, "predicts"),
        (Training, "restores"),
        (Training, "avereged"),
        (SteppedTraining, "run_epochs"),
        (zoo.Callback, "on_epoch_ends"),
        (zoo.Callback, "on_runend"),
        (zoo.Callback, "restor"),
    ],
)
def test_misspelled_attribute_is_refused_when_the_class_is_defined(golden: Golden, base: type, name: str) -> None:
    with golden.raises(PluginError):
        type("Mine", (base,), {name: True})


@pytest.mark.parametrize("base", [Dataset, Trainer, Training, SteppedTraining, zoo.Callback])
def test_attributes_of_its_own_are_the_class_s_business(base: type) -> None:
    own: dict[str, Any] = {"size": 3, "_needs_datadir": True, "learning_rate": 0.1, "path": None, "closed": False}
    assert type("Mine", (base,), own).size == 3  # type: ignore[attr-defined]  # given in the line above


def test_attributes_of_the_base_class_may_be_fields_properties_or_values() -> None:
    class Mine(Dataset):
        needs_data_dir = True

        @property
        def image_input(self) -> ImageInput:
            return ImageInput(crop="pad")

        def load(self, data_dir: Any) -> Any:
            raise NotImplementedError

    mine = Mine()
    assert (mine.needs_data_dir, mine.takes_file, mine.image_input.crop) == (True, False, "pad")
    mine.check_data_dir(None)


@pytest.mark.parametrize(
    ("base", "method"), [(Dataset, "load"), (Trainer, "predict"), (Training, "state"), (SteppedTraining, "run_epoch")]
)
def test_what_a_base_class_requires_is_required(base: Any, method: str) -> None:
    with pytest.raises(TypeError, match=method):
        type("Mine", (base,), {})()


def test_callback_is_keras_s_and_has_nothing_to_save_by_default() -> None:
    callback = zoo.Callback()
    assert isinstance(callback, keras.callbacks.Callback)
    assert callback.state() == {}
