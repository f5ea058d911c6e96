"""Processes that train keep freed memory; others, and those that are told not to, do not."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

import zoo
from zoo import allocator

from .conftest import Zoo

is_glibc = platform.libc_ver()[0] == "glibc"
# 20 blocks of 48 MiB, one after another, in the main thread or another one: page faults of the last ten
ALLOCATE = """
import resource, sys, threading
import zoo

kept = zoo.keep_freed_memory()
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
@pytest.mark.parametrize("block", [2**20, 48 * 2**20])
def test_freed_memory_is_used_again(thread: str, block: int) -> None:
    pages = 9 * 48 * 2**20 // 4096
    assert faults(thread, block, "0")[0] == "False"
    kept, count = faults(thread, block, "1")
    assert kept == str(is_glibc)
    if is_glibc:
        assert count < pages / 20
        if block > 2**25:  # which glibc always gives back by itself
            assert faults(thread, block, "0")[1] > pages / 2


def test_only_commands_that_train_keep_memory(run_zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(allocator, "keep_freed_memory", lambda: calls.append("called"))
    assert run_zoo("list").status == run_zoo("show", "fashion-cnn").status == 0
    assert run_zoo("test", "fashion-cnn", "--quiet").status == 0
    assert not calls
    assert run_zoo("train", "small", "--epochs", "1", "--out", tmp_path / "run", "--quiet").status == 0
    assert calls
    calls.clear()
    assert run_zoo("test", tmp_path / "run", "--quiet").status == 0
    assert not calls


def test_weights_are_the_same_to_the_bit(tmp_path: Path) -> None:
    digests = set()
    for keep in ("0", "1"):
        command = ["train", "fashion-cnn", "--epochs", "1", "--batch-size", "512", "--set", "validation=50000"]
        subprocess.run(
            [sys.executable, "-m", "zoo", *command, "--quiet", "--out", str(tmp_path / keep)],
            env=os.environ | {"ZOO_KEEP_MEMORY": keep},
            check=True,
            capture_output=True,
        )
        digests.add(zoo.open_run(tmp_path / keep).record.model_sha256)
    assert len(digests) == 1
