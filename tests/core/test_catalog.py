"""Names: valid, unique, found by alias, former name, glob or with their plugin before them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.golden import Golden
from zoo import Entry, PluginError, Recipe
from zoo.errors import AmbiguousNameError, InvalidEntryError, RenamedWarning, UnknownNameError
from zoo.registry.catalog import Catalog, resolve
from zoo.registry.entries import choices
from zoo.registry.kinds import KINDS, TABLE


def entry(name: str, **rest: Any) -> Entry:
    return Entry(**{"name": name, "target": "json:loads", "summary": "A thing.", **rest})


@pytest.fixture
def models() -> Catalog[Entry]:
    return Catalog("model", Entry)


def test_finds_by_name_alias_and_qualified_name(models: Catalog[Entry]) -> None:
    models.add(entry("tiny-net", aliases=("tiny",)), plugin="mine")
    for name in ("tiny-net", "tiny", "mine/tiny-net", "mine/tiny"):
        assert models.get(name).qualified_name == "mine/tiny-net"


def test_former_name_warns_and_is_not_listed(models: Catalog[Entry], golden: Golden) -> None:
    models.add(entry("tiny-net", former_names=("small-net",)), plugin="mine")
    with golden.warns(RenamedWarning):
        assert models.get("small-net").name == "tiny-net"
    assert [found.name for found in models] == ["tiny-net"]
    assert models.find("small*") == []


def test_name_in_use_again_wins_over_a_former_name(models: Catalog[Entry]) -> None:
    models.add(entry("tiny-net", former_names=("small-net",)), plugin="a")
    models.add(entry("small-net"), plugin="b")
    assert models.get("small-net").plugin == "b"


def test_two_plugins_with_one_name_neither_wins(models: Catalog[Entry], golden: Golden) -> None:
    for plugin in ("b", "a"):
        models.add(entry("tiny-net"), plugin=plugin)
    with golden.raises(AmbiguousNameError, kind="model", name="tiny-net", choices=("a/tiny-net", "b/tiny-net")):
        models.get("tiny-net")
    assert models.get("a/tiny-net").plugin == "a"
    assert models.get("tiny-net", prefer="b").plugin == "b"
    assert [found.plugin for found in models] == ["a", "b"]


def test_preferred_plugin_s_former_name_comes_before_another_s_name(models: Catalog[Entry]) -> None:
    models.add(entry("net-2", former_names=("net",)), plugin="mine")
    models.add(entry("net"), plugin="other")
    with pytest.warns(RenamedWarning):
        assert models.get("net", prefer="mine").qualified_name == "mine/net-2"
    assert models.get("net").plugin == "other"


def test_alias_of_one_and_name_of_another_are_ambiguous(models: Catalog[Entry], golden: Golden) -> None:
    models.add(entry("tiny-net", aliases=("net",)), plugin="a")
    models.add(entry("net"), plugin="b")
    with golden.raises(AmbiguousNameError, kind="model", name="net", choices=("a/tiny-net", "b/net")):
        models.get("net")


@pytest.mark.parametrize(
    ("asked", "suggestions"),
    [("tiny-nte", ("tiny-net",)), ("mine/tiny", ("mine/tiny-net",)), ("zzz", ())],
    ids=["close", "close-with-plugin", "not-close"],
)
def test_unknown_name_says_what_is_close(
    models: Catalog[Entry], golden: Golden, asked: str, suggestions: tuple[str, ...]
) -> None:
    models.add(entry("tiny-net"), plugin="mine")
    with golden.raises(UnknownNameError, kind="model", name=asked, suggestions=suggestions) as raised:
        models.get(asked)
    assert isinstance(raised.value, LookupError)
    assert not isinstance(raised.value, KeyError)


@pytest.mark.parametrize(
    "name", ["", "Tiny", "tiny_net", "a/b", "../x", "-x", ".x", "tiny net", "tïny", "x\n", 7, None]
)
@pytest.mark.parametrize("field", ["name", "aliases", "former_names"])
def test_refuses_bad_names(models: Catalog[Entry], name: Any, field: str) -> None:
    fields: Any = {"name": "fine", field: name if field == "name" else (name,)}
    with pytest.raises(InvalidEntryError) as raised:
        models.add(entry(**fields))
    assert f"name={name!r}" in str(raised.value)
    assert len(models) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"target": "no colon"},
        {"target": "os:system('x')"},
        {"target": 7},
        {"summary": ""},
        {"summary": "two\nlines"},
        {"summary": "red \x1b[31m"},
        {"summary": None},
        {"aliases": "tiny"},
        {"aliases": ["tiny"]},
        {"aliases": ("Tiny",)},
    ],
    ids=[
        "target-no-colon",
        "target-call",
        "target-number",
        "summary-empty",
        "summary-lines",
        "summary-control",
        "summary-none",
        "aliases-text",
        "aliases-list",
        "aliases-upper-case",
    ],
)
def test_refuses_bad_fields(models: Catalog[Entry], golden: Golden, wrong: dict[str, Any]) -> None:
    with golden.raises(InvalidEntryError):
        models.add(entry("fine", **wrong))
    assert len(models) == 0


def test_refuses_what_is_no_entry(models: Catalog[Entry], golden: Golden) -> None:
    recipe = Recipe(name="r", summary="R.", dataset="d", model="m", trainer="t", epochs=1, batch_size=1)
    for wrong in (recipe, {"name": "x"}, None):
        with golden.raises(InvalidEntryError):
            models.add(wrong)  # type: ignore[arg-type]  # the fault under test


@pytest.mark.parametrize(
    "second",
    [entry("a"), entry("b", aliases=("a",)), entry("b", former_names=("a",))],
    ids=["name", "alias", "former-name"],
)
def test_one_plugin_cannot_use_a_name_twice(models: Catalog[Entry], golden: Golden, second: Entry) -> None:
    models.add(entry("a"), plugin="mine")
    with golden.raises(InvalidEntryError):
        models.add(second, plugin="mine")
    assert len(models) == 1


def test_find_takes_globs_over_names_aliases_and_plugins(models: Catalog[Entry]) -> None:
    models.add(entry("net-10"), plugin="a")
    models.add(entry("net-2", aliases=("two",)), plugin="b")
    assert [found.name for found in models.find("net-*")] == ["net-10", "net-2"]
    assert [found.name for found in models.find("t?o")] == ["net-2"]
    assert [found.name for found in models.find("a/*")] == ["net-10"]


def test_target_resolves_on_first_use(models: Catalog[Entry]) -> None:
    import json

    models.add(entry("loads"))
    models.add(entry("here", target=len))
    assert resolve(models.get("loads")) is json.loads
    assert resolve(models.get("here")) is len


@pytest.mark.parametrize("target", ["no_such_package:x", "json:no_such_name", "json:__name__"])
def test_target_that_does_not_resolve_names_the_plugin(models: Catalog[Entry], golden: Golden, target: str) -> None:
    models.add(entry("broken", target=target), plugin="mine")
    with golden.raises(PluginError, plugin="mine"):
        resolve(models.get("broken"))


@pytest.mark.parametrize("parameters", [-1, 1.5, True, "many"])
def test_number_of_parameters_is_checked(models: Catalog[Entry], parameters: Any) -> None:
    with pytest.raises(InvalidEntryError):
        models.add(entry("tiny-net", parameters=parameters))
    models.add(entry("tiny-net", parameters=0))


@pytest.mark.parametrize("mode", ["best", "MAX", 1, True])
def test_mode_is_min_or_max(golden: Golden, mode: Any) -> None:
    metrics = Catalog("metric", Entry)
    with golden.raises(InvalidEntryError):
        metrics.add(entry("f1", mode=mode))
    for name, allowed in (("f1", "max"), ("ece", "min"), ("nll", None)):
        metrics.add(entry(name, mode=allowed))
    assert len(metrics) == 3


@pytest.mark.parametrize("kind", [kind.name for kind in TABLE if kind.name not in ("metric", "recipe")])
def test_only_metrics_have_a_mode(kind: str) -> None:
    with pytest.raises(InvalidEntryError):
        Catalog(kind, Entry).add(entry("it", mode="max"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"optimizer": 7},
        {"trainer": None},
        {"loss": ("focal",)},
        {"augmentations": "shift"},
        {"augmentations": ["shift"]},
        {"metrics": ("f1", 7)},
        {"callbacks": None},
        {"monitor": None},
        {"settings": ()},
        {"settings": {1: 2}},
        {"batch_size": 0},
        {"validation": -1},
        {"seed": True},
    ],
    ids=str,
)
def test_fields_of_a_recipe_are_checked(golden: Golden, wrong: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"dataset": "d", "model": "m", "trainer": "t", "epochs": 1, "batch_size": 1} | wrong
    with golden.raises(InvalidEntryError):
        Catalog("recipe", Recipe).add(Recipe(name="r", summary="R.", **fields))


def test_recipe_needs_no_optimizer_schedule_or_loss() -> None:
    recipe = Recipe(name="r", summary="R.", dataset="d", model="m", trainer="t", epochs=1, batch_size=1)
    Catalog("recipe", Recipe).add(recipe)
    assert choices(recipe) == [(KINDS["model"], "m"), (KINDS["dataset"], "d"), (KINDS["trainer"], "t")]


def test_only_models_have_parameters() -> None:
    with pytest.raises(InvalidEntryError):
        Catalog("trainer", Entry).add(entry("slow", parameters=1))
