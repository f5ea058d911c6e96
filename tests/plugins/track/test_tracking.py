"""Trackers: told of runs that they cannot stop, slow down or change; TensorBoard's files and a real MLflow server."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import keras
import msgspec
import pytest
from zoo_track.messages import Start
from zoo_track.targets import Target
from zoo_track.worker_process import WorkerProcess

import zoo
from tests.support.command_line import Zoo
from tests.support.golden import Golden
from zoo import Entry, PluginError, Registry, Run, RunContext, ZooError, hookimpl
from zoo.errors import CheckFailedError, UnknownNameError, ZooWarning
from zoo.registry.plugin import Plugin
from zoo.registry.plugin_loader import collect_registrations
from zoo.testing import checks_of
from zoo.training.progress import NullProgress
from zoo.utils.processes import living_in_session

FILES = {
    "run.json", "model.safetensors", "history.csv", "curves.png", "predictions.png", "test-predictions.safetensors",
}  # fmt: skip


class Watcher(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """A tracker that notes what it is told."""

    seen: ClassVar[list[tuple[str, Any]]] = []

    def __init__(self, run: RunContext) -> None:
        super().__init__()
        self.seen.append(("made", run))

    def on_train_begin(self, logs: Any = None) -> None:
        self.seen.append(("begin", self.model.count_params()))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seen.append(("epoch", (epoch, logs)))

    def on_run_end(self, run: Run) -> None:
        self.seen.append(("end", (run.record.status, {path.name for path in run.path.iterdir()})))


class Failing(Watcher):
    """A tracker that fails midway."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seen.append(("epoch", epoch))
        raise ConnectionError("it is\ndown")


class StopsAfterOneEpoch(NullProgress):
    """Somebody who presses Ctrl-C when an epoch is done."""

    def epoch_ended(self, record: Any, is_best: bool) -> None:
        raise KeyboardInterrupt


@pytest.fixture
def watched(registry: Registry) -> Iterator[list[tuple[str, Any]]]:
    """What a tracker named ``watcher`` is told."""
    registry.callbacks.add(Entry(name="watcher", target=Watcher, summary="Notes what it is told."))
    registry.callbacks.add(Entry(name="failing", target=Failing, summary="Fails."))
    Watcher.seen.clear()
    yield Watcher.seen
    Watcher.seen.clear()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait longer for trackers than a person would: the machine may be busy."""
    finish = WorkerProcess.finish
    monkeypatch.setattr(WorkerProcess, "finish", lambda process, _: finish(process, 100.0))


def test_tracker_is_a_registered_callback(registry: Registry) -> None:
    class Mine:
        @hookimpl
        def register_callbacks(self) -> Iterable[Entry]:
            return [Entry(name="mine", target=Watcher, summary="Mine.")]

    plugin = collect_registrations(Plugin(name="my", source="my"), Mine())
    assert [entry.name for entry in plugin.registers["callback"]] == ["mine"]
    assert {found.qualified_name for found in registry.callbacks} >= {"track/mlflow", "track/tensorboard"}


def test_tracker_is_told_from_beginning_to_end(
    registry: Registry, watched: list[tuple[str, Any]], small_run: Run, tmp_path: Path
) -> None:
    run = zoo.run("small", registry=registry, out=tmp_path / "run", track=["watcher", "local/watcher"])
    assert [event for event, _ in watched] == ["made", "begin", "epoch", "epoch", "end"]
    context = watched[0][1]
    assert (context.id, context.track, context.path) == (run.record.id, ("local/watcher",), run.path)
    assert context.settings["optimizer.learning_rate"] == 3e-3
    assert set(watched[2][1][1]) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    status, files = watched[-1][1]
    assert status == "tested"
    assert files >= FILES
    assert run.record.track == ["local/watcher"]
    assert run.record.model_sha256 == small_run.record.model_sha256


@pytest.mark.slow
def test_tracker_that_fails_is_left_out_and_the_run_goes_on(
    registry: Registry, watched: list[tuple[str, Any]], small_run: Run, tmp_path: Path, golden: Golden
) -> None:
    with golden.warns(ZooWarning) as complaints:
        run = zoo.run("small", registry=registry, out=tmp_path / "run", track=["failing", "watcher"])
    for fact in ("local/failing", "ConnectionError: it is down"):
        assert fact in str(complaints[0].message)
    assert [what for event, what in watched if event == "epoch"].count(0) == 1  # it was told of no other
    assert [event for event, _ in watched].count("end") == 1
    assert run.record.model_sha256 == small_run.record.model_sha256


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::zoo.errors.ZooWarning")  # of the tracker that fails
def test_interruption_and_failure_are_told(registry: Registry, watched: list[tuple[str, Any]], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        zoo.run("small", registry=registry, out=tmp_path / "a", track=["watcher"], progress=StopsAfterOneEpoch())
    assert watched[-1][1][0] == "interrupted"
    # it goes on with the tracker that it was started with, and with one more
    zoo.resume(tmp_path / "a", registry=registry, track=["failing"], progress=NullProgress())
    assert zoo.open_run(tmp_path / "a").record.track == ["local/watcher", "local/failing"]
    settings = {"optimizer.learning_rate": 1e30}
    with pytest.raises(ZooError):
        zoo.run("small", registry=registry, out=tmp_path / "b", track=["watcher"], settings=settings)
    assert watched[-1][1][0] == "failed"


class StopsWhileTesting(NullProgress):
    """Somebody who presses Ctrl-C, or a disk that is full, when the model is being tested."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def stage(self, what: str) -> None:
        if what.startswith("testing"):
            raise self._error


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "status"),
    [(KeyboardInterrupt(), "interrupted"), (zoo.errors.RunFolderError("The disk is full."), "failed")],
)
def test_end_while_testing_is_told_as_what_it_is(
    registry: Registry, watched: list[tuple[str, Any]], tmp_path: Path, error: BaseException, status: str
) -> None:
    progress = StopsWhileTesting(error)
    with pytest.raises(type(error)):
        zoo.run("small", registry=registry, out=tmp_path / "a", track=["watcher"], epochs=1, progress=progress)
    assert [what[0] for event, what in watched if event == "end"] == [status]
    assert zoo.open_run(tmp_path / "a").record.status == "trained"  # its model can be used


