"""Fixtures: registries of the tests' own, a small recipe on real images, the command line in this process."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("ZOO_TESTS_PICTURES", "blank")
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # of tests that call ONNX Runtime themselves
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(Path(__file__).parent / "support/startup"), *filter(None, [os.environ.get("PYTHONPATH")])]
)

import tests.support.startup.sitecustomize  # noqa: F401  # what it does for other processes, it does for this one
import zoo
from tests.support.command_line import Outcome, Zoo
from tests.support.golden import Golden
from tests.support.small_recipe import make_registry
from zoo import Registry, Run, cli
from zoo.cli.context import Session

HANDLERS = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
if HANDLERS[signal.SIGINT] is signal.SIG_IGN:  # as in a process that a shell starts in the background
    HANDLERS[signal.SIGINT] = signal.default_int_handler
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers() -> int:
    """Return a worker more than there are processors: a sixth of the time, tests wait."""
    return len(os.sched_getaffinity(0)) + 1


@pytest.fixture(autouse=True)
def handlers_of_signals() -> Iterator[None]:
    """Give the process its handlers back: the command line sets some, and children inherit which are ignored."""
    yield
    for number, handler in HANDLERS.items():
        signal.signal(number, handler)


@pytest.fixture
def golden(snapshot: SnapshotAssertion, tmp_path: Path) -> Golden:
    """What compares messages with those that were reviewed."""
    return Golden(snapshot, tmp_path)


@pytest.fixture
def registry() -> Registry:
    """A registry of this test's own."""
    return make_registry()


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of the small recipe, with pictures; not to be changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("ZOO_TESTS_PICTURES", raising=False)
        return zoo.run("small", out=tmp_path_factory.mktemp("runs") / "small", registry=make_registry())


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the pictures of runs drawn, also in other processes; elsewhere they are blank, to save time."""
    monkeypatch.delenv("ZOO_TESTS_PICTURES", raising=False)


@pytest.fixture
def run_zoo(registry: Registry, capfd: pytest.CaptureFixture[str]) -> Zoo:
    """Return a function that calls the command line in this process, with the test's registry."""

    def call(*arguments: str | Path) -> Outcome:
        session = Session()
        session.registry = registry
        capfd.readouterr()
        with pytest.raises(SystemExit) as exit_:
            cli.main([str(argument) for argument in arguments], session)
        out, err = capfd.readouterr()
        assert isinstance(exit_.value.code, int)
        return Outcome(exit_.value.code, out, err)

    return call
