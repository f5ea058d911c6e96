"""The page of benchmarks says what was measured."""

from __future__ import annotations

import json
import runpy
from datetime import date

import pytest

from tests.benchmarks import machine
from tests.benchmarks.compare import Worker, take_turns
from tests.benchmarks.contenders import STOCK, Epoch
from tests.benchmarks.machine import Machine
from tests.benchmarks.page import Contender, Whole, render
from tests.benchmarks.ray_costs import GRADIENTS, Cost, step_seconds
from tests.benchmarks.ray_costs import page as ray_page
from tests.benchmarks.sweep_costs import ON_RAY, SweepCost
from tests.benchmarks.whole import Target
from tests.support import ROOT
from zoo.utils import hardware

MACHINE = Machine(
    processor="Some Processor",
    instruction_sets=("avx", "avx2"),
    has_bfloat16=True,
    variables={"ONEDNN_MAX_CPU_ISA": "AVX2"},
    processors=2,
    memory=8 * 2**30,
    device="no GPU",
    backend="tensorflow",
    python="3.11.7",
    packages={"keras": "3.15.1"},
    day=date(2026, 1, 2),
    rates={"float32": 100e9, "bfloat16": 400e9},
    work=20e6,
)


def epochs(*wall: float, accuracy: float = 0.9) -> list[Epoch]:
    """Return epochs that took so long; the last of them has the accuracy."""
    return [
        Epoch(
            wall=seconds,
            user=1.5 * seconds,
            system=0.5 * seconds,
            faults=round(1000 * seconds),
            accuracy=accuracy if seconds == wall[-1] else 0.5,
            peak=10**9,
        )
        for seconds in wall
    ]


def contender(name: str, several: list[Epoch], failure: str | None = None) -> Contender:
    return Contender(name=name, epochs=several, failure=failure, is_racing=True)


def test_page_shows_ratios_shares_marks_and_failures() -> None:
    page = render(
        machine=MACHINE,
        command="python -m compare",
        rounds=2,
        contenders=[
            contender(STOCK, epochs(50.0, 22.0, 24.0, 30.0, accuracy=0.93)),
            contender("ours, bfloat16", epochs(9.0, 11.0, 12.0, accuracy=0.91)),
            contender("theirs", [], "ImportError: no | torch"),
            contender("begun", epochs(5.0), "its process ended with -9"),
            contender("half-way", epochs(5.0, 5.0, 5.5), "no answer in 1800 s"),
        ],
        mark=0.92,
        fast=[
            Whole(seed=0, precision="float32", training=24.0, cpu=60.0, accuracy=0.9241),
            Whole(seed=1, precision="float32", training=26.0, cpu=62.0, accuracy=0.9199),
            "zoo run ended\nwith 1",
        ],
        targets=[
            Target(what="near", beside="least", ours=2.4, theirs=2.0, unit="s", limit=1.2),
            Target(what="far", beside="least", ours=2.5, theirs=2.0, unit="s", limit=1.2),
            "memory: zoo ended with 1",
        ],
        minutes=44.6,
    )
    lines = page.splitlines()
    assert lines[0] == "# Benchmarks"
    assert "python -m compare" in lines
    assert "| processor | 2 x Some Processor, 8 GiB |" in lines
    assert "| best matrix product | float32 100 GFLOP/s, bfloat16 400 GFLOP/s |" in lines
    # the first epoch compiles; 55,000 images of 20 million operations are 1.1e12
    assert "| instruction sets | avx avx2; with ONEDNN_MAX_CPU_ISA=AVX2 |" in lines
    assert f"| {STOCK} | 23.00 (22.00 to 24.00) | 34.50 | 11.50 | 23,000 | 1.00 | 1.00 | 48% | 1000 MB |" in lines
    assert "| ours, bfloat16 | 11.50 (11.00 to 12.00) | 17.25 | 5.75 | 11,500 | 2.00 | 2.00 | 24% | 1000 MB |" in lines
    assert "| theirs | failed after 0: ImportError: no / torch | | | | | | | |" in lines
    assert "| begun | failed after 1: its process ended with -9 | | | | | | | |" in lines
    assert f"| {STOCK} | 4 | 126 | 252 | 0.9300 |" in lines
    assert "| ours, bfloat16 | not in 3 | 32 | 64 | 0.9100 |" in lines
    assert "| theirs | failed after 0: ImportError: no / torch | | | |" in lines
    assert "| half-way | failed after 3: no answer in 1800 s | | | |" in lines
    # 20 epochs of 23 s
    assert f"| {STOCK}, 20 epochs | 460 | 920 | 1 | |" in lines
    assert "| recipe `fashion-cnn-fast`, float32, seed 0 | 24.0 | 60 | 19.2 | 0.9241 |" in lines
    assert "| recipe `fashion-cnn-fast`, float32, seed 1 | 26.0 | 62 | 17.7 | 0.9199, below the reference |" in lines
    assert "| recipe `fashion-cnn-fast` | failed: zoo run ended with 1 | | | |" in lines
    assert "| its mean in float32 | 25.0 | 61 | 18.4 | 0.9220 |" in lines
    assert "| near | 2.4 s | least | 2 s | 1.20 | 1.2 | met |" in lines
    assert "| far | 2.5 s | least | 2 s | 1.25 | 1.2 | missed |" in lines
    assert "| failed: memory: zoo ended with 1 | | | | | | |" in lines
    assert not any(line.startswith(" ") for line in lines)


