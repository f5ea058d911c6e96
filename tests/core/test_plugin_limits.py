"""Plugins that would not end, or that change the process: left out in one line, without a trace of them."""

from __future__ import annotations

import gc
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

import zoo
from tests.support.golden import Golden
from tests.support.installed_plugins import GOOD, Install, Program, load, names, without_module
from zoo.errors import PluginWarning

ROOT = Path(__file__).parents[2]
HOOK = "\nimport itertools\nfrom zoo import Entry, hookimpl\n\n@hookimpl\ndef register_models():\n"
CLEANS_UP_LONG = HOOK + "    try:\n        while True: pass\n    finally:\n        time.sleep(60)\n    yield\n"
UNENDING = {
    "loop": "while True: pass",
    "loop that catches everything": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "hook that yields nothing": HOOK + "    return (1 for _ in iter(int, 1) if False)\n",
    "hook that yields for ever": HOOK + "    while True: yield Entry(name='x', target='operator:eq', summary='T.')\n",
    "hook that yields in a list": HOOK
    + "    def each(): yield from map(bytes, itertools.repeat(1 << 20))\n    return list(each())\n",
    "hook with a long clean-up": "import time" + CLEANS_UP_LONG,
    "hook with a long clean-up after its last item": "import time"
    + HOOK
    + "    try:\n        while True: yield 1\n    finally:\n        time.sleep(60)\n",
    "hook that ignores its end": HOOK + "    while True:\n        try: yield 1\n        except GeneratorExit: pass\n",
    "wrapper that ignores its end": HOOK.replace("@hookimpl", "@hookimpl(wrapper=True)")
    + "    while True:\n        try: yield\n        except BaseException: pass\n",
    "error whose text does not end": "class Odd(Exception):\n  def __str__(self):\n    while True: pass\nraise Odd",
    "error whose text ends the process": "class Odd(Exception):\n    def __str__(self): raise SystemExit\nraise Odd",
}


@pytest.fixture
def alarms() -> Iterator[list[int]]:
    """The alarms that reach this process's own handler, which must be as it was at the end."""
    heard: list[int] = []

    def hear(number: int, _: FrameType | None) -> None:
        heard.append(number)

    before = signal.signal(signal.SIGALRM, hear)
    yield heard
    assert signal.getsignal(signal.SIGALRM) is hear
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("name", UNENDING)
def test_plugin_that_does_not_end_leaves_no_timer(install: Install, alarms: list[int], name: str) -> None:
    install("broken", UNENDING[name])
    install("healthy", GOOD)
    started = time.monotonic()
    registry, complaints = load(ZOO_PLUGIN_SECONDS="0.3")
    assert time.monotonic() - started < 30  # on a busy machine, a gigabyte takes several seconds
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert len(complaints) == 1
    assert "'broken'" in complaints[0]
    assert "healthy/tiny-net" in names(registry)
    time.sleep(0.3)  # a timer that was left behind would go off
    assert alarms == []


@pytest.mark.slow
@pytest.mark.parametrize("name", UNENDING)
def test_plugin_that_does_not_end_costs_every_command_a_line(install: Install, program: Program, name: str) -> None:
    install("broken", UNENDING[name])
    install("healthy", GOOD)
    listed, err = program.names(ZOO_PLUGIN_SECONDS="0.3")
    assert listed == ["healthy/tiny-net"]
    (line,) = err.splitlines()
    assert "'broken'" in line


def test_timer_is_off_however_often_the_limit_is_exceeded(install: Install, alarms: list[int]) -> None:
    waits = "import time\nend = time.monotonic() + {}\nwhile time.monotonic() < end:\n    try:\n"
    waits += "        while time.monotonic() < end: pass\n    except BaseException: pass\n"
    for at in range(30):  # the limit is exceeded while each of them ends
        install(f"p{at}", waits.format(0.0098 + at / 1e5) + GOOD)
    _, complaints = load(ZOO_PLUGIN_SECONDS="0.001")
    assert len([each for each in complaints if re.match(r"Plugin 'p\d+'", each)]) == 30  # ours may be too slow as well
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    time.sleep(0.05)
    assert alarms == []


def test_timer_of_the_caller_goes_on(install: Install, alarms: list[int]) -> None:
    install("broken", "while True: pass")
    signal.setitimer(signal.ITIMER_REAL, 60, 30)
    load(ZOO_PLUGIN_SECONDS="0.3")
    remaining, interval = signal.getitimer(signal.ITIMER_REAL)
    assert 50 < remaining < 60
    assert interval == 30
    assert alarms == []


def test_plugin_that_loads_plugins_is_still_limited(install: Install, alarms: list[int]) -> None:
    install("nested", "import zoo\nzoo.load_registry({'ZOO_PLUGINS': ''})\nwhile True: pass")
    _, complaints = load(ZOO_PLUGINS="nested", ZOO_PLUGIN_SECONDS="3")  # of which loading the others takes little
    assert len(complaints) == 1
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert alarms == []


def test_plugins_load_in_other_threads_too(install: Install) -> None:
    install("healthy", GOOD)
    found: list[list[str]] = []
    thread = threading.Thread(target=lambda: found.append(names(zoo.load_registry({}))))
    thread.start()
    thread.join()
    assert "healthy/tiny-net" in found[0]


