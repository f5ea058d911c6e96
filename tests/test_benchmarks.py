"""The page of benchmarks says what was measured."""

from __future__ import annotations

from datetime import date

from .benchmarks.contenders import STOCK, Epoch
from .benchmarks.machine import Machine
from .benchmarks.page import Whole, render
from .benchmarks.whole import Target

MACHINE = Machine(
    processor="Some Processor",
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
        Epoch(wall=seconds, cpu=2 * seconds, accuracy=accuracy if seconds == wall[-1] else 0.5, peak=10**9)
        for seconds in wall
    ]


def test_page_shows_ratios_shares_marks_and_failures() -> None:
    page = render(
        machine=MACHINE,
        rounds=2,
        epochs={
            STOCK: epochs(50.0, 22.0, 24.0, 30.0, accuracy=0.93),
            "ours, bfloat16": epochs(9.0, 11.0, 12.0, accuracy=0.91),
            "theirs": "ImportError: no | torch",
        },
        racing=[STOCK, "ours, bfloat16", "theirs"],
        mark=0.92,
        fast=[Whole(training=25.0, cpu=60.0, accuracy=0.9241)],
        targets=[
            Target(what="near", beside="least", ours=2.4, theirs=2.0, unit="s", limit=1.2),
            Target(what="far", beside="least", ours=2.5, theirs=2.0, unit="s", limit=1.2),
        ],
        minutes=44.6,
    )
    lines = page.splitlines()
    assert lines[0] == "# Benchmarks"
    assert "| processor | 2 x Some Processor, 8 GiB |" in lines
    # the first epoch compiles; 55,000 images of 20 million operations are 1.1e12
    assert f"| {STOCK} | 23.00 | 46.00 | 1.00 | 1.00 | 48% | 1000 MB |" in lines
    assert "| ours, bfloat16 | 11.50 | 23.00 | 2.00 | 2.00 | 24% | 1000 MB |" in lines
    assert "| theirs | failed: ImportError: no / torch | | | | | |" in lines
    assert f"| {STOCK} | 4 | 126 | 252 | 0.9300 |" in lines
    assert "| ours, bfloat16 | not in 3 | 32 | 64 | 0.9100 |" in lines
    assert "| theirs | failed | | | |" in lines
    assert "| recipe `fashion-cnn-fast`, seed 0 | 4 | 25 | 60 | 0.9241 |" in lines
    assert "| near | 2.4 s | least | 2 s | 1.20 | 1.2 | met |" in lines
    assert "| far | 2.5 s | least | 2 s | 1.25 | 1.2 | missed |" in lines
    assert not any(line.startswith(" ") for line in lines)
