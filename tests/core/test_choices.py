"""The components of a run: those of the recipe, those that a caller names instead, and the trainer's defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

import zoo
from tests.core.test_training import Scripted
from tests.support.golden import Golden
from tests.support.small_recipe import SMALL
from zoo import Entry, Recipe, Registry, SettingError
from zoo.errors import UnknownNameError
from zoo.recipes import resolution, run_recipes
from zoo.recipes.choices import Overrides
from zoo.registry.kinds import COMPONENTS, KINDS, TABLE, kind_named


def accuracy(probabilities: Any, labels: Any, top: int = 1) -> float:
    return float((probabilities.argmax(axis=1) == labels).mean())


@pytest.fixture
def registry(registry: Registry) -> Registry:
    """A registry with a recipe that has one of each kind, and a trainer that takes none of the optional ones."""
    for name, mode in (("right", None), ("wrong", "min")):
        metric = Entry(name=name, target=accuracy, summary="It.", mode=mode, aliases=(f"{name}-share",))  # type: ignore[arg-type]  # is a mode
        registry.metrics.add(metric, plugin="mine")
    registry.trainers.add(Entry(name="own", target=Scripted, summary="Does its own optimizing."), plugin="mine")
    registry.recipes.add(
        replace(
            SMALL,
            name="full",
            optimizer="muon",
            schedule="cosine",
            loss="focal",
            augmentations=("shift", "flip"),
            metrics=("right",),
            callbacks=("early-stopping",),
            settings={
                "optimizer.newton_schulz_steps": 3,
                "schedule.warmup_epochs": 1.0,
                "loss.gamma": 1.0,
                "augmentation.shift.pixels": 3,
                "metric.right.top": 2,
                "callback.early-stopping.patience": 2,
            },
        )
    )
    return registry


def resolved(registry: Registry, recipe: str, **overrides: Any) -> resolution.ResolvedRecipe:
    return resolution.resolve(registry, recipe, overrides)  # type: ignore[arg-type]  # are overrides


def names(recipe: resolution.ResolvedRecipe) -> dict[str, str]:
    """Return the components but for dataset, model and trainer."""
    return {kind: value for kind, value in recipe.choices().items() if kind not in ("dataset", "model", "trainer")}


# kinds


def test_every_kind_has_a_hook_a_catalog_and_checks(registry: Registry) -> None:
    assert list(registry.catalogs) == [kind.name for kind in TABLE]
    for kind in TABLE:
        assert registry.catalogs[kind.name] is getattr(registry, kind.plural)
        assert registry.catalogs[kind.name].plural == kind.plural
        assert hasattr(zoo.registry.hookspecs, f"register_{kind.plural}")
        assert kind_named(kind.name) is kind_named(kind.plural) is KINDS[kind.name]
    assert kind_named("tracker") is None


def test_recipe_has_a_field_for_each_kind_of_component() -> None:
    for kind in COMPONENTS.values():
        assert kind.choice in Recipe.__dataclass_fields__
        assert kind.choice in Overrides.__annotations__
        assert kind.choice in resolution.ResolvedRecipe.__dataclass_fields__


# what a recipe is composed of


def test_recipe_that_names_none_has_the_trainer_s_defaults(registry: Registry) -> None:
    small = resolved(registry, "small")
    assert names(small) == {"optimizer": "keras/adam", "schedule": "keras/constant", "loss": "keras/cross-entropy"}
    assert small.settings()["optimizer.learning_rate"] == 3e-3


def test_settings_of_several_have_their_names(registry: Registry) -> None:
    full = resolved(registry, "full")
    assert names(full) == {
        "optimizer": "keras/muon",
        "schedule": "keras/cosine",
        "loss": "keras/focal",
        "augmentations": "keras/shift,keras/flip",
        "metrics": "mine/right",
        "callbacks": "keras/early-stopping",
    }
    settings = full.settings()
    for name, value in registry.recipes.get("full").item.settings.items():
        assert settings[name] == value
    assert settings["loss.label_smoothing"] == 0.0
    assert full.augmentations[0].settings == {"pixels": 3}
    assert [component.prefix for component in full.augmentations] == ["augmentation.shift.", "augmentation.flip."]


def test_settings_of_what_is_replaced_do_not_apply(registry: Registry) -> None:
    changed = resolved(
        registry, "full", optimizer="sgd", loss="cross-entropy", augmentations=["erase"], metrics=[], callbacks=[]
    )
    assert names(changed) == {
        "optimizer": "keras/sgd",
        "schedule": "keras/cosine",
        "loss": "keras/cross-entropy",
        "augmentations": "keras/erase",
    }
    settings = changed.settings()
    assert (settings["optimizer.learning_rate"], settings["schedule.warmup_epochs"]) == (0.01, 1.0)
    assert not [name for name in settings if name.startswith(("augmentation.shift", "metric", "callback"))]


def test_naming_the_recipe_s_own_keeps_its_settings(registry: Registry) -> None:
    again = resolved(registry, "full", optimizer="keras/muon", augmentations=["flip", "keras/shift"])
    assert again.settings()["optimizer.newton_schulz_steps"] == 3
    assert again.settings()["augmentation.shift.pixels"] == 3
    assert again.choices()["augmentations"] == "keras/flip,keras/shift"  # in the order given


@pytest.mark.parametrize("kind", ["augmentations", "metrics", "callbacks"])
def test_none_and_the_empty_list_are_for_none(registry: Registry, kind: str) -> None:
    several: list[dict[str, Any]] = [{kind: []}, {kind: ()}, {"settings": {kind: "none"}}, {"settings": {kind: []}}]
    for nothing in several:
        assert kind not in resolved(registry, "full", **nothing).choices()


def test_settings_can_choose_components(registry: Registry) -> None:
    settings = {"optimizer": "sgd", "augmentations": "flip, erase", "augmentation.erase.share": "0.25"}
    chosen = resolved(registry, "full", settings=settings)
    assert (chosen.choices()["optimizer"], chosen.choices()["augmentations"]) == ("keras/sgd", "keras/flip,keras/erase")
    assert chosen.settings()["augmentation.erase.share"] == 0.25


# faults


@pytest.mark.parametrize(
    ("overrides", "facts"),
    [
        ({"augmentations": ["flip", "keras/flip"]}, {"name": "augmentations", "value": ["flip", "keras/flip"]}),
        ({"metrics": ["right", "right-share"]}, {"name": "metrics", "value": ["right", "right-share"]}),
        ({"callbacks": ["plateau", "plateau"]}, {"name": "callbacks", "value": ["plateau", "plateau"]}),
        ({"augmentations": "flip"}, {"name": "augmentations", "value": "flip"}),
        ({"metrics": 7}, {"name": "metrics", "value": 7}),
        ({"optimizer": "sgd", "settings": {"optimizer": "adam"}}, {"name": "optimizer", "value": "adam"}),
        ({"monitor": "rihgt"}, {"name": "monitor", "value": "rihgt"}),
        ({"monitor": "val_loss"}, {"name": "monitor", "value": "val_loss"}),
        ({"monitor": 7}, {"name": "monitor", "value": 7}),
        ({"settings": {"trainer.learning_rate": 0.1}}, {"name": "trainer.learning_rate", "value": 0.1}),
        ({"settings": {"lr": 0.1}}, {"name": "lr", "value": 0.1}),
        ({"settings": {"augmentation.shift.pixles": 1}}, {"name": "augmentation.shift.pixles", "value": 1}),
        ({"settings": {"augmentation.erase.share": 1.0}}, {"name": "augmentation.erase.share", "value": 1.0}),
        ({"trainer": "own", "optimizer": "sgd"}, {"name": "optimizer", "value": "sgd"}),
        ({"trainer": "own", "augmentations": ["flip"]}, {"name": "augmentations", "value": ["flip"]}),
    ],
    ids=[
        "augmentation-twice",
        "metric-and-its-alias",
        "callback-twice",
        "text-for-a-list",
        "number-for-a-list",
        "twice",
        "monitor-misspelled",
        "monitor-as-in-keras",
        "monitor-a-number",
        "setting-that-moved",
        "lr",
        "setting-misspelled",
        "setting-of-another",
        "trainer-without-optimizers",
        "trainer-without-augmentations",
    ],
)
def test_wrong_choice_is_told(
    registry: Registry, golden: Golden, overrides: Mapping[str, Any], facts: Mapping[str, Any]
) -> None:
    with golden.raises(SettingError, **facts):
        resolved(registry, "full", **overrides)


@pytest.mark.parametrize("overrides", [{"optimizer": "adma"}, {"loss": 7}, {"callbacks": ["early-stoping"]}], ids=str)
def test_unknown_name_is_told(registry: Registry, golden: Golden, overrides: Mapping[str, Any]) -> None:
    with golden.raises(UnknownNameError):
        resolved(registry, "full", **overrides)


# the trainer's own


def test_trainer_that_uses_no_registered_optimizer_has_none(registry: Registry) -> None:
    own = resolved(registry, "full", trainer="own", settings={"trainer.probabilities": [0.5]})
    assert names(own) == {"metrics": "mine/right", "callbacks": "keras/early-stopping"}
    assert not [name for name in own.settings() if name.startswith(("optimizer", "schedule", "loss", "augmentation"))]
    record = run_recipes.to_record(own)
    assert (record.optimizer, record.schedule, record.loss, record.augmentations) == (None, None, None, [])
    assert record.choices() == own.choices()


def test_recipe_that_is_recorded_is_read_as_it_was(registry: Registry) -> None:
    for recipe in ("small", "full"):
        first = resolved(registry, recipe)
        record = run_recipes.to_record(first)
        assert run_recipes.from_record(registry, record, {}) == first
        assert record.choices() == first.choices()
        assert {
            name: tuple(value) if isinstance(value, list) else value for name, value in record.settings().items()
        } == first.settings()


# the metric that selects the best epoch


@pytest.mark.parametrize("monitor", ["wrong", "mine/wrong", "wrong-share"])
def test_monitored_metric_is_computed_by_whatever_name_it_is_given(registry: Registry, monitor: str) -> None:
    for overrides in ({"monitor": monitor}, {"settings": {"monitor": monitor}}):
        recipe = resolved(registry, "full", **overrides)
        assert (recipe.monitor, recipe.monitor_mode) == ("wrong", "min")
        assert recipe.choices()["metrics"] == "mine/right,mine/wrong"
        assert recipe.settings()["metric.wrong.top"] == 1
    twice = resolved(registry, "full", monitor=monitor, metrics=["wrong"])
    assert twice.choices()["metrics"] == "mine/wrong"


@pytest.mark.parametrize(("monitor", "mode"), [("loss", "min"), ("accuracy", "max"), ("right", "max")])
def test_mode_is_the_metric_s(registry: Registry, monitor: str, mode: str) -> None:
    assert resolved(registry, "full", monitor=monitor).monitor_mode == mode


def test_settings_of_a_monitored_metric_go_with_it(registry: Registry) -> None:
    registry.recipes.add(replace(SMALL, name="by-right", monitor="right", settings={"metric.right.top": 5}))
    assert resolved(registry, "by-right").settings()["metric.right.top"] == 5
    assert "metric.right.top" not in resolved(registry, "by-right", monitor="loss").settings()
