"""Processes of ours and their channels: messages of any length, in bounded time, and nobody is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from zoo.utils import Channel, ChildProcess
from zoo.utils.processes import living_in_session


def channels() -> tuple[Channel, Channel]:
    """Return the two ends of a channel."""
    (first, second), (third, fourth) = os.pipe(), os.pipe()
    return Channel(first, fourth), Channel(third, second)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a module that a child process can be."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path / "child.py"


ECHO = """
from zoo.utils import Channel

channel = Channel.to_parent()
print("not a message")
assert input is not None and __import__("sys").stdin.read() == ""
try:
    while True:
        channel.send(channel.receive()[::-1])
        channel.flush()
except EOFError:
    print("the end")
"""


@pytest.mark.parametrize("message", [b"", b"\n", bytes(range(256)), b"abc" * 1_000_000])
def test_messages_of_any_length_come_back(module: Path, message: bytes) -> None:
    module.write_text(ECHO)
    child = ChildProcess("child")
    child.send(message)
    child.send(b"ab")
    assert child.receive(30) == message[::-1]
    assert child.receive(30) == b"ba"
    assert child.receive(0) is None
    assert child.finish(30)
    assert child.end() == child.end() == 0
    assert child.last_words == "the end"


def test_sending_does_not_wait_and_receiving_hands_over_what_was_kept() -> None:
    ours, theirs = channels()
    started = time.monotonic()
    ours.send(b"x" * 10_000_000)  # more than a pipe holds
    assert not ours.flush(0.1)
    assert ours.receive(0.1) is None
    assert time.monotonic() - started < 5

    def echo() -> None:
        theirs.send(theirs.receive() or b"")
        theirs.flush()

    thread = threading.Thread(target=echo)
    thread.start()
    assert ours.receive(30) == b"x" * 10_000_000
    thread.join()
    theirs.close()
    ours.close()


def test_other_end_that_has_gone_is_told_after_what_it_said() -> None:
    ours, theirs = channels()
    theirs.send(b"last words")
    theirs.close()
    with pytest.raises(EOFError):
        ours.send(b"to nobody")
    assert ours.receive() == b"last words"
    with pytest.raises(EOFError):
        ours.receive()
    ours.close()


def test_end_of_sending_leaves_receiving_open() -> None:
    ours, theirs = channels()
    ours.send(b"question")
    ours.end()
    assert theirs.receive() == b"question"
    with pytest.raises(EOFError):
        theirs.receive()
    theirs.send(b"answer")
    assert ours.receive() == b"answer"
    ours.close()
    theirs.close()


def test_message_that_is_cut_off_is_the_end() -> None:
    reading, writing = os.pipe()
    os.write(writing, (100).to_bytes(8, "little") + b"half")
    os.close(writing)
    channel = Channel(reading, os.open(os.devnull, os.O_WRONLY))
    with pytest.raises(EOFError):
        channel.receive()
    channel.close()


def test_child_that_fails_leaves_its_last_words(module: Path) -> None:
    module.write_text(
        "import sys\n"
        "print('chatter', file=sys.stderr)\n"
        "print('no\\x00 way', file=sys.stderr)\n"
        "print('I0000 00:00:17.53 1958 cudart_stub.cc:31] Could not find cuda drivers', file=sys.stderr)\n"
        "sys.exit(3)\n"
    )
    child = ChildProcess("child")
    with pytest.raises(EOFError):
        child.receive(30)
    assert child.wait(30)
    assert child.last_words == "no\x00 way"
    assert child.end() == 3
    with pytest.raises(EOFError):
        child.send(b"to nobody")
    assert child.last_words == "no\x00 way"


def test_child_that_does_not_end_is_killed_with_all_that_it_started(module: Path) -> None:
    module.write_text(
        "import os, signal, subprocess, sys, time\n"
        "from zoo.utils import Channel\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "subprocess.Popen([sys.executable, '-c', 'import os, time; os.setpgid(0, 0); time.sleep(100)'])\n"
        "Channel.to_parent().send(b'ready')\n"
        "time.sleep(100)\n"
    )
    child = ChildProcess("child")
    assert child.receive(30) == b"ready"
    child.interrupt()
    assert not child.finish(0.2)
    deadline = time.monotonic() + 30
    while len(living_in_session(child.pid)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert child.end() == -signal.SIGKILL
    assert living_in_session(child.pid) == []


def test_child_is_out_of_reach_of_an_interrupt_at_the_terminal(module: Path) -> None:
    module.write_text(ECHO)
    child = ChildProcess("child")
    child.send(b"ab")
    assert child.receive(30) == b"ba"
    assert os.getsid(child.pid) == child.pid
    child.interrupt()
    assert child.wait(30)
    assert child.end() == -signal.SIGTERM


def test_child_that_cannot_be_started_leaves_no_descriptor(module: Path, tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError):
        ChildProcess("child", folder=tmp_path / "absent")
    assert set(os.listdir("/proc/self/fd")) == before


def test_nothing_of_a_child_is_imported_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stranger.py").write_text("open('executed', 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    child = ChildProcess("stranger")
    assert child.wait(30)
    assert child.end() == 1
    assert "No module named" in child.last_words
    assert not (tmp_path / "executed").exists()


def test_child_that_is_left_goes_on_alone(module: Path, tmp_path: Path) -> None:
    module.write_text(
        "import time\nfrom zoo.utils import Channel\nchannel = Channel.to_parent()\nfirst = channel.receive()\n"
        "try:\n    channel.receive()\nexcept EOFError:\n    time.sleep(0.5)\n    open(first, 'w').close()\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from zoo.utils import ChildProcess\n"
            "child = ChildProcess('child'); child.send(sys.argv[1].encode()); print(child.finish(0)); child.leave()",
            str(tmp_path / "done"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("False\n", "")
    deadline = time.monotonic() + 30
    while not (tmp_path / "done").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (tmp_path / "done").exists()
