"""Whatever system call fails, and wherever the process is killed: the old checkpoint or the new one, never less.

strace makes one system call after another fail, or kills the process as it makes the call. No call is left out: none
that never returns, such as ``exit_group``, is part of the work. An error on ``mmap`` or ``brk`` is one of memory.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

import zoo
from zoo.errors import RunFolderError
from zoo.runs.checkpoints import Checkpoints
from zoo.utils import files

from . import commit_once
from .commit_once import LIMITS, MARK, RUN, checkpoint, record

ERRORS = ("EIO", "ENOSPC", "EDQUOT", "EROFS")
KILL = "SIGKILL"
UNFIT = (OSError, RunFolderError, ValueError)

STRACE = ["strace", "-f", "-qq"]
# -S and a path of just two folders: it starts in a tenth of a second, and takes the same calls each time
PYTHON = [sys.executable, "-S", "-P", "-s", "-B", str(Path(commit_once.__file__))]
ENVIRONMENT = {
    "PATH": os.environ.get("PATH", os.defpath),
    "PYTHONHASHSEED": "0",
    "PYTHONPATH": os.pathsep.join(str(Path(str(package.__file__)).parents[1]) for package in (zoo, msgspec)),
}


def why_not() -> str:
    """Return why strace cannot be used here, "" if it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    done = subprocess.run(
        [*STRACE, "-e", f"trace={MARK}", "-e", f"inject={MARK}:error=EIO", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"strace may not trace: {done.stderr.strip()}" if done.returncode or done.stderr else ""


REASON = why_not()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)


@dataclass(frozen=True)
class Call:
    """A system call of the work: the how many-th of its name since the process started."""

    name: str
    ordinal: int


@dataclass(frozen=True, kw_only=True)
class Work:
    """A piece of work that `commit_once` does, and how to see what came of it.

    Args:
        name: What `commit_once` calls it.
        prepare: Puts into a folder what is there before.
        number: Returns the number of what is there now; raises if that is nothing known.
        again: Does the next piece of work, number 4, undisturbed.
    """

    name: str
    prepare: Callable[[Path], None]
    number: Callable[[Path], int]
    again: Callable[[Path], None]


def commit_two(folder: Path) -> None:
    checkpoints = Checkpoints(folder, RUN)
    for number in (1, 2):
        checkpoints.commit(checkpoint(number))


def newest(folder: Path) -> int:
    skipped: list[str] = []
    found = Checkpoints(folder, RUN).newest(LIMITS, lambda it, _: it, skipped.append)
    if skipped or found is None:
        raise ValueError(f"the newest checkpoint is not whole: {skipped}")
    if found != checkpoint(found.record.epoch):
        raise ValueError(f"the checkpoint of epoch {found.record.epoch} is not what was committed")
    return found.record.epoch


def commit_again(folder: Path) -> None:
    checkpoints = Checkpoints(folder, RUN)
    checkpoints.newest(LIMITS, lambda it, _: it, lambda _: None)
    checkpoints.commit(checkpoint(4))


def written(folder: Path) -> int:
    data = (folder / "run.json").read_bytes()
    for number in (2, 3, 4):
        if data == record(number):
            return number
    raise ValueError(f"run.json holds neither the old nor the new content: {data[:100]!r}")


def write_again(folder: Path) -> None:
    files.discard_temporaries(folder)  # as `runs.claimed` does
    files.write_file(folder / "run.json", record(4))


COMMIT = Work(name="commit", prepare=commit_two, number=newest, again=commit_again)
WRITE = Work(
    name="write",
    prepare=lambda folder: files.write_file(folder / "run.json", record(2)),
    number=written,
    again=write_again,
)


@dataclass(kw_only=True)
class Figures:
    """What a sweep came to."""

    calls: int
    failed: int = 0
    killed: int = 0
    lost: int = 0
    drifted: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        ends = ", ".join(f"{number} {end}" for end, number in sorted(self.ends.items()))
        return (
            f"{self.calls} system calls, {self.failed} errors injected, {self.killed} kills: {ends}; "
            f"{self.lost} lost, {len(self.faults)} faults, {len(self.drifted)} injections that missed the work"
        )


def trace(work: Work, folder: Path, log: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Do the work under strace."""
    command = [*STRACE, "-o", str(log), *options, *PYTHON, work.name, str(folder)]
    return subprocess.run(
        command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60
    )


def calls_of(work: Work, folder: Path, log: Path) -> list[Call]:
    """Return the system calls of the work undisturbed, without the marks."""
    done = trace(work, folder, log)
    assert (done.returncode, done.stderr) == (0, "")
    seen: Counter[str] = Counter()
    calls = []
    for line in log.read_text().splitlines():
        if match := re.match(r"(?:\d+ +)?(\w+)\(", line):
            seen[match[1]] += 1
            if seen[MARK] == 1 and match[1] != MARK:
                calls.append(Call(match[1], seen[match[1]]))
    assert seen[MARK] == 2
    return calls


def is_inside(log: str, fault: str) -> bool:
    """Return whether what was injected came between the marks."""
    lines = [line for line in log.splitlines() if "+++" not in line]
    if fault == KILL:
        return sum(f"{MARK}(" in line and not line.endswith("= ?") for line in lines) == 1
    at = [index for index, line in enumerate(lines) if "(INJECTED)" in line]
    marks = [index for index, line in enumerate(lines) if f"{MARK}(" in line]
    return len(at) == 1 and bool(marks) and marks[0] < at[0] and (len(marks) < 2 or at[0] < marks[1])


def disturb(work: Work, template: Path, folder: Path, call: Call, fault: str, figures: Figures) -> None:
    """Do the work in a copy with one fault, and note what is not as it must be."""
    shutil.copytree(template, folder)
    log = folder.with_suffix(".log")
    injection = f"signal={KILL}" if fault == KILL else f"error={fault}"
    options = ["-e", f"trace={call.name},{MARK}", "-e", f"inject={call.name}:{injection}:when={call.ordinal}"]
    if fault != KILL:
        options.append("--seccomp-bpf")  # much faster, but strace 6.1 then sends no signals
    done = trace(work, folder, log, *options)
    where = f"{work.name}: {fault} in {call.name} number {call.ordinal}"
    if fault == KILL:
        figures.killed += 1
    else:
        figures.failed += 1
    if not is_inside(log.read_text(), fault):
        figures.drifted.append(where)
    right_ends = {-signal.SIGKILL} if fault == KILL else {0, 1}
    if done.returncode not in right_ends or len(done.stderr.splitlines()) != (done.returncode == 1):
        figures.faults.append(f"{where}: ended with {done.returncode} and said {done.stderr!r}")
    try:
        figures.ends[judge_end(work, folder, done.returncode)] += 1
    except UNFIT as error:
        figures.lost += 1
        figures.faults.append(f"{where}: ended with {done.returncode}: {error}")
    try:
        judge_next(work, folder)
    except UNFIT as error:
        figures.faults.append(f"{where}: after another one: {error}")
    shutil.rmtree(folder)


def judge_end(work: Work, folder: Path, status: int) -> str:
    """Return in words what is there now; raise unless it is the old or the new, the new if all went well."""
    number = work.number(folder)
    if number != 3 and (number != 2 or status == 0):
        raise ValueError(f"number {number} is there")
    end = {0: "done", 1: "refused"}.get(status, "killed")
    return f"{end} with the {'old' if number == 2 else 'new'} one"


def judge_next(work: Work, folder: Path) -> None:
    """Raise unless another one, undisturbed, is there then, and nothing that is left of the one before."""
    work.again(folder)
    if (number := work.number(folder)) != 4:
        raise ValueError(f"number {number} is there")
    if debris := [str(path) for path in folder.rglob(".*.tmp")]:
        raise ValueError(f"there is {debris}")


def sweep(work: Work, folder: Path, choose: Callable[[list[Call]], Iterator[tuple[Call, str]]]) -> Figures:
    """Do the work once for each fault that is chosen."""
    template = folder / "template"
    template.mkdir()
    work.prepare(template)
    shutil.copytree(template, folder / "first")
    calls = calls_of(work, folder / "first", folder / "first.log")
    figures = Figures(calls=len(calls))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        todo = [
            pool.submit(disturb, work, template, folder / str(index), call, fault, figures)
            for index, (call, fault) in enumerate(choose(calls))
        ]
        for one in todo:
            one.result()
    return figures


def everything(calls: list[Call]) -> Iterator[tuple[Call, str]]:
    """Every fault in every call; killed also when the work is done, before anything else."""
    for call in calls:
        for fault in (*ERRORS, KILL):
            yield call, fault
    yield Call(MARK, 2), KILL


def sample(calls: list[Call]) -> Iterator[tuple[Call, str]]:
    """The first and the last call of each name: an error in turn, and a kill."""
    chosen = {call.name: call for call in reversed(calls)} | {f"last {call.name}": call for call in calls}
    for index, call in enumerate(sorted(set(chosen.values()), key=calls.index)):
        yield call, ERRORS[index % len(ERRORS)]
        yield call, KILL
    yield Call(MARK, 2), KILL


def check(figures: Figures) -> None:
    assert figures.faults == []
    assert figures.lost == 0
    assert figures.drifted == []  # else it would show nothing


@pytest.mark.slow
@pytest.mark.parametrize("work", [COMMIT, WRITE], ids=lambda work: work.name)
def test_first_and_last_call_of_each_kind_may_fail(tmp_path: Path, work: Work) -> None:
    check(sweep(work, tmp_path, sample))


@pytest.mark.full
@pytest.mark.parametrize("work", [COMMIT, WRITE], ids=lambda work: work.name)
def test_every_call_may_fail(tmp_path: Path, work: Work, capsys: pytest.CaptureFixture[str]) -> None:
    figures = sweep(work, tmp_path, everything)
    with capsys.disabled():
        print(f"\n{work.name}: {figures}")
    check(figures)