def test_a_contender_that_fails_or_dies_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)  # what runs the contenders is imported anew
    (unknown,) = take_turns(["nobody"], rounds=1, to_mark=False)
    assert (unknown.epochs, unknown.failure) == ([], "KeyError: 'nobody'")
    worker = Worker(STOCK)
    worker.end()
    worker.epoch()
    assert worker.failure == "its process ended with -9"


def test_page_of_ray_s_costs_works_out_what_more_workers_bring() -> None:
    assert step_seconds(1, 64, 1e-3, 2e-3, (1e9, 1e-3)) == pytest.approx(64e-3 + 2e-3)  # nothing to exchange
    assert step_seconds(4, 62, 1e-3, 0.0, (1e9, 0.0)) == pytest.approx(16e-3 + 1.5 * GRADIENTS / 1e9)
    assert step_seconds(4, 64, 0.0, 0.0, (1e9, 1e-3)) == pytest.approx(1.5 * GRADIENTS / 1e9 + 6e-3)
    page = ray_page(
        {
            "resident, 1 thread": Cost(start=1.0, step=0.064, end=0.0),
            "ray, 1 worker": Cost(start=12.0, step=0.070, end=1.0),
            "ray, 2 workers": Cost(start=13.0, step=0.040, end=1.0),
        },
        {"alone": SweepCost(whole=4.0, trial=5.2), ON_RAY: SweepCost(whole=9.0, trial=7.0)},
        5.0,
        MACHINE.title,
    )
    assert "| ray, 2 workers | 13.0 | 40.00 | 1.0 |" in page
    assert "The engine takes 12.0 s per run and 6.00 ms per step." in page
    assert "Two workers are 1.60 times as fast as one process with one thread." in page
    assert "| 1 | 0.9 | 0.9 | 0.9 | 0.9 | 0.9 | 0.9 |" in page
    last = next(line for line in page.splitlines() if line.startswith("| 1,000 |"))
    assert last.split(" | ")[1:4] == ["-", "-", "-"]  # more workers than images
    assert "| alone | 5.20 | +0.20 | 4.0 |" in page
    assert "| `--address local --jobs 1` | 7.00 | +2.00 | 9.0 |" in page
    # 1,000 trials of 30 s in (30 + 2) s and 9 s, of 600 s in 611 s, of 7,200 s in 7,211 s
    assert page.endswith("| 1,000 | 731.7 | 982.0 | 998.5 |\n")


@pytest.mark.parametrize(("accelerator", "device"), [("", "no GPU"), (None, "unknown")])
def test_device_that_is_not_known_is_not_called_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], accelerator: str | None, device: str
) -> None:
    monkeypatch.setattr(hardware, "accelerator_name", lambda: accelerator)
    monkeypatch.setattr(hardware, "enable_onednn", lambda: None)  # the rest of the tests goes on as it was
    monkeypatch.setattr("keras.ops.matmul", lambda values, _: values)  # takes no time
    monkeypatch.setattr("sys.argv", ["machine", "keras"])
    runpy.run_path(machine.__file__, run_name="__main__")
    assert json.loads(capsys.readouterr().out)["device"] == device
