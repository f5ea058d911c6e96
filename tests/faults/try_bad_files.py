"""Feeds cases of the corpus to the command line, one after another in this process, and writes what each came to.

The test that starts it starts it again for the rest when a case has ended it.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.support.small_recipe import make_registry
from zoo.cli import main
from zoo.cli.context import Session

from .corpus import Case, Material, cases

SECONDS = 20
"""A case that takes longer ends the process: what hangs in native code heeds no Python handler."""

HEADROOM = 2 << 30
"""Bytes of address space that cases have beyond what a sound run has left in use."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a case came to; without a status, it has ended the process.

    Args:
        case: Name of the case.
        folder: The folder that held the bad input.
        status: Exit status.
        out: Standard output.
        err: Standard error.
        seconds: Wall seconds.
        growth: Bytes by which the most memory in use exceeded that at the start.
        left: What the case has left beside the folder with the bad input.
        digest: Digest of the model that the run has at last.
    """

    case: str
    folder: str
    status: int | None = None
    out: str = ""
    err: str = ""
    seconds: float = 0.0
    growth: int = 0
    left: tuple[str, ...] = ()
    digest: str | None = None


def _memory(name: str) -> int:
    """Return an entry of the status of this process in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    raise LookupError(name)


def call(arguments: list[str], scratch: Path) -> tuple[int, str, str]:
    """Return the exit status of the command line, and what it wrote to the descriptors 1 and 2."""
    streams = []
    for number, name in ((1, "stdout"), (2, "stderr")):
        with (scratch / name).open("w") as file:
            os.dup2(file.fileno(), number)
        # as at the start of a process: descriptor 2 alone would be what Keras's chatter is turned away from
        streams.append(open(os.dup(number), "w", encoding="utf-8", errors="backslashreplace"))  # noqa: SIM115  # kept open
    sys.stdout, sys.stderr = streams
    session = Session()
    session.registry = make_registry()
    try:
        main(arguments, session)
    except SystemExit as exit_:
        status = exit_.code if isinstance(exit_.code, int) else -1
    finally:
        for stream in streams:
            stream.close()
    out, err = ((scratch / name).read_text(errors="backslashreplace") for name in ("stdout", "stderr"))
    return status, out, err


def try_case(case: Case, material: Material, folder: Path) -> Outcome:
    """Return what a case comes to."""
    folder.mkdir()
    arguments = material.lay_out(case, folder)
    laid_out = set(os.listdir(folder))
    scratch = folder.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    Path("/proc/self/clear_refs").write_text("5")  # the most memory in use is measured anew
    before, started = _memory("VmRSS"), time.perf_counter()
    signal.alarm(SECONDS)
    status, out, err = call(arguments, scratch)
    signal.alarm(0)
    record = folder / "subject" / "run.json"
    return Outcome(
        case=case.name,
        folder=str(folder / "subject"),
        status=status,
        out=out[:10_000],
        err=err[:10_000] + (f" and {len(err) - 10_000} more characters" if len(err) > 10_000 else ""),
        seconds=time.perf_counter() - started,
        growth=max(0, _memory("VmHWM") - before),
        left=tuple(sorted(set(os.listdir(folder)) - laid_out)),
        digest=json.loads(record.read_bytes()).get("model_sha256") if case.is_survived else None,
    )


def try_all(names: set[str], material: Material, folder: Path, report: Path) -> None:
    """Write a JSON line as each case begins and one with what it came to."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    folder.mkdir()
    shutil.copytree(material.finished, folder / "sound")
    status, _, err = call(["test", str(folder / "sound"), "--quiet"], folder)  # whatever is imported late
    assert (status, err) == (0, ""), err
    limit = _memory("VmSize") + HEADROOM
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with report.open("a", buffering=1) as file:
        for number, case in enumerate(cases()):
            if case.name in names:
                case_folder = folder / f"{number:04d}"
                file.write(json.dumps(asdict(Outcome(case=case.name, folder=str(case_folder)))) + "\n")
                file.write(json.dumps(asdict(try_case(case, material, case_folder))) + "\n")
                shutil.rmtree(case_folder)


if __name__ == "__main__":
    finished, stopped, folder, report, names = map(Path, sys.argv[1:])
    try_all(set(json.loads(names.read_text())), Material(finished=finished, stopped=stopped), folder.resolve(), report)
