"""Start-up with many plugins installed: `zoo list` with up to 200 plugins of 50 entries each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

ENTRIES = 50
PLUGIN = """
from zoo import Entry, hookimpl

@hookimpl
def register_models():
    return [
        Entry(name=f"net-{{number}}.{plugin}", target="json:loads", summary="A model among many.")
        for number in range({entries})
    ]
"""


def install(folder: Path, plugins: int) -> None:
    for number in range(plugins):
        (folder / f"many_{number}.py").write_text(PLUGIN.format(plugin=number, entries=ENTRIES))
        metadata = folder / f"many_{number}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: many-{number}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[zoo]\nmany-{number} = many_{number}\n")


@pytest.mark.parametrize("plugins", [0, 50, 100, 200])
def test_list_with_many_plugins(benchmark: BenchmarkFixture, tmp_path: Path, plugins: int) -> None:
    """What must grow linearly, and stay within a second at 200 plugins."""
    install(tmp_path, plugins)
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "zoo", "list", "models", "many-*/*", "--json"]
    done = benchmark.pedantic(
        lambda: subprocess.run(command, capture_output=True, check=True, env=environ), rounds=5, warmup_rounds=1
    )
    assert len(json.loads(done.stdout)) == plugins * ENTRIES
    assert benchmark.stats is not None
    assert min(benchmark.stats.stats.data) < 1.0
