"""Each fuzz target for a moment: what is refused is refused with the documented error."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from zoo import Run

from .corpus import body_of, seal_body
from .fuzz import TARGETS, Target, fuzz, run_record

INPUTS = {
    "run-record": 8000,
    "checkpoint-record": 12_000,
    "artifact": 12_000,
    "cifar": 200,
    "emnist-mapping": 200,
    "predictions": 6000,
    "idx": 10_000,
    "image": 3000,
    "npz": 500,
    "own-idx": 300,
    "table": 500,
    "setting": 40_000,
    "svhn": 500,
}
LONGEST = ("artifact", "checkpoint-record", "run-record")
SHARES = {"setting": 0.05, "image": 0.2, "own-idx": 0.2}  # that are refused, at least; of the others half


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in LONGEST else []) for name in TARGETS]
)
def test_mutated_seeds_are_taken_or_refused(name: str) -> None:
    tally = fuzz(TARGETS[name], seed=0, inputs=INPUTS[name])
    assert tally.fault is None, f"{tally.fault!r:.500} for {tally.last!r:.500}"
    assert tally.tried == INPUTS[name]
    assert tally.refused > INPUTS[name] * SHARES.get(name, 0.5)


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_taken(name: str) -> None:
    target = TARGETS[name]
    assert any(map(target.read, target.seeds()))


def test_record_of_a_real_run_is_a_seed_too(small_run: Run) -> None:
    data = (small_run.path / "run.json").read_bytes()
    assert seal_body(body_of(data)) == data  # so that what is sealed anew gets past the digest
    target = Target(read=run_record, seeds=lambda: [data], mutate=TARGETS["run-record"].mutate)
    tally = fuzz(target, seed=1, inputs=500)
    assert (tally.fault, tally.tried) == (None, 500)


def test_fault_ends_the_search_with_the_input_that_shows_it() -> None:
    def read(data: bytes) -> bool:
        if b"7" in data:
            raise KeyError("7")
        return True

    def mutate(data: bytes, chance: random.Random) -> bytes:
        return data + str(chance.randrange(10)).encode()

    tally = fuzz(Target(read=read, seeds=lambda: [b""], mutate=mutate), seed=0, inputs=1000)
    assert (type(tally.fault), tally.last) == (KeyError, b"7")


def test_driver_saves_the_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from . import fuzz as module

    def read(data: bytes) -> bool:
        raise ZeroDivisionError

    broken = Target(read=read, seeds=lambda: [b"seed"], mutate=lambda data, _: data)
    monkeypatch.setattr(module, "TARGETS", {"broken": broken})
    monkeypatch.setattr("sys.argv", ["fuzz", "--seed", "3"])
    monkeypatch.chdir(tmp_path)
    assert module.main() == 1
    assert (tmp_path / "fuzz-broken-3.bin").read_bytes() == b"seed"
    assert "broken: 1 inputs tried, 0 refused" in capsys.readouterr().out
