"""Processes that train keep freed memory; others, and those that are told not to, do not."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import zoo_ray.worker
import zoo_sweep.engine
import zoo_sweep.worker

import zoo
from tests.support import ROOT
from tests.support.command_line import Zoo
from zoo import Registry
from zoo.cli import run
from zoo.utils import allocator

is_glibc = platform.libc_ver()[0] == "glibc"
# 20 times 48 MiB, one after another, in the main thread or another one: page faults of the last ten
ALLOCATE = """
import resource, sys, threading
import zoo

kept = zoo.utils.keep_freed_memory()
faults = []

def work():
    for _ in range(20):
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
        memory = [bytearray(int(sys.argv[2])) for _ in range(48 * 2**20 // int(sys.argv[2]))]
        for block in memory:
            block[::4096] = b"x" * len(block[::4096])
        del memory, block

if sys.argv[1] == "main":
    work()
else:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
print(kept, faults[-1] - faults[10])
"""


def faults(thread: str, block: int, keep: str) -> tuple[str, int]:
    done = subprocess.run(
        [sys.executable, "-c", ALLOCATE, thread, str(block)],
        env=os.environ | {"ZOO_KEEP_MEMORY": keep},
        check=True,
        capture_output=True,
        text=True,
    )
    kept, count = done.stdout.split()
    return kept, int(count)


@pytest.mark.parametrize("thread", ["main", "another"])
@pytest.mark.parametrize("block", [2**20, 24 * 2**20])
def test_freed_memory_is_used_again(thread: str, block: int) -> None:
    assert faults(thread, block, "0")[0] == "False"
    kept, count = faults(thread, block, "1")
    assert kept == str(is_glibc)
    if is_glibc:
        assert count < 9 * 48 * 2**20 // 4096 / 20


@pytest.mark.skipif(
    not is_glibc or tuple(map(int, platform.libc_ver()[1].split("."))) < (2, 35),
    reason="keeps blocks of more than 32 MiB with glibc 2.35 or newer alone",
)
def test_large_blocks_would_be_given_back() -> None:
    block = 48 * 2**20
    # with huge pages a block has few pages, so what is compared is how often they are fetched
    assert faults("main", block, "0")[1] > 4 * faults("main", block, "1")[1] + 50


@pytest.mark.slow
def test_only_commands_that_train_keep_memory(run_zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(allocator, "keep_freed_memory", lambda: calls.append("called"))
    monkeypatch.setattr(run, "import_keras", lambda: calls.append("Keras"))
    assert run_zoo("list").status == run_zoo("show", "fashion-cnn").status == 0
    assert run_zoo("test", "fashion-cnn", "--quiet").status == 0
    assert calls == ["Keras"]
    calls.clear()
    assert run_zoo("train", "small", "--epochs", "1", "--out", tmp_path / "run", "--quiet").status == 0
    assert calls[:2] == ["called", "Keras"]
    calls.clear()
    assert run_zoo("test", tmp_path / "run", "--quiet").status == 0
    assert calls == ["Keras"]


@pytest.mark.slow
def test_code_keeps_memory_too(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(allocator, "keep_freed_memory", lambda: calls.append("called"))
    zoo.train("small", registry=registry, out=tmp_path / "run", epochs=1)
    assert calls == ["called"]
    zoo.load(tmp_path / "run", registry=registry)
    zoo.test(tmp_path / "run", registry=registry)
    assert calls == ["called"]


def test_workers_keep_memory_before_the_backend_is_imported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[str] = []

    def keep() -> None:
        calls.append("kept")
        raise zoo.ZooError("far enough")

    monkeypatch.setattr(zoo_sweep.worker, "keep_freed_memory", keep)
    monkeypatch.setattr(zoo_sweep.worker, "import_keras", lambda: calls.append("Keras"))
    job = zoo_sweep.engine.TrialJob(
        folder=str(tmp_path / "run"),
        work="train",
        recipe="fashion-cnn",
        changes={},
        data_dir=None,
        plugin_files=[],
        place=str(tmp_path),
    )
    assert zoo_sweep.worker.carry_out(job).error == "far enough"
    monkeypatch.setattr(zoo_ray.worker, "keep_freed_memory", keep)
    with pytest.raises(zoo.ZooError, match="far enough"):
        zoo_ray.worker.work({})
    assert calls == ["kept", "kept"]


@pytest.mark.slow
def test_weights_are_the_same_to_the_bit(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # activations of megabytes, which glibc returns by default
    command = ["train", "small", "--epochs", "1", "--batch-size", "250", "--set", "model.widths=32,64,64"]
    subprocess.run(
        [sys.executable, "-m", "tests.support.small_zoo", *command, "--quiet", "--out", str(tmp_path / "0")],
        cwd=ROOT,
        env=os.environ | {"ZOO_KEEP_MEMORY": "0"},
        check=True,
        capture_output=True,
    )
    monkeypatch.setenv("ZOO_KEEP_MEMORY", "1")  # in this process
    settings = {"model.widths": (32, 64, 64)}
    kept = zoo.train("small", epochs=1, batch_size=250, settings=settings, out=tmp_path / "1", registry=registry)
    assert kept.record.model_sha256 == zoo.open_run(tmp_path / "0").record.model_sha256
