"""A real run, killed with -9 at random moments and resumed, ends with the bits of one that was left alone."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import random
import signal
import subprocess
import sys
import termios
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
EPOCHS = 12
LONGEST = 120.0  # seconds that nothing here may take


def command(out: Path) -> list[str]:
    """Return a call that starts a run, goes on with one that was stopped, or shows one that is done."""
    options = ["--epochs", str(EPOCHS), "--checkpoint-every", "3", "--resume", "--out", str(out)]
    return [sys.executable, "-m", "tests.small_zoo", "run", "small", *options]


def finish(out: Path) -> None:
    done = subprocess.run(command(out), cwd=ROOT, capture_output=True, text=True, timeout=LONGEST, check=False)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr


def kill(out: Path, generator: random.Random) -> bool:
    """Start or go on, and kill: at any moment, or at one while it trains; return whether it was still alive."""
    with subprocess.Popen(command(out), cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        if generator.random() < 0.25:
            time.sleep(generator.uniform(0, 6))
        else:
            assert process.stderr is not None
            for line in process.stderr:
                if line.startswith(("epoch", "going on", "saving", "testing")):
                    break
            threading.Thread(target=process.stderr.read, daemon=True).start()  # so that it never waits for a reader
            time.sleep(generator.uniform(0, 1.2))
        was_alive = process.poll() is None
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        process.wait()
    return was_alive


@dataclass(frozen=True)
class Outcome:
    """All of a run that another must come to as well."""

    model: str
    best_epoch: int
    metrics: list[Any]
    test: Any


def outcome(out: Path) -> Outcome:
    record = json.loads((out / "run.json").read_bytes())
    metrics = [(epoch["epoch"], epoch["train"], epoch["validation"]) for epoch in record["history"]]
    return Outcome(record["model_sha256"], record["best_epoch"], metrics, record["test"])


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    out = tmp_path_factory.mktemp("alone") / "run"
    finish(out)
    return outcome(out)


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


def test_killed_run_goes_on_to_the_same_bits(tmp_path: Path, expected: Outcome) -> None:
    killed_and_resumed(tmp_path, 3, 0, expected)


@pytest.mark.full
def test_killed_sixty_times(tmp_path: Path, expected: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    killed, runs = killed_and_resumed(tmp_path, 60, 1, expected)
    with capsys.disabled():
        print(f"\nkills tried: {killed}, in {runs} runs; runs lost: 0; all end with model {expected.model[:12]}")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signal_commits_the_step_and_says_how_to_go_on(
    tmp_path: Path, expected: Outcome, number: signal.Signals, status: int
) -> None:
    out = tmp_path / "run"

    def listen() -> None:  # also where the tests were started by something that ignores the signal
        signal.signal(number, signal.SIG_DFL)

    with subprocess.Popen(command(out), cwd=ROOT, stderr=subprocess.PIPE, text=True, preexec_fn=listen) as process:
        assert process.stderr is not None
        lines: list[str] = []
        for line in process.stderr:
            lines.append(line)
            if line.startswith("epoch  2/"):
                process.send_signal(number)
                break
        lines += process.communicate(timeout=LONGEST)[1].splitlines()
    assert process.returncode == status
    stopped, _, how = lines[-1].partition(" Go on with: ")
    assert stopped.startswith("Stopped ")
    assert how == f"zoo resume {out}"
    assert "Traceback" not in "".join(lines)
    record = json.loads((out / "run.json").read_bytes())
    assert record["status"] == "interrupted"
    newest = max((out / "checkpoints").iterdir())
    manifest = json.loads((newest / "manifest.json").read_bytes())
    where = f"in epoch {manifest['epoch'] + 1} of {EPOCHS}, after step {manifest['step']}."
    where = where if manifest["step"] else f"after epoch {manifest['epoch']} of {EPOCHS}."
    assert where in stopped
    finish(out)
    assert outcome(out) == expected


def test_signal_before_there_is_a_run_leaves_nothing(tmp_path: Path) -> None:
    with subprocess.Popen(command(tmp_path / "run"), cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("loading Keras"):
                process.send_signal(signal.SIGTERM)
                break
        rest = process.communicate(timeout=LONGEST)[1]
    assert process.returncode == 143
    assert rest.splitlines()[-1] == "Interrupted."
    assert list(tmp_path.iterdir()) == []


def test_of_eight_runs_on_one_folder_one_proceeds(tmp_path: Path, expected: Outcome) -> None:
    out = tmp_path / "run"
    processes = [
        subprocess.Popen(
            [part for part in command(out) if part != "--resume"], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        for _ in range(8)
    ]
    said = {process.pid: process.communicate(timeout=4 * LONGEST)[1] for process in processes}
    (winner,) = [process for process in processes if process.returncode == 0]
    for process in processes:
        if process is not winner:
            assert process.returncode == 1
            last = said[process.pid].splitlines()[-1]
            assert f"is in use by another run: process {winner.pid} on " in last or "already holds a run" in last
    assert outcome(out) == expected


@pytest.mark.parametrize("is_ignored", [False, True], ids=["hung up", "disowned"])
def test_terminal_that_goes_away_costs_nothing(tmp_path: Path, expected: Outcome, is_ignored: bool) -> None:
    out, (terminal, other) = tmp_path / "run", pty.openpty()

    def begin() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGHUP, signal.SIG_IGN if is_ignored else signal.SIG_DFL)

    process = subprocess.Popen(
        command(out),
        cwd=ROOT,
        env={**os.environ, "TERM": "xterm"},
        stdin=other,
        stdout=subprocess.DEVNULL,
        stderr=other,
        start_new_session=True,
        preexec_fn=begin,
    )
    os.close(other)
    said = b""
    while b"epoch  2/" not in said:
        said += os.read(terminal, 1 << 16)
    os.close(terminal)
    assert process.wait(LONGEST) == (0 if is_ignored else 129)
    if not is_ignored:
        assert json.loads((out / "run.json").read_bytes())["status"] == "interrupted"
        finish(out)
    assert outcome(out) == expected
