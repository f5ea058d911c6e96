"""Typed settings: read off signatures, converted from text, refused with a hint."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from msgspec import Meta
from zoo_keras.resident import Resident

from tests.support.golden import Golden
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


def test_settings_of_a_dataclass_are_its_fields(golden: Golden) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Trainer:
        learning_rate: float
        momentum: float = 0.9

    specs = specs_of(Trainer, skip=0, prefix="trainer.", owner="trainer x/y")
    assert specs["trainer.learning_rate"].default is REQUIRED
    assert specs["trainer.momentum"].default == 0.9
    with golden.raises(SettingError, name="trainer.learning_rate", value=None, suggestions=()):
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
    ("name", "given"),
    [
        ("rate", "1"),
        ("rate", "-0.1"),
        ("rate", "high"),
        ("rate", "nan"),
        ("rate", "inf"),
        ("maybe", "inf"),
        ("maybe", float("nan")),
        ("rate", True),
        ("rate", "0.1,0.2"),
        ("widths", "a,b"),
        ("kind", "tanh"),
        ("several", "0.1,0.2,0.3"),
        ("several", "0.1,2"),
        ("is_wide", "perhaps"),
    ],
)
def test_refuses(golden: Golden, name: str, given: Any) -> None:
    with golden.raises(SettingError, name=f"model.{name}", value=given, suggestions=()) as raised:
        convert(given, SPECS[f"model.{name}"], from_text=True)
    assert f"model.{name}={given!r}" in str(raised.value)


@pytest.mark.parametrize(
    "annotation",
    [
        pytest.param(Annotated[int, Meta(ge=1, le=4096)], id="int-from-1-to-4096"),
        pytest.param(Annotated[int, Meta(ge=1)], id="int-from-1"),
        pytest.param(Annotated[int, Meta(le=9)], id="int-to-9"),
        pytest.param(Annotated[float, Meta(gt=0)], id="float-above-0"),
        pytest.param(Annotated[float, Meta(lt=0.5)], id="float-below-0.5"),
        pytest.param(Annotated[float, Meta(gt=0, lt=1)], id="float-above-0-below-1"),
        pytest.param(Annotated[float, Meta(gt=0, le=8)], id="float-above-0-to-8"),
        pytest.param(Annotated[str, Meta(pattern="^a")], id="str-with-pattern"),
        pytest.param(Annotated[int, Meta(ge=1)] | None, id="int-from-1-or-none"),
        pytest.param(Literal["adam", "sgd", "muon"], id="adam-sgd-muon"),
        pytest.param(Literal["auto", True, None], id="auto-true-none"),
        pytest.param(
            tuple[Annotated[int, Meta(ge=1, le=4)], Annotated[int, Meta(ge=1, le=4)]], id="tuple-of-ints-from-1-to-4"
        ),
        pytest.param(tuple[int, str], id="tuple-of-int-and-str"),
        pytest.param(list[float], id="list-of-floats"),
        pytest.param(dict[str, int], id="dict"),
    ],
)
def test_types_and_bounds_are_said_in_words(golden: Golden, annotation: Any) -> None:
    golden.says(SettingSpec(name="it", type=annotation, default=None).words)


def test_unknown_setting_says_what_is_close_or_what_there_is(golden: Golden) -> None:
    with golden.raises(SettingError, name="model.raet", value="1") as raised:
        complete(SPECS, {"model.raet": "1"})
    assert raised.value.suggestions[0] == "model.rate"
    with golden.raises(SettingError, name="zzz", value="1", suggestions=()) as raised:
        complete(SPECS, {"zzz": "1"})
    assert all(name in str(raised.value) for name in SPECS)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("trainer.learning_rate", ("optimizer.learning_rate",)),
        ("lr", ("optimizer.learning_rate",)),
        ("optimizer.wd", ("optimizer.weight_decay",)),
        ("smoothing", ("loss.label_smoothing",)),
        ("share", ("augmentation.erase.share", "augmentation.cutmix.share")),
        ("bs", ("batch_size",)),
    ],
)
def test_setting_that_has_moved_or_is_called_otherwise_is_suggested(
    golden: Golden, name: str, meant: tuple[str, ...]
) -> None:
    known = [
        "batch_size",
        "optimizer.learning_rate",
        "optimizer.weight_decay",
        "loss.label_smoothing",
        "augmentation.erase.share",
        "augmentation.cutmix.share",
    ]
    specs = {each: SettingSpec(name=each, type=float, default=0.1) for each in known}
    with golden.raises(SettingError, name=name, value=0.3) as raised:
        complete(specs, {name: 0.3})
    assert tuple(raised.value.suggestions) == meant


def test_a_value_that_is_no_text_of_a_command_line_stays_what_it_is(golden: Golden) -> None:
    assert convert("7", SPECS["model.either"]) == "7"
    with golden.raises(SettingError, name="model.rate", value="0.3"):
        convert("0.3", SPECS["model.rate"])


def test_default_of_another_type_is_the_plugin_s_fault(golden: Golden) -> None:
    def build(input_shape: Any, num_classes: Any, *, units: int = None) -> None:  # type: ignore[assignment]  # noqa: RUF013  # the fault under test
        """Promise an integer and give none."""

    with golden.raises(PluginError) as raised:
        complete(specs_of(build, skip=2, prefix="model.", owner="model x/y"), {})
    assert isinstance(cause := raised.value.__cause__, SettingError)
    assert (cause.name, cause.value) == ("model.units", None)


def test_setting_that_no_run_could_record_is_refused(golden: Golden) -> None:
    def build(input_shape: Any, num_classes: Any, *, sizes: tuple[tuple[int, int], ...] = ((3, 3),)) -> None:
        """Nest its setting."""

    with golden.raises(PluginError) as raised:
        complete(specs_of(build, skip=2, prefix="model.", owner="model x/y"), {})
    assert isinstance(cause := raised.value.__cause__, SettingError)
    assert (cause.name, cause.value) == ("model.sizes", ((3, 3),))


def test_factory_of_a_dataclass_field_gives_the_default() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Trainer:
        rates: list[float] = field(default_factory=lambda: [0.1, 0.2])

    assert complete(specs_of(Trainer, skip=0, prefix="trainer.", owner="trainer x/y"), {}) == {
        "trainer.rates": [0.1, 0.2]
    }


def untyped(  # type: ignore[no-untyped-def]  # what is tested
    input_shape,
    num_classes,
    name,
    depth=3,
    rate=0.5,
    wide=False,
    kind="relu",
    widths=(8, 16),
    rates=(1, 0.5),
    maybe=None,
) -> None:
    """No types for its settings."""


def test_setting_without_an_annotation_has_the_type_of_its_default(golden: Golden) -> None:
    specs = specs_of(untyped, skip=2, prefix="model.", owner="model x/y")
    assert {name.removeprefix("model."): spec.type_name for name, spec in specs.items()} == {
        "name": "str",
        "depth": "int",
        "rate": "float",
        "wide": "bool",
        "kind": "str",
        "widths": "tuple[int, ...]",
        "rates": "tuple[float | str, ...]",
        "maybe": "bool | int | float | str | none",
    }
    assert complete(specs, {"model.name": "x"}) == {
        "model.name": "x",
        "model.depth": 3,
        "model.rate": 0.5,
        "model.wide": False,
        "model.kind": "relu",
        "model.widths": (8, 16),
        "model.rates": (1, 0.5),
        "model.maybe": None,
    }
    texts = {"model.name": "7", "model.depth": "4", "model.wide": "true", "model.widths": "1,2", "model.maybe": "0.5"}
    converted = complete(specs, texts, texts=texts)
    assert [converted[name] for name in texts] == ["7", 4, True, (1, 2), 0.5]
    with golden.raises(SettingError, name="model.depth", value="deep"):
        complete(specs, {"model.name": "x", "model.depth": "deep"}, texts=["model.depth"])
    with golden.raises(SettingError, name="model.name", value=None):
        complete(specs, {})


def misspelt(input_shape: Any, num_classes: Any, depth: itn = 3) -> None:  # type: ignore[name-defined]  # noqa: F821  # the fault under test
    """A type that does not exist."""


def test_faulty_annotation_names_the_setting_and_owner(golden: Golden) -> None:
    with golden.raises(PluginError, plugin="x") as raised:
        specs_of(misspelt, skip=2, prefix="model.", owner="model x/y")
    assert all(name in str(raised.value) for name in ("depth", "model x/y"))


def test_target_without_a_signature_is_refused_by_name() -> None:
    with pytest.raises(PluginError, match="model x/y") as raised:
        specs_of(dict, skip=2, prefix="model.", owner="model x/y")
    assert raised.value.plugin == "x"


def test_fields_of_a_base_class_are_read_where_they_stand() -> None:
    specs = specs_of(Resident, skip=0, prefix="trainer.", owner="trainer x/y")  # whose module lacks names of its base's
    assert specs["trainer.precision"].type_name == "'float32' | 'mixed_bfloat16' | 'auto'"
    assert complete(specs, {"trainer.clip_norm": 0.5})["trainer.clip_norm"] == 0.5
