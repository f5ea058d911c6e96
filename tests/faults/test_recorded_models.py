"""A model that a record describes: measured before it is built, in limited time and memory, until a signal comes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import keras
import pytest

import zoo
from tests.support.command_line import Zoo
from tests.support.golden import Golden
from zoo import Entry, PluginError, Registry, Run, ZooError
from zoo.errors import ZooWarning
from zoo.models import size

from .corpus import edited, make_stopped_run

VAST = [8000, 8000, 1]  # allowed in a record; the weights of the small network would take gigabytes
MOST_GROWTH = 256 << 20
ROOT = Path(__file__).parents[2]


@pytest.fixture
def vast(small_run: Run, tmp_path: Path) -> Path:
    """A finished run whose record was changed to images of a vast size."""
    shutil.copytree(small_run.path, tmp_path / "vast")
    edited(lambda record: record["data"].update(input_shape=VAST))(tmp_path / "vast" / "run.json")
    return tmp_path / "vast"


def with_model(run: Run, folder: Path, name: str) -> Path:
    """Return a copy of a run whose record names a model that was registered in code."""
    shutil.copytree(run.path, folder)
    model = {"name": name, "plugin": "local", "settings": {}}
    edited(lambda record: record["recipe"].update(model=model))(folder / "run.json")
    return folder


def growth() -> Callable[[], int]:
    """Return a function that returns by how many bytes this process has grown."""

    def used() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = used()
    return lambda: used() - before


@pytest.mark.parametrize("has_weights", [True, False], ids=["weights", "no weights"])
def test_vast_model_of_a_record_is_not_built_to_count_its_operations(
    vast: Path, run_zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_weights: bool
) -> None:
    if not has_weights:
        monkeypatch.setattr(size, "usable_memory", lambda: 1 << 30)
        (vast / "model.safetensors").unlink()
    grown = growth()
    told = run_zoo("record", vast, "--out", tmp_path / "results.json")
    assert (told.status, told.out) == (1, "")
    (line,) = [line for line in told.err.splitlines() if line.startswith("Error: ")]
    assert str(vast / "run.json") in line
    assert grown() < MOST_GROWTH
    assert not (tmp_path / "results.json").exists()


def test_vast_model_of_a_record_is_the_plugin_s_and_the_run_s(
    vast: Path, registry: Registry, golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(size, "usable_memory", lambda: 1 << 30)
    with golden.raises(PluginError, plugin="fashion"):
        zoo.record_results([zoo.open_run(vast)], registry=registry)


@pytest.mark.parametrize(
    "command",
    [["test"], ["export"], ["predict"], pytest.param(["bench"], marks=pytest.mark.slow)],
    ids=lambda words: words[0],
)
def test_vast_model_of_a_record_is_built_by_no_command(
    vast: Path, run_zoo: Zoo, tmp_path: Path, command: list[str]
) -> None:
    if command == ["bench"]:  # it measures models in other processes
        pytest.importorskip("zoo_bench")
        outcome = run_zoo("bench", vast, "--seconds", "0.1", "--rounds", "1")
        assert outcome.status == 1
        assert "run.json" in outcome.err + outcome.out
        return
    (tmp_path / "image.png").write_bytes((vast / "predictions.png").read_bytes())
    files = [tmp_path / "image.png"] if command == ["predict"] else []
    grown = growth()
    told = run_zoo(*command, vast, *files)
    assert told.status == 1
    assert str(vast / "run.json") in told.err
    assert grown() < MOST_GROWTH


@pytest.mark.slow
def test_vast_model_of_a_stopped_run_is_not_built(run_zoo: Zoo, tmp_path: Path) -> None:
    make_stopped_run(tmp_path / "run")
    edited(lambda record: record["recipe"]["model"]["settings"].update(dense_width=1 << 29))(tmp_path / "run/run.json")
    grown = growth()
    told = run_zoo("resume", tmp_path / "run")
    assert told.status == 1
    assert str(tmp_path / "run" / "run.json") in told.err
    assert grown() < MOST_GROWTH


def endless(input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Compute for ever, as a builder of a vast number of layers does; what ends it cannot be caught as an error."""
    while True:
        try:
            sum(range(1000))
        except Exception:  # noqa: S112  # as code does that must not fail
            continue


