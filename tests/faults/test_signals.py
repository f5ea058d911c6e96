"""A real run that a signal stops, or whose terminal goes away, keeps what it has done and goes on to the same bits."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import subprocess
import termios
from pathlib import Path

import pytest

from tests.support.golden import Golden

from .real_run import EPOCHS, LONGEST, ROOT, Outcome, command, finish, outcome


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status"),  # that of SIGHUP is below, as a terminal sends it
    [(signal.SIGTERM, 143), (signal.SIGINT, 130)],
)
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
            if line.startswith("epoch 2/"):
                process.send_signal(number)
                break
        lines += process.communicate(timeout=LONGEST)[1].splitlines()
    assert process.returncode == status
    how = f"zoo.resume({str(out)!r}, registry=...)"  # the recipe is of a registry in code
    assert how in lines[-1]
    assert "Traceback" not in "".join(lines)
    record = json.loads((out / "run.json").read_bytes())
    assert record["status"] == "interrupted"
    newest = max((out / "checkpoints").iterdir())
    manifest = json.loads((newest / "manifest.json").read_bytes())
    done, step = (
        manifest["epoch"],
        manifest["step"],
    )  # it says in which epoch and after which step, or how many are done
    told = [int(number) for number in re.findall(r"\d+", lines[-1].replace(how, ""))]
    assert sorted(told) == sorted([done + 1, EPOCHS, step] if step else [done, EPOCHS])
    if number == signal.SIGTERM:  # the other has only a status of its own
        finish(out)
        assert outcome(out) == expected


def test_signal_before_there_is_a_run_leaves_nothing(golden: Golden, tmp_path: Path) -> None:
    with subprocess.Popen(command(tmp_path / "run"), cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline()  # of what comes first, which is loading Keras
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=LONGEST)[1]
    assert process.returncode == 143
    golden.says(rest.splitlines()[-1])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
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
    while b"epoch 2/" not in said:
        said += os.read(terminal, 1 << 16)
    os.close(terminal)
    assert process.wait(LONGEST) == (0 if is_ignored else 129)
    if not is_ignored:
        assert json.loads((out / "run.json").read_bytes())["status"] == "interrupted"
        finish(out)
    assert outcome(out) == expected
