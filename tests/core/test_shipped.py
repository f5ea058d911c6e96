"""The trained weights that ship with recipes: found by name, and as good as recorded."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zoo_fashion.model
import zoo_vision

import zoo
from tests.support.command_line import Zoo
from tests.support.golden import Golden
from tests.support.sealing import seal, unsealed
from tests.support.small_recipe import SMALL
from zoo import Recipe, Registry, Run
from zoo.errors import RunFolderError, UnknownNameError
from zoo.recipes import pretrained, resolution, run_recipes
from zoo.runs import environment
from zoo.utils import hardware

RECIPES = [recipe for plugin in (zoo_fashion, zoo_vision) for recipe in plugin.register_recipes()]
TRAINED = [recipe for recipe in RECIPES if recipe.trained]


@pytest.mark.parametrize(
    "recipe",
    [
        pytest.param(recipe, id=recipe.name, marks=[] if recipe.name == "fashion-cnn-fast" else [pytest.mark.slow])
        for recipe in TRAINED
    ],
)
def test_shipped_weights_test_as_recorded(registry: Registry, recipe: Recipe) -> None:
    recorded = pretrained.open_run(registry, recipe.name).record
    assert (recorded.status, recorded.recipe.name, recorded.recipe.seed) == ("tested", recipe.name, recipe.seed)
    tested = zoo.test(recipe.name, registry=registry)
    assert recorded.test is not None
    assert tested.test_metrics is not None
    policy = "mixed_bfloat16" if hardware.computes_bfloat16() else "float32"
    if recorded.recipe.trainer.settings["precision"] != "auto":
        policy = recorded.environment.dtype_policy
    here = environment.describe(policy)
    if recorded.environment.instruction_sets is None or environment.differences(recorded.environment, here):
        # other processors and versions round otherwise, which turns the few images that are on an edge
        assert tested.test_metrics.accuracy == pytest.approx(recorded.test.accuracy, abs=1e-3)
        assert tested.test_metrics.loss == pytest.approx(recorded.test.loss, abs=2e-3)
    else:
        assert tested.test_metrics == recorded.test


def test_model_is_built_once_where_its_weights_ship_and_measured_first_elsewhere(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []
    build = zoo_fashion.model.build

    @functools.wraps(build)
    def noting(*given: Any, **named: Any) -> Any:
        built.append("once more")
        return build(*given, **named)

    monkeypatch.setattr(zoo_fashion.model, "build", noting)
    zoo.load("fashion-cnn", registry=registry)
    assert len(built) == 1
    shutil.copytree(zoo.open_run("fashion-cnn", registry=registry).path, tmp_path / "run")
    zoo.load(tmp_path / "run", registry=registry)
    assert len(built) == 1 + 2


@pytest.mark.parametrize("recipe", TRAINED, ids=lambda recipe: recipe.name)
def test_shipped_record_names_no_path_and_is_of_the_recipe_as_it_is(registry: Registry, recipe: Recipe) -> None:
    run = pretrained.open_run(registry, recipe.name)
    assert_no_path(run.path / "run.json")
    as_it_is = resolution.resolve(registry, recipe.name, {})
    assert run_recipes.to_record(as_it_is) == run_recipes.to_record(run_recipes.from_run(registry, run))


@pytest.mark.parametrize("recipe", [recipe for recipe in RECIPES if recipe.results], ids=lambda it: it.name)
def test_shipped_results_name_no_path(registry: Registry, recipe: Recipe) -> None:
    found = registry.recipes.get(recipe.name)
    assert recipe.results is not None
    assert_no_path(pretrained.package_path(found, recipe.results, "results"))


def assert_no_path(file: Path) -> None:
    """Ask that a record names no place of the machine that it was made on."""
    text = file.read_text()
    for place in ("/home", "/root", "/tmp", str(Path.cwd())):  # noqa: S108  # none is used
        assert place not in text


def test_shipped_model_predicts(registry: Registry) -> None:
    model = zoo.load("fashion-cnn-fast", registry=registry)
    assert model.predict(np.zeros((2, 28, 28), np.uint8)).shape == (2, 10)


def test_folder_of_the_same_name_wins(
    small_run: Run, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fashion-cnn").symlink_to(small_run.path)
    assert zoo.load("fashion-cnn", registry=registry).run.record == small_run.record


def test_what_is_no_run_is_told(registry: Registry, golden: Golden) -> None:
    with golden.raises(UnknownNameError, kind="recipe", name="fashion-cn") as unknown:
        zoo.load("fashion-cn", registry=registry)
    assert unknown.value.suggestions[0] == "fashion-cnn"
    with golden.raises(RunFolderError) as untrained:
        zoo.load("small", registry=registry)
    assert "zoo run small" in str(untrained.value)
    with golden.raises(RunFolderError, path="runs/nowhere"):
        zoo.load("runs/nowhere", registry=registry)


def test_list_shows_what_is_recorded(registry: Registry, run_zoo: Zoo) -> None:
    rows = json.loads(run_zoo("list", "recipes", "--json").out)
    shown = {row["name"]: row["recorded"] for row in rows}
    assert shown["small"] is None
    for recipe in TRAINED:
        parameters = 270_810 if recipe.name == "resnet-20" else 356_234
        assert shown[recipe.name]["parameters"] == parameters
        assert 0.92 < shown[recipe.name]["test_accuracy"] < 0.96
        figures = f"{shown[recipe.name]['test_accuracy']:.4f}", f"{parameters:,}"
        assert any(all(figure in line for figure in figures) for line in run_zoo("list").out.splitlines())
        # None where it was recorded before there was such a field
        accelerator = pretrained.open_run(registry, recipe.name).record.environment.accelerator
        assert shown[recipe.name]["accelerator"] == accelerator


@pytest.mark.parametrize("accelerator", ["NVIDIA H100 PCIe", "", None])
def test_list_shows_the_accelerator_as_it_is_recorded(
    registry: Registry, run_zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accelerator: str | None
) -> None:
    content = unsealed(pretrained.open_run(registry, "fashion-cnn").path / "run.json")
    content["environment"]["accelerator"] = accelerator
    (tmp_path / "trained_elsewhere").mkdir()
    (tmp_path / "trained_elsewhere" / "__init__.py").touch()
    (tmp_path / "trained_elsewhere" / "run.json").write_bytes(seal(content))
    monkeypatch.syspath_prepend(tmp_path)
    registry.recipes.add(dataclasses.replace(SMALL, name="elsewhere", trained="trained_elsewhere:."))
    rows = json.loads(run_zoo("list", "recipes", "--json").out)
    assert {row["name"]: row["recorded"] for row in rows}["elsewhere"]["accelerator"] == accelerator


def test_list_shows_what_is_recorded_of_a_recipe_without_weights(
    registry: Registry, run_zoo: Zoo, golden: Golden
) -> None:
    fast = registry.recipes.get("fashion-cnn-fast").item
    registry.recipes.add(dataclasses.replace(fast, name="large", seed=1, trained=None))
    shown = {row["name"]: row["recorded"] for row in json.loads(run_zoo("list", "recipes", "--json").out)}
    second = next(seed for seed in zoo.read_results("fashion-cnn-fast", registry).seeds if seed.seed == 1)
    assert second.test.accuracy != shown["fashion-cnn-fast"]["test_accuracy"]
    assert shown["large"] == {
        **shown["fashion-cnn-fast"],
        "test_accuracy": second.test.accuracy,
        "seconds": second.seconds,
        "weights": False,
    }
    lines = run_zoo("list").out.splitlines()
    line = lines[1 + next(at for at, line in enumerate(lines) if line.startswith("  large "))]
    assert f"{second.test.accuracy:.4f}" in line
    assert "356,234" in line
    golden.says(re.sub(r"[\d.,]*\d", "<figure>", line.strip()))


def test_list_survives_results_without_the_seed_of_the_recipe(registry: Registry, run_zoo: Zoo, golden: Golden) -> None:
    fast = registry.recipes.get("fashion-cnn-fast").item
    registry.recipes.add(dataclasses.replace(fast, name="other", seed=99, trained=None))
    done = run_zoo("list", "recipes")
    assert done.status == 0
    assert "'local/other'" in done.err
    golden.says(done.err)


def test_broken_weights_break_no_list(registry: Registry, run_zoo: Zoo, golden: Golden) -> None:
    registry.recipes.add(dataclasses.replace(SMALL, name="odd", trained="zoo_fashion:nowhere"))
    done = run_zoo("list", "recipes")
    assert done.status == 0
    assert "nowhere/run.json" in done.err
    golden.says(done.err.replace(str(Path(zoo_fashion.__file__).parent), "<zoo_fashion>"))
    assert "\n  small " in done.out


def test_command_tests_a_recipe_s_weights(run_zoo: Zoo) -> None:
    done = run_zoo("test", "fashion-cnn-fast", "--quiet")
    assert done.status == 0, done.err
    assert re.search(r"^test +loss 0\.2", done.out, re.M)
