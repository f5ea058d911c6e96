"""Of several runs that want the same folder, one has it, and ends with the bits of one that was left alone."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from .real_run import LONGEST, ROOT, Outcome, command, outcome


@pytest.mark.slow
def test_of_three_runs_on_one_folder_one_proceeds(tmp_path: Path, expected: Outcome) -> None:
    out = tmp_path / "run"
    processes = [
        subprocess.Popen(
            [part for part in command(out) if part != "--resume"], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    said = {process.pid: process.communicate(timeout=3 * LONGEST)[1] for process in processes}
    (winner,) = [process for process in processes if process.returncode == 0]
    for process in processes:
        if process is not winner:
            assert process.returncode == 1
            last = said[process.pid].splitlines()[-1]
            assert last.startswith("Error: ")
            assert str(out) in last
            assert re.search(rf"\b({winner.pid}|run\.json)\b", last)  # who is at work there, or what is there already
    assert outcome(out) == expected
