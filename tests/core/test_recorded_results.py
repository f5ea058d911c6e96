"""What recipes came to: recorded, counted, shown as a page, reproduced."""

from __future__ import annotations

import dataclasses
import json
import re
import runpy
import statistics
from functools import partial
from pathlib import Path

import msgspec
import pytest
import scipy.stats
import zoo_fashion
import zoo_vision

import zoo
from tests.support import ROOT
from tests.support.command_line import Zoo
from tests.support.golden import Golden
from tests.support.sealing import seal, unsealed
from tests.support.small_recipe import SMALL
from zoo import Recipe, Registry, Run
from zoo.errors import CheckFailedError, RunFolderError
from zoo.models.build import build_model
from zoo.pipeline.reproduction import expected_interval
from zoo.recipes import pretrained
from zoo.recipes.components import default_component
from zoo.runs.run_folder import open_run
from zoo.testing import checks_of
from zoo.testing.plugins import recorded as check_recorded

RECORDED = [recipe for plugin in (zoo_fashion, zoo_vision) for recipe in plugin.register_recipes() if recipe.results]

SCRIPT = runpy.run_path(str(ROOT / "docs" / "scripts" / "results.py"))  # what makes the page


@pytest.fixture
def recorded(small_run: Run, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_zoo: Zoo) -> Path:
    """The results of a recipe `held` with three seeds, the first of them really run, in a package that it names."""
    folders = []
    content = unsealed(small_run.path / "run.json")
    right = content["test"]["accuracy"]
    for seed, accuracy in enumerate((right, right - 0.01, right + 0.01)):
        content["recipe"] |= {"name": "held", "seed": seed}
        content["test"]["accuracy"] = accuracy
        if seed:
            content["model_sha256"] = f"{seed:064}"
        folders.append(tmp_path / str(seed))
        folders[-1].mkdir()
        (folders[-1] / "run.json").write_bytes(seal(content))
    package = tmp_path / "recorded_plugin"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    file = package / "results" / "held.json"
    done = run_zoo("record", *reversed(folders), "--out", file, "--quiet")
    assert done.status == 0, done.err
    assert re.search(r"^test +accuracy 0\.\d{4} ± 0\.0100\b.*\b3\b", done.out, re.M)
    registry.recipes.add(dataclasses.replace(SMALL, name="held", results="recorded_plugin:results/held.json"))
    return file


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        # 28 x 28 x 32 x 9 + 14 x 14 x 64 x 288 + 7 x 7 x 128 x 576 + 2048 x 128 + 128 x 10
        ("fashion-cnn", (28, 28, 1), 7_714_560),
        # 28 x 28 x 6 x 25 + 10 x 10 x 16 x 150 + 120 x 400 + 120 x 84 + 84 x 10
        ("lenet-5", (32, 32, 1), 416_520),
        # 0.041 x 10^9 with those of the shortcuts and the normalization, in the usual lists
        ("resnet-20", (32, 32, 3), 40_551_040),
        # 64 x 48 x 192 + 12 x (65 x 12 x 192^2 + 2 x 65 x 65 x 192) + 192 x 10
        ("vit-tiny", (32, 32, 3), 365_107_584),
    ],
)
def test_counts_multiply_adds(registry: Registry, name: str, shape: tuple[int, int, int], expected: int) -> None:
    model = build_model(default_component(registry.models.get(name)), shape, 10)
    assert zoo.models.count_multiply_adds(model) == expected


def test_counts_depthwise_and_nested_layers_and_says_what_it_cannot() -> None:
    import keras
    from keras import layers

    inner = keras.Sequential([keras.Input((8, 8, 4)), layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)])
    model = keras.Sequential([keras.Input((8, 8, 4)), inner, layers.Conv2D(6, 1, groups=2, strides=2)])
    assert zoo.models.count_multiply_adds(model) == 8 * 8 * 8 * 9 + 4 * 4 * 6 * 4
    recurrent = keras.Sequential([keras.Input((8, 4)), layers.LSTM(3), layers.Dense(2)])
    assert zoo.models.count_multiply_adds(recurrent) is None


@pytest.mark.parametrize("count", [2, 3, 5, 11])
def test_expected_interval_is_that_of_student(count: int) -> None:
    values = [0.9 + 0.001 * number**1.5 for number in range(count)]
    spread = statistics.stdev(values) * (1 + 1 / count) ** 0.5
    low, high = scipy.stats.t.interval(0.95, count - 1, statistics.fmean(values), spread)
    assert expected_interval(values) == pytest.approx((low, high), rel=1e-4)


def test_expected_interval_needs_two_seeds() -> None:
    assert expected_interval([0.9]) is None


@pytest.mark.slow
def test_reproduces_to_the_bit(run_zoo: Zoo, recorded: Path, golden: Golden, tmp_path: Path) -> None:
    done = run_zoo("reproduce", "held", "--out", tmp_path / "again", "--quiet")
    assert done.status == 0, done.err
    (verdict,) = [line for line in done.out.splitlines() if line.startswith("verdict")]
    golden.says(verdict)
    assert open_run(tmp_path / "again").record.status == "tested"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seeds", "accuracies", "verdict", "status"),
    [
        (3, (0.0, 1.0, 0.5), "within", 0),
        (3, (0.01, 0.011, 0.012), "outside", 1),
        (1, (0.01,), "unknown", 1),
    ],
)
def test_judges_by_the_recorded_deviation(
    run_zoo: Zoo,
    recorded: Path,
    small_run: Run,
    monkeypatch: pytest.MonkeyPatch,
    seeds: int,
    accuracies: tuple[float, ...],
    verdict: str,
    status: int,
) -> None:
    monkeypatch.setattr("zoo.pipeline.api.run", lambda *_, **__: small_run)  # what it would come to, sooner
    content = unsealed(recorded)
    content["seeds"] = content["seeds"][:seeds]
    for seed, accuracy in zip(content["seeds"], accuracies, strict=True):
        seed["test"]["accuracy"] = accuracy
        seed["environment"] |= {"python": "3.0.0", "dtype_policy": "mixed_bfloat16", "instruction_sets": ["amx_bf16"]}
    recorded.write_bytes(seal(content))
    done = run_zoo("reproduce", "held", "--seed", "0", "--quiet", "--json")
    told = json.loads(done.out)
    assert (told["verdict"], told["holds"], done.status) == (verdict, status == 0, status)
    assert (told["expected"] is None) == (seeds == 1)
    assert told["recorded"]["test"]["accuracy"] == accuracies[0]
    for difference in ("python 3.0.0 -> ", "dtype_policy mixed_bfloat16 -> float32", "instruction_sets amx_bf16 -> "):
        assert any(text.startswith(difference) for text in told["differs"])
    assert told["test"]["accuracy"] > 0.1


