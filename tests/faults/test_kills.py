"""A real run, killed with -9 at random moments and resumed, ends with the bits of one that was left alone."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from .real_run import ROOT, Outcome, command, finish, outcome

pytestmark = pytest.mark.usefixtures("pictures")  # a kill may come while they are drawn


def kill(out: Path, generator: random.Random) -> bool:
    """Start or go on, and kill: at any moment, or at one while it trains; return whether it was still alive."""
    with subprocess.Popen(command(out), cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        if generator.random() < 0.25:
            time.sleep(generator.uniform(0, 6))
        else:
            assert process.stderr is not None
            for line in process.stderr:
                if "epoch" in line or line.startswith(("saving", "testing")):
                    break
            threading.Thread(target=process.stderr.read, daemon=True).start()  # so that it never waits for a reader
            time.sleep(generator.uniform(0, 1.2))
        was_alive = process.poll() is None
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        process.wait()
    return was_alive


def killed_and_resumed(folder: Path, kills: int, seed: int, expected: Outcome) -> tuple[int, int]:
    """Kill runs so often, each until it is done or has been killed eight times; return the kills and the runs."""
    generator, killed, runs = random.Random(seed), 0, 0
    while killed < kills:
        out = folder / f"run-{runs}"
        for _ in range(min(8, kills - killed)):
            if not kill(out, generator):
                break
            killed += 1
        finish(out)
        assert outcome(out) == expected
        assert not list(out.glob("**/.*")), "something was left behind"
        runs += 1
    return killed, runs


@pytest.mark.slow
def test_killed_run_goes_on_to_the_same_bits(tmp_path: Path, expected: Outcome) -> None:
    killed_and_resumed(tmp_path, 3, 0, expected)


@pytest.mark.full
def test_killed_sixty_times(tmp_path: Path, expected: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    killed, runs = killed_and_resumed(tmp_path, 60, 1, expected)
    with capsys.disabled():
        print(f"\nkills tried: {killed}, in {runs} runs; runs lost: 0; all end with model {expected.model[:12]}")
