"""Typed settings: read off signatures, converted from text, refused with a hint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from msgspec import Meta
from zoo_keras.resident import Resident

from zoo import PluginError, SettingError
from zoo.recipes.settings import REQUIRED, SettingSpec, complete, convert, specs_of

if TYPE_CHECKING:
    import nowhere  # type: ignore[import-not-found]  # as in a plugin that names Keras for type checkers alone

Rate = Annotated[float, Meta(ge=0, lt=1)]


def build(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    rate: Rate = 0.1,
    widths: tuple[int, ...] = (8, 16),
    kind: Literal["relu", "gelu"] = "relu",
    several: Rate | tuple[Rate, Rate] = 0.5,
    maybe: float | None = None,
    is_wide: bool = False,
    either: int | str = "auto",
    **rest: Any,
) -> nowhere.Model:
    return input_shape, num_classes, rate, widths, kind, several, maybe, is_wide, either, rest


SPECS = specs_of(build, skip=2, prefix="model.", owner="model x/y")


def test_settings_are_the_keyword_parameters() -> None:
    names = ["rate", "widths", "kind", "several", "maybe", "is_wide", "either"]
    assert list(SPECS) == [f"model.{name}" for name in names]
    assert complete(SPECS, {})["model.widths"] == (8, 16)
    assert SPECS["model.several"].type_name == "float | tuple[float, float]"
    assert SPECS["model.kind"].type_name == "'relu' | 'gelu'"
    assert SPECS["model.maybe"].type_name == "float | none"


def test_settings_of_a_dataclass_are_its_fields() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Trainer:
        learning_rate: float
        momentum: float = 0.9

    specs = specs_of(Trainer, skip=0, prefix="trainer.", owner="trainer x/y")
    assert specs["trainer.learning_rate"].default is REQUIRED
    assert specs["trainer.momentum"].default == 0.9
    with pytest.raises(SettingError, match=r"'trainer.learning_rate' has no default: give it a value, a number\."):
        complete(specs, {})


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("rate", "3e-1", 0.3),
        ("rate", 0, 0.0),
        ("widths", "32,64", (32, 64)),
        ("widths", "32", (32,)),
        ("widths", [1, 2], (1, 2)),
        ("kind", "gelu", "gelu"),
        ("several", "0.25", 0.25),
        ("several", "0.25, 0.5", (0.25, 0.5)),
        ("several", [0.25, 0.5], (0.25, 0.5)),
        ("maybe", "none", None),
        ("maybe", "1.5", 1.5),
        ("is_wide", "true", True),
        ("is_wide", "0", False),
        ("either", "7", 7),
        ("either", "big", "big"),
    ],
)
def test_converts(name: str, given: Any, expected: Any) -> None:
    value = convert(given, SPECS[f"model.{name}"], from_text=True)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("name", "given", "fault"),
    [
        ("rate", "1", r"takes a number from 0 to below 1\. Received"),
        ("rate", "-0.1", r"takes a number from 0 to below 1\. Received"),
        ("rate", "high", r"takes a number from 0 to below 1\. Received"),
        ("rate", "nan", "."),
        ("rate", "inf", "."),
        ("maybe", "inf", r"takes a number, or none: it must be finite\. Received"),
        ("maybe", float("nan"), "finite"),
        ("rate", True, "takes a number"),
        ("rate", "0.1,0.2", "takes a number"),
        ("widths", "a,b", r"takes values with commas between, each a whole number\. Received"),
        ("kind", "tanh", r"takes relu or gelu\. Received"),
        (
            "several",
            "0.1,0.2,0.3",
            r"takes a number from 0 to below 1, or 2 values with commas between, each a number from 0 to below 1\. R",
        ),
        ("several", "0.1,2", "or 2 values with commas between"),
        ("is_wide", "perhaps", r"takes true or false\. Received"),
    ],
)
def test_refuses(name: str, given: Any, fault: str) -> None:
    with pytest.raises(SettingError, match=fault) as raised:
        convert(given, SPECS[f"model.{name}"], from_text=True)
    assert f"Received: model.{name}={given!r}" in str(raised.value)


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (Annotated[int, Meta(ge=1, le=4096)], "a whole number from 1 to 4096"),
        (Annotated[int, Meta(ge=1)], "a whole number of 1 or more"),
        (Annotated[int, Meta(le=9)], "a whole number up to 9"),
        (Annotated[float, Meta(gt=0)], "a number above 0"),
        (Annotated[float, Meta(lt=0.5)], "a number below 0.5"),
        (Annotated[float, Meta(gt=0, lt=1)], "a number above 0 and below 1"),
        (Annotated[float, Meta(gt=0, le=8)], "a number above 0 and up to 8"),
        (Annotated[str, Meta(pattern="^a")], "a text (pattern='^a')"),
        (Annotated[int, Meta(ge=1)] | None, "a whole number of 1 or more, or none"),
        (Literal["adam", "sgd", "muon"], "adam, sgd or muon"),
        (Literal["auto", True, None], "auto, true or none"),
        (tuple[Annotated[int, Meta(ge=1, le=4)], Annotated[int, Meta(ge=1, le=4)]],
         "2 values with commas between, each a whole number from 1 to 4"),
        (tuple[int, str], "2 values with commas between: a whole number, a text"),
        (list[float], "values with commas between, each a number"),
        (dict[str, int], "dict"),
    ],
)  # fmt: skip
def test_types_and_bounds_are_said_in_words(annotation: Any, words: str) -> None:
    assert SettingSpec(name="it", type=annotation, default=None).words == words


def test_unknown_setting_says_what_is_close_or_what_there_is() -> None:
    with pytest.raises(SettingError, match=r"Did you mean 'model\.rate'"):
        complete(SPECS, {"model.raet": "1"})
    with pytest.raises(SettingError, match=r"There are: model.rate, model.widths"):
        complete(SPECS, {"zzz": "1"})


def test_a_value_that_is_no_text_of_a_command_line_stays_what_it_is() -> None:
    assert convert("7", SPECS["model.either"]) == "7"
    with pytest.raises(SettingError, match="takes a number"):
        convert("0.3", SPECS["model.rate"])


def test_default_of_another_type_is_the_plugin_s_fault() -> None:
    def build(input_shape: Any, num_classes: Any, *, units: int = None) -> None:  # type: ignore[assignment]  # noqa: RUF013  # the fault under test
        """Promise an integer and give none."""

    with pytest.raises(PluginError, match=r"A default is not of its own type.*'model.units' takes a whole number"):
        complete(specs_of(build, skip=2, prefix="model.", owner="model x/y"), {})


def test_setting_that_no_run_could_record_is_refused() -> None:
    def build(input_shape: Any, num_classes: Any, *, sizes: tuple[tuple[int, int], ...] = ((3, 3),)) -> None:
        """Nest its setting."""

    with pytest.raises(PluginError, match="flat lists"):
        complete(specs_of(build, skip=2, prefix="model.", owner="model x/y"), {})


def test_factory_of_a_dataclass_field_gives_the_default() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Trainer:
        rates: list[float] = field(default_factory=lambda: [0.1, 0.2])

    assert complete(specs_of(Trainer, skip=0, prefix="trainer.", owner="trainer x/y"), {}) == {
        "trainer.rates": [0.1, 0.2]
    }


def untyped(input_shape: Any, num_classes: Any, depth=3) -> None:  # type: ignore[no-untyped-def]  # the fault under test
    """No type for its option."""


def misspelt(input_shape: Any, num_classes: Any, depth: itn = 3) -> None:  # type: ignore[name-defined]  # noqa: F821  # as above
    """A type that does not exist."""


@pytest.mark.parametrize(("target", "fault"), [(untyped, "has no type"), (misspelt, "cannot be evaluated")])
def test_faulty_annotation_names_the_setting_and_owner(target: Callable[..., Any], fault: str) -> None:
    with pytest.raises(PluginError, match=rf"etting 'depth' of model x/y.*{fault}"):
        specs_of(target, skip=2, prefix="model.", owner="model x/y")


def test_fields_of_a_base_class_are_read_where_they_stand() -> None:
    specs = specs_of(Resident, skip=0, prefix="trainer.", owner="trainer x/y")  # whose module lacks names of its base's
    assert specs["trainer.schedule"].type_name == "'constant' | 'one-cycle'"
    assert complete(specs, {"trainer.beta_2": 0.5})["trainer.beta_2"] == 0.5