def test_memory_limit_is_as_it_was_after_threads_that_load_plugins_together(install: Install) -> None:
    resource = pytest.importorskip("resource")
    install("slow", "import time\n" + GOOD.replace("    return [", "    time.sleep(0.5)\n    return ["))
    before = resource.getrlimit(resource.RLIMIT_DATA)
    found: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: found.append(names(zoo.load_registry({}))), daemon=True) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
        time.sleep(0.2)  # the second one starts while the first one loads, and ends after it
    for thread in threads:
        thread.join()
    assert ["slow/tiny-net" in each for each in found] == [True, True]
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_what_a_plugin_held_is_freed_with_it(install: Install) -> None:
    install("broken", "class Held: pass\ndef fail():\n    held = [Held() for _ in range(100)]\n    1 / 0\nfail()")
    registry, _ = load()
    assert registry.plugins["broken"].cause is not None
    assert not [each for each in gc.get_objects() if type(each).__name__ == "Held"]


RAISED = ["KeyboardInterrupt", "SystemExit(7)", "GeneratorExit", "BaseException('odd')"]


@pytest.mark.parametrize("where", ["on import", "in a hook", "in an item"])
@pytest.mark.parametrize("error", RAISED)
def test_plugin_that_raises_what_ends_processes_is_left_out(
    install: Install, program: Program, error: str, where: str
) -> None:
    code = {
        "on import": f"raise {error}",
        "in a hook": HOOK + f"    raise {error}\n",
        "in an item": HOOK + f"    yield Entry(name='x', target='operator:eq', summary='T.')\n    raise {error}\n",
    }
    install("broken", code[where])
    install("healthy", GOOD)
    listed, err = program.names()
    assert listed == ["healthy/tiny-net"]
    (line,) = err.splitlines()
    assert "'broken'" in line
    assert error.partition("(")[0] in line


@pytest.mark.parametrize("target", ["on import", "when called"])
def test_model_that_raises_keyboard_interrupt_is_the_plugin_s_fault(
    install: Install, program: Program, tmp_path: Path, target: str
) -> None:
    module = tmp_path / "interrupting_target.py"
    module.write_text(
        "raise KeyboardInterrupt" if target == "on import" else "def build(*_, **__): raise KeyboardInterrupt"
    )
    install("mine", GOOD.replace("operator:eq", "interrupting_target:build"))
    try:
        _, err = program("run", "fashion-cnn", "--model", "tiny-net", "--out", str(tmp_path / "run"), status=1)
    finally:
        sys.modules.pop("interrupting_target", None)
    assert "mine/tiny-net" in err
    assert "KeyboardInterrupt" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "where", ["while True: pass", "while True:\n    try: time.sleep(60)\n    except ValueError: pass"]
)
def test_signal_while_a_plugin_is_imported_ends_the_command(
    install: Install, program: Program, number: signal.Signals, where: str
) -> None:
    install("slow", f"import time\n{where}")
    timer = threading.Timer(0.5, os.kill, [os.getpid(), number])
    timer.start()
    program("list", status=128 + number)
    timer.join()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.mark.parametrize(
    "variable", ["KERAS_BACKEND", "XLA_FLAGS", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "ZOO_STRICT", "ZOO_PLUGINS"]
)
@pytest.mark.parametrize("chosen", [None, "1"])
def test_plugin_that_sets_a_variable_of_the_user_is_named_and_the_variable_restored(
    install: Install,
    program: Program,
    golden: Golden,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    chosen: str | None,
) -> None:
    install("broken", f"import os\nos.environ[{variable!r}] = 'theirs'\n" + GOOD)
    monkeypatch.delenv(variable, raising=False)
    if chosen is not None and not variable.startswith("ZOO_"):
        monkeypatch.setenv(variable, chosen)
    before = os.environ.get(variable)
    listed, err = program.names()
    assert os.environ.get(variable) == before
    assert listed == []
    (line,) = err.splitlines()
    assert variable in line
    golden.says(without_module(line))


def test_plugin_that_removes_a_variable_of_the_user_is_named(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--theirs")
    install("broken", "import os\ndel os.environ['XLA_FLAGS']\n" + GOOD)
    with pytest.warns(PluginWarning, match="XLA_FLAGS"):
        zoo.load_registry({})
    assert os.environ["XLA_FLAGS"] == "--theirs"


def test_plugin_may_set_variables_of_its_own(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE_IS_MINE", "0")
    install("mine", "import os\nos.environ['MINE_IS_MINE'] = '1'\n" + GOOD)
    registry, complaints = load()
    assert complaints == []
    assert "mine/tiny-net" in names(registry)
    assert os.environ["MINE_IS_MINE"] == "1"


WAITS = "threading.Thread(target=threading.Event().wait, name='waiter').start()"
COMMAND = f"""
import threading
import click
from zoo import Entry, hookimpl

@click.command()
def wait():
    {WAITS}
    click.echo("done")

@hookimpl
def register_commands():
    return [Entry(name="wait", target=wait, summary="Starts a thread.")]
"""
THREADS = {
    "on import": f"import threading\n{WAITS}\n" + GOOD,
    "in a hook": "import threading\n" + GOOD.replace("    return [", f"    {WAITS}\n    return ["),
    "in a command": COMMAND,
}
PROGRAM = """
import sys
import zoo.utils.threads
from zoo.cli import main

zoo.utils.threads.PATIENCE = 0.5
main()
"""


@pytest.mark.parametrize("when", THREADS)
def test_thread_that_does_not_end_does_not_keep_a_command_from_ending(tmp_path: Path, when: str) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "waiting.py").write_text(THREADS[when])
    command = "wait" if when == "in a command" else "list"
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py", "--plugin", tmp_path / "waiting.py", command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    (line,) = done.stderr.splitlines()
    assert "'waiter'" in line
    if when == "in a command":  # it has done its work
        assert (done.returncode, done.stdout) == (0, "done\n")
        assert line.startswith("Warning: ")
    else:
        assert (done.returncode, done.stdout) == (1, "")
        assert line.startswith("Error: ")