def test_end_between_training_and_testing_is_told(
    registry: Registry, watched: list[tuple[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("zoo.pipeline.plots.draw_curves", stop)
    with pytest.raises(KeyboardInterrupt):
        zoo.run("small", registry=registry, out=tmp_path / "a", track=["watcher"], epochs=1)
    assert [what[0] for event, what in watched if event == "end"] == ["interrupted"]


def test_tracker_that_fails_to_say_whether_it_can_be_used_is_named(tmp_path: Path, golden: Golden) -> None:
    (tmp_path / "asked.py").write_text(
        "from zoo import Entry, hookimpl\n"
        "def it(run): ...\n"
        "it.check = lambda: {}['no idea']\n"
        "@hookimpl\n"
        "def register_callbacks():\n"
        "    return [Entry(name='it', target=it, summary='Fails to say.')]\n"
    )
    registry = zoo.load_registry({"ZOO_PLUGINS": ""}, files=[tmp_path / "asked.py"])
    with golden.raises(PluginError, plugin="asked", file=str(tmp_path / "asked.py"), line=3):
        zoo.run("fashion-cnn", registry=registry, out=tmp_path / "run", track=["it"])
    (check,) = (each for each in checks_of("asked", registry=registry) if "Keras callback" in each.name)
    with golden.raises(CheckFailedError):
        check()


def test_check_of_a_tracker_that_says_what_to_install_passes(tmp_path: Path) -> None:
    (tmp_path / "absent.py").write_text(
        "from zoo_track.targets import Target\n"
        "from zoo import Entry, hookimpl\n"
        "@hookimpl\n"
        "def register_callbacks():\n"
        "    target = Target(name='absent', package='no_such_package', writer='zoo_track.absent:Writer')\n"
        "    return [Entry(name='it', target=target, summary='Is not installed.')]\n"
    )
    registry = zoo.load_registry({"ZOO_PLUGINS": ""}, files=[tmp_path / "absent.py"])
    for check in checks_of("absent", registry=registry):
        check()


def test_tensorboard_does_not_write_through_a_link(tmp_path: Path, golden: Golden) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "tensorboard").symlink_to(tmp_path / "elsewhere")
    process = WorkerProcess("zoo_track.tensorboard_writer:TensorBoardWriter")
    process.send(msgspec.json.encode(Start(run="a", path=str(tmp_path / "run"), recipe="b", settings={})))
    with golden.raises(ZooError) as raised:
        process.finish(100)
    assert str(tmp_path / "run" / "tensorboard") in str(raised.value)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.slow
def test_run_goes_on_where_its_tracker_is_gone(
    registry: Registry, watched: list[tuple[str, Any]], tmp_path: Path, golden: Golden
) -> None:
    from tests.support.small_recipe import make_registry

    with pytest.raises(KeyboardInterrupt):
        zoo.run("small", registry=registry, out=tmp_path / "a", track=["watcher"], progress=StopsAfterOneEpoch())
    with golden.warns(ZooWarning) as told:
        assert zoo.resume(tmp_path / "a", registry=make_registry()).record.status == "tested"
    assert "local/watcher" in str(told[0].message)


def test_what_cannot_track_is_told_before_anything_is_made(
    run_zoo: Zoo, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Golden
) -> None:
    monkeypatch.chdir(tmp_path)
    absent = Target(name="absent", package="no_such_package", writer="zoo_track.absent:Writer")
    registry.callbacks.add(Entry(name="absent", target=absent, summary="Its package is not installed."))
    for command in (["run", "small"], ["train", "small"]):
        done = run_zoo(*command, "--track", "absent")
        assert (done.status, done.out) == (1, "")
        assert 'pip install "keras-zoo[absent]"' in done.err
        golden.says(done.err)
        done = run_zoo(*command, "--track", "mlfow")
        assert (done.status, done.out) == (1, "")
        golden.says(done.err)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UnknownNameError) as raised:
        zoo.run("small", registry=registry, track=["mlfow"])
    assert (raised.value.kind, raised.value.name, raised.value.suggestions) == ("callback", "mlfow", ("mlflow",))
    with pytest.raises(PluginError):
        zoo.train("small", registry=registry, track=["absent"])


@pytest.mark.slow
def test_tensorboard_has_settings_metrics_and_pictures(
    registry: Registry, small_run: Run, tmp_path: Path, patient: None, pictures: None
) -> None:
    with pytest.raises(KeyboardInterrupt):
        zoo.run("small", registry=registry, out=tmp_path / "run", track=["tensorboard"], progress=StopsAfterOneEpoch())
    run = zoo.resume(tmp_path / "run", registry=registry)
    assert run.record.model_sha256 == small_run.record.model_sha256
    code = """
import json, sys, types
sys.modules["tensorboard.compat.notf"] = types.ModuleType("notf")  # no need to wait for TensorFlow
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={"tensors": 0, "images": 0})
events.Reload()
tensors = {
    tag: [(each.step, each.tensor_proto.float_val[:], [text.decode() for text in each.tensor_proto.string_val])
          for each in events.Tensors(tag)]
    for tag in events.Tags()["tensors"]
}
print(json.dumps({"tensors": tensors, "images": events.Tags()["images"]}))
"""
    command = [sys.executable, "-c", code, str(tmp_path / "run" / "tensorboard")]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    losses = {step: values[0] for step, values, _ in found["tensors"]["loss/validation"]}
    validation = {epoch.epoch: epoch.validation.loss for epoch in run.record.history if epoch.validation}
    assert losses == pytest.approx(validation)
    assert set(losses) == {1, 2}
    assert run.test_metrics is not None
    (test,) = found["tensors"]["accuracy/test"]
    assert test[1] == [pytest.approx(run.test_metrics.accuracy)]
    assert "| optimizer.learning_rate | 0.003 |" in found["tensors"]["settings"][-1][2][0]
    assert run.record.id in found["tensors"]["run.json"][-1][2][0]
    assert set(found["images"]) == {"curves", "predictions"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real MLflow server with its SQLite store, on loopback."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--artifacts-destination", str(folder / "files"),
    ]  # fmt: skip
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        command,
        stdout=log,
        stderr=log,
        start_new_session=True,
        cwd=folder,
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
    )
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                fetch(f"{address}/health", timeout=1)
                break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.2)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.close()


