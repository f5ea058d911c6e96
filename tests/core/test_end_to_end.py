"""The main job on all the real images: a full epoch by the installed program, tested from a new process."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from pathlib import Path

import pytest

ZOO = Path(sysconfig.get_path("scripts")) / "zoo"


def zoo(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ZOO, *arguments], capture_output=True, text=True, check=True, cwd=cwd)


@pytest.mark.slow
def test_one_full_epoch_and_a_test_from_a_new_process_elsewhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = zoo("run", "fashion-cnn", "--epochs", "1", "--out", "run", "--json", cwd=tmp_path)
    result = json.loads(done.stdout)
    assert result["dataset"] == {"name": "fashion-mnist", "train": 55_000, "validation": 5_000, "test": 10_000}
    assert result["model"] == {"name": "fashion-cnn", "plugin": "fashion", "parameters": 356_234}
    assert result["test"]["accuracy"] > 0.84
    assert result["validation"]["accuracy"] > 0.84
    for chatter in ("oneDNN", "cuda", "absl"):
        assert chatter not in done.stderr

    tested = json.loads(zoo("test", "../run", "--json", "--quiet", cwd=elsewhere).stdout)
    for key in ("recipe", "run", "model", "dataset", "test"):
        assert tested[key] == result[key]