def test_refuses_what_it_cannot_compare(run_zoo: Zoo, recorded: Path, registry: Registry, golden: Golden) -> None:
    def refuse(recipe: str) -> None:
        done = run_zoo("reproduce", recipe)
        assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
        golden.says(done.err)

    refuse("small")
    registry.recipes.add(dataclasses.replace(SMALL, name="lost", results="nowhere_at_all:results.json"))
    refuse("lost")
    (recorded.parents[2] / "one_file.py").write_text("")
    registry.recipes.add(dataclasses.replace(SMALL, name="filed", results="one_file:results.json"))
    refuse("filed")
    content = unsealed(recorded)
    content["recipe"]["epochs"] = 3
    recorded.write_bytes(seal(content))
    refuse("held")
    recorded.write_bytes(recorded.read_bytes().replace(b'"seed": 1', b'"seed": 7'))
    refuse("held")


def test_records_only_tested_runs_that_differ_by_seed(
    small_run: Run, registry: Registry, golden: Golden, tmp_path: Path
) -> None:
    def refuse(other: Run) -> None:
        with pytest.raises(RunFolderError) as raised:
            zoo.record_results([small_run, other], registry)
        assert raised.value.path == str(other.path)
        golden.says(str(raised.value).replace(str(small_run.path), "<run>"))

    record = small_run.record
    again = dataclasses.replace(small_run, path=tmp_path)
    refuse(again)
    other = msgspec.structs.replace(record, recipe=msgspec.structs.replace(record.recipe, seed=1, epochs=3))
    refuse(dataclasses.replace(again, record=other))
    untested = msgspec.structs.replace(record, status="trained", test=None)
    refuse(dataclasses.replace(again, record=untested))
    with golden.raises(RunFolderError):
        zoo.record_results([], registry)


def test_check_reads_the_results_of_a_recipe(
    registry: Registry, golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = [check for plugin in ("fashion", "vision") for check in checks_of(plugin, registry=registry)]
    checks = {
        check.name.partition(": ")[0]: check
        for check in several
        if isinstance(check.run, partial) and check.run.func is check_recorded
    }
    assert set(checks) == {f"recipe {recipe.name}" for recipe in RECORDED}
    check = checks["recipe fashion-cnn-fast"]
    check()
    file = pretrained.package_path(
        registry.recipes.get("fashion-cnn-fast"), "zoo_fashion:results/fashion-cnn-fast.json", "it"
    )
    (tmp_path / "changed.json").write_bytes(file.read_bytes().replace(b'"seed": 1', b'"seed": 7'))
    monkeypatch.setattr(pretrained, "package_path", lambda *_: tmp_path / "changed.json")
    with golden.raises(CheckFailedError) as raised:
        check()
    assert str(raised.value).startswith(f"{check.name}: ")


@pytest.mark.parametrize("recipe", [recipe for recipe in RECORDED if recipe.trained], ids=lambda recipe: recipe.name)
def test_shipped_results_are_of_the_shipped_weights(registry: Registry, recipe: Recipe) -> None:
    recorded = zoo.read_results(recipe.name, registry)
    ours = zoo.open_run(recipe.name, registry=registry).record
    own = next(seed for seed in recorded.seeds if seed.seed == recipe.seed)
    assert (own.model_sha256, own.test) == (ours.model_sha256, ours.test)


def test_what_a_gpu_came_to_is_not_listed_under_its_processor(small_run: Run, registry: Registry) -> None:
    here = zoo.record_results([small_run], registry)
    seed = here.seeds[0]
    faster = msgspec.structs.replace(seed.environment, accelerator="NVIDIA H100 PCIe")
    there = msgspec.structs.replace(
        here,
        recipe=msgspec.structs.replace(here.recipe, name="there"),
        seeds=[msgspec.structs.replace(seed, environment=faster)],
    )
    lines = SCRIPT["tables"]([here, there]).partition("Each seed:")[0].splitlines()
    machines = {line[2]: line for line in lines if line.startswith("- ")}
    on = {line.split("`")[1]: machines[line.split("|")[-2].strip()] for line in lines if line.startswith("| `")}
    assert "NVIDIA H100 PCIe, " in on["there"]
    assert "NVIDIA" not in on["small"]


def test_page_is_made_of_what_is_recorded(registry: Registry) -> None:
    page = (ROOT / "docs" / "reference" / "results.md").read_text()
    several = [each for each in SCRIPT["everything_recorded"](registry) if each.recipe.plugin != "local"]
    assert SCRIPT["tables"](several) in page
    assert [each.recipe.name for each in several] == sorted(recipe.name for recipe in RECORDED)
    assert SCRIPT["draw"](several).startswith(b"\x89PNG")
