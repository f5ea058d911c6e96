"""Precision ``auto``: by what the machine computes fast, recorded, kept by a run that is resumed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import zoo
from tests.support.bfloat16 import computes_bfloat16
from tests.support.command_line import Zoo
from tests.support.golden import Golden
from tests.support.sealing import unsealed
from zoo import Registry, StopRequested
from zoo.models import build
from zoo.utils import hardware

pytestmark = computes_bfloat16
AUTO = {"trainer.precision": "auto"}


def on_machine(monkeypatch: pytest.MonkeyPatch, *, is_fast: bool) -> None:
    monkeypatch.setattr(build, "computes_bfloat16", lambda: is_fast)


@pytest.mark.slow
@pytest.mark.parametrize(("is_fast", "policy"), [(True, "mixed_bfloat16"), (False, "float32")])
@pytest.mark.parametrize("trainer", ["fit", "resident"])
def test_is_what_the_machine_computes_fast(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trainer: str, is_fast: bool, policy: str
) -> None:
    on_machine(monkeypatch, is_fast=is_fast)
    run = zoo.run("small", registry=registry, out=tmp_path / "run", trainer=trainer, epochs=1, settings=AUTO)
    record = unsealed(run.path / "run.json")
    assert record["recipe"]["trainer"]["settings"]["precision"] == "auto"
    assert record["environment"]["dtype_policy"] == policy
    assert zoo.load(run.path, registry=registry).model.layers[0].dtype_policy.name == policy
    # a loaded model computes in what is fast where it is loaded
    on_machine(monkeypatch, is_fast=not is_fast)
    assert zoo.load(run.path, registry=registry).model.layers[0].dtype_policy.name != policy
    tested = zoo.test(run.path, registry=registry)
    assert tested.test_metrics is not None
    assert run.test_metrics is not None
    assert tested.test_metrics.accuracy == pytest.approx(run.test_metrics.accuracy, abs=0.05)
    assert unsealed(run.path / "run.json") == record


@dataclass
class StopAfterOneEpoch:
    """Progress that asks the run to stop."""

    def stage(self, text: str) -> None: ...
    def epoch_started(self, epoch: int, epochs: int, steps: int) -> None:
        if epoch == 2:
            raise StopRequested(15)

    def step(self, step: int, metrics: Any) -> None: ...
    def epoch_ended(self, record: Any, is_best: bool) -> None: ...


@pytest.mark.slow
def test_resumed_run_keeps_it_on_another_machine(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"registry": registry, "trainer": "resident", "settings": AUTO}
    whole = {}
    for is_fast in (True, False):
        on_machine(monkeypatch, is_fast=is_fast)
        whole[is_fast] = zoo.run("small", out=tmp_path / f"whole-{is_fast}", **options)
        with pytest.raises(StopRequested):
            zoo.run("small", out=tmp_path / f"stopped-{is_fast}", progress=StopAfterOneEpoch(), **options)
    for is_fast in (True, False):
        on_machine(monkeypatch, is_fast=not is_fast)
        resumed = zoo.resume(tmp_path / f"stopped-{is_fast}", registry=registry)
        assert resumed.record.resumed[0].environment_changes == []
        assert resumed.record.model_sha256 == whole[is_fast].record.model_sha256
        assert resumed.test_metrics == whole[is_fast].test_metrics
    assert whole[True].record.model_sha256 != whole[False].record.model_sha256


def test_show_says_what_it_means_here(run_zoo: Zoo, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    for why_slow, policy in ((None, "mixed_bfloat16"), ("no AVX512-BF16", "float32")):
        monkeypatch.setattr(hardware, "why_bfloat16_is_slow", lambda _, why=why_slow: why)
        shown = run_zoo("show", "fashion-cnn-fast").out
        (line,) = [line for line in shown.splitlines() if line.startswith("precision")]
        assert policy in line
        assert why_slow is None or why_slow in line
        golden.says(line)
        assert json.loads(run_zoo("show", "fashion-cnn-fast", "--json").out)[0]["auto_precision"] == policy
    assert not any(line.startswith("precision") for line in run_zoo("show", "fashion-cnn").out.splitlines())
    assert json.loads(run_zoo("show", "fashion-cnn", "--json").out)[0]["auto_precision"] is None


@pytest.mark.slow
def test_metrics_are_computed_in_the_precision_that_is_recorded(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_machine(monkeypatch, is_fast=True)
    options: dict[str, Any] = {"registry": registry, "trainer": "resident", "epochs": 1, "settings": AUTO}
    whole = zoo.run("small", out=tmp_path / "whole", **options)
    trained = zoo.train("small", out=tmp_path / "trained", **options)
    on_machine(monkeypatch, is_fast=False)
    assert zoo.test(trained.path, registry=registry).test_metrics == whole.test_metrics
    assert unsealed(trained.path / "run.json")["test"] == unsealed(whole.path / "run.json")["test"]