def greedy(input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Take memory for ever."""
    held = []
    while True:
        held.append(bytearray(os.urandom(1 << 20)))


def test_time_that_a_recorded_model_takes_to_lay_out_is_limited(
    small_run: Run, registry: Registry, golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.models.add(Entry(name="endless", target=endless, summary="Never ends."))
    path = with_model(small_run, tmp_path / "run", "endless")
    monkeypatch.setenv("ZOO_MODEL_SECONDS", "0.5")
    before = threading.active_count()
    with golden.raises(PluginError, plugin="local"):
        zoo.load(path, registry=registry)
    assert threading.active_count() == before


def slow(input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Compute for a second, then return a small network."""
    end = time.process_time() + 1
    while time.process_time() < end:
        sum(range(1000))
    images = keras.Input(input_shape)
    return keras.Model(images, keras.layers.Dense(num_classes, "softmax")(keras.layers.Flatten()(images)))


@pytest.mark.slow
def test_model_that_takes_long_to_lay_out_is_warned_of_before_training_and_can_be_loaded(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.models.add(Entry(name="slow", target=slow, summary="Slow."))
    monkeypatch.setenv("ZOO_MODEL_SECONDS", "0.5")
    with pytest.warns(ZooWarning) as told:
        run = zoo.train("small", model="slow", epochs=1, out=tmp_path / "run", registry=registry)
    assert [each.category for each in told if issubclass(each.category, ZooWarning)] == [ZooWarning]
    with pytest.raises(PluginError):
        zoo.load(run, registry=registry)
    monkeypatch.setenv("ZOO_MODEL_SECONDS", "30")
    assert zoo.load(run, registry=registry).run.record.parameters == run.record.parameters


def test_seconds_that_are_no_number_are_refused(
    small_run: Run, registry: Registry, golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in ("soon", "-1", "nan"):
        monkeypatch.setenv("ZOO_MODEL_SECONDS", value)
        with golden.raises(ZooError):
            zoo.load(small_run, registry=registry)


def test_memory_that_a_recorded_model_takes_to_lay_out_is_limited(
    small_run: Run, registry: Registry, golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.models.add(Entry(name="greedy", target=greedy, summary="Takes all."))
    path = with_model(small_run, tmp_path / "run", "greedy")
    monkeypatch.setattr(size, "usable_memory", lambda: 256 << 20)
    grown = growth()
    with golden.raises(PluginError, plugin="local"):
        zoo.record_results([zoo.open_run(path)], registry=registry)
    assert grown() < MOST_GROWTH


def test_model_that_is_too_deep_to_lay_out_is_not_built_a_second_time(
    small_run: Run, registry: Registry, golden: Golden, tmp_path: Path
) -> None:
    calls = []

    def deep(input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
        calls.append(num_classes)
        raise RecursionError

    registry.models.add(Entry(name="deep", target=deep, summary="Very deep."))
    path = with_model(small_run, tmp_path / "run", "deep")
    with golden.raises(PluginError, plugin="local"):
        zoo.load(path, registry=registry)
    assert calls == [10]


def asleep(input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Stay in native code, which nothing can end."""
    time.sleep(3)
    raise AssertionError


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["terminated", "Ctrl-C"]
)
@pytest.mark.parametrize("builder", [endless, asleep])
@pytest.mark.parametrize("command", ["test", pytest.param("train", marks=pytest.mark.slow)])
def test_signal_while_a_model_is_measured_is_heeded_at_once(
    small_run: Run,
    registry: Registry,
    run_zoo: Zoo,
    tmp_path: Path,
    number: signal.Signals,
    status: int,
    builder: Callable[..., keras.Model],
    command: str,
) -> None:
    registry.models.add(Entry(name="unending", target=builder, summary="Does not end."))
    path = with_model(small_run, tmp_path / "run", "unending")
    sent: list[float] = []

    def send() -> None:
        sent.append(time.monotonic())
        os.kill(os.getpid(), number)

    timer = threading.Timer(1.0, send)
    timer.start()
    new = ("train", "small", "--model", "unending", "--out", tmp_path / "new")
    told = run_zoo("test", path) if command == "test" else run_zoo(*new)
    timer.join()
    assert told.status == status
    assert time.monotonic() - sent[0] < 1
    assert "Traceback" not in told.err
    assert not (tmp_path / "new").exists()


PROGRAM = """
import os, signal, sys, threading, time
import keras
from keras import layers
from tests.support.small_recipe import make_registry
from zoo import Entry
from zoo.cli import main
from zoo.cli.context import Session

def deep(input_shape, num_classes):
    def send():
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
    threading.Timer(0.5, send).start()
    features = layers.Flatten()(keras.Input(input_shape))
    while True:
        features = layers.Dense(1)(features)

session = Session()
session.registry = make_registry()
session.registry.models.add(Entry(name="deep", target=deep, summary="Deep."))
main(session=session)
"""


@pytest.mark.slow
def test_two_signals_while_a_model_is_measured_do_not_abort_the_process(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py", "train", "small", "--model", "deep", "--out", tmp_path / "run"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 143, done.stderr
    assert "terminate called" not in done.stderr