def fetch(address: str, question: Any = None, timeout: float = 20) -> bytes:
    data = None if question is None else json.dumps(question).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})  # noqa: S310  # on loopback
    with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310
        return bytes(answer.read())


def ask(server: str, path: str, **question: Any) -> Any:
    return json.loads(fetch(f"{server}/api/2.0/{path}", question or None))


@pytest.mark.slow
def test_mlflow_has_settings_metrics_and_files_of_a_run_that_was_resumed(
    registry: Registry, small_run: Run, server: str, tmp_path: Path, patient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    with pytest.raises(KeyboardInterrupt):
        zoo.run("small", registry=registry, out=tmp_path / "run", track=["mlflow"], progress=StopsAfterOneEpoch())
    run = zoo.resume(tmp_path / "run", registry=registry)
    assert run.record.model_sha256 == small_run.record.model_sha256
    experiment = ask(server, "mlflow/experiments/get-by-name?experiment_name=mine")["experiment"]["experiment_id"]
    (found,) = ask(server, "mlflow/runs/search", experiment_ids=[experiment])["runs"]
    assert (found["info"]["status"], found["info"]["run_name"]) == ("FINISHED", "run")
    parameters = {each["key"]: each["value"] for each in found["data"]["params"]}
    assert parameters["optimizer.learning_rate"] == "0.003"
    assert parameters["model.widths"] == "4,8,8"
    metrics = {each["key"]: each["value"] for each in found["data"]["metrics"]}
    assert run.test_metrics is not None
    assert metrics["test_accuracy"] == pytest.approx(run.test_metrics.accuracy)
    name = found["info"]["run_id"]
    history = ask(server, f"mlflow/metrics/get-history?run_id={name}&metric_key=val_loss")["metrics"]
    assert {each["step"]: each["value"] for each in history} == {
        epoch.epoch: pytest.approx(epoch.validation.loss) for epoch in run.record.history if epoch.validation
    }
    files = {each["path"] for each in ask(server, f"mlflow/artifacts/list?run_id={name}")["files"]}
    assert files == FILES
    model = fetch(f"{server}/get-artifact?run_uuid={name}&path=model.safetensors")
    assert model == (run.path / "model.safetensors").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("is_listening", [False, True], ids=["nobody there", "no answer"])
def test_mlflow_server_that_is_down_stops_nothing(
    registry: Registry, small_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_listening: bool
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        if is_listening:
            nobody.listen()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        started = time.monotonic()
        with pytest.warns(ZooWarning) as complaints:
            run = zoo.run("small", registry=registry, out=tmp_path / "run", track=["mlflow"])
    (complaint,) = [str(each.message) for each in complaints if each.category is ZooWarning]
    assert "track/mlflow" in complaint
    assert time.monotonic() - started < 60
    assert (run.record.status, run.record.model_sha256) == ("tested", small_run.record.model_sha256)


def test_process_that_does_not_listen_is_neither_waited_for_nor_left(
    tmp_path: Path, monkeypatch: Any, golden: Golden
) -> None:
    (tmp_path / "sleepy.py").write_text("import time\ndef Writer():\n    time.sleep(100)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    process = WorkerProcess("sleepy:Writer", seconds_alone=0.5)
    started = time.monotonic()
    for _ in range(100):
        process.send(b"x" * 10_000)  # more than a pipe holds
    with golden.raises(ZooError):
        process.finish(0.5)
    assert time.monotonic() - started < 10
    assert _ends_within(20, process.pid)


def test_process_that_fails_says_why(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "broken.py").write_text(
        "import sys\ndef Writer():\n    print('chatter')\n    raise OSError('no\\nway')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    process = WorkerProcess("broken:Writer")
    with pytest.raises(ZooError) as raised:
        process.finish(20)
    assert str(raised.value) == "OSError: no way"  # its own words, on one line


def test_process_ends_with_the_run_that_was_killed(tmp_path: Path) -> None:
    (tmp_path / "sleepy.py").write_text(
        "import pathlib, time\n"
        f"def Writer():\n    pathlib.Path({str(tmp_path / 'begun')!r}).touch()\n    time.sleep(100)\n"
    )
    code = (
        "import os, pathlib, signal, time; from zoo_track.worker_process import WorkerProcess; "
        "process = WorkerProcess('sleepy:Writer', seconds_alone=0.5); print(process.pid, flush=True)\n"
        f"while not pathlib.Path({str(tmp_path / 'begun')!r}).exists(): time.sleep(0.05)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=False, env=environment)
    assert (tmp_path / "begun").exists()  # it was at work, and would be for long
    assert _ends_within(20, int(done.stdout))


def _ends_within(seconds: float, process: int) -> bool:
    deadline = time.monotonic() + seconds
    while (alive := process in living_in_session(process)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not alive


def test_files_in_the_current_folder_are_not_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("msgspec", "queue"):
        (tmp_path / f"{module}.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ZooError) as raised:
        WorkerProcess("no_such_module:Writer").finish(20)
    assert "no_such_module" in str(raised.value)  # so far it has come, with the msgspec that is installed
    assert not (tmp_path / "executed").exists()


@pytest.mark.slow
def test_no_warning_of_a_tracked_run_is_about_callbacks(
    registry: Registry, watched: list[tuple[str, Any]], tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        zoo.run("small", registry=registry, out=tmp_path / "a", progress=StopsAfterOneEpoch())
    with warnings.catch_warnings():
        warnings.simplefilter("error", ZooWarning)
        zoo.resume(tmp_path / "a", registry=registry, track=["watcher"])
    assert [what[0] for event, what in watched if event == "epoch"] == [1]
