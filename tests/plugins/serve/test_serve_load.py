"""The service under load: killed and restarted, and for a minute."""

from __future__ import annotations

from pathlib import Path

import pytest

import zoo
from tests.benchmarks.service import kill, soak
from tests.support.onnx_files import write_onnx

pytestmark = pytest.mark.full


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(write_onnx(tmp_path / "net.onnx", zoo.open_run("fashion-cnn")))


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_and_restarted_under_load_it_refuses_and_never_answers_wrong(file: str, workers: int) -> None:
    counts = kill(file, rounds=3, size=8, clients=4, workers=workers)
    assert counts["wrong"] == 0
    assert all(counts[f"right in round {i}"] > 0 for i in range(1, 5))


@pytest.mark.parametrize("workers", [1, 2])
def test_memory_is_flat(file: str, workers: int) -> None:
    found = soak(file, 60, 8, 8, workers)
    kept = [mib for at, mib in found["samples_mib"] if at > 12]
    assert max(kept) - kept[0] < 5
    assert all(mib > 10 for mib in kept)
    assert found["load"]["failed"] == 0
    assert found["load"]["images_per_s"] > 0
