"""Trainer ``ray``: what `Fit` does, shared out over worker processes, whatever becomes of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import msgspec
import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file
from zoo_fashion.model import build
from zoo_ray import engine, serving
from zoo_ray.cluster import ClusterError, largest_share
from zoo_ray.coordinator import Coordinator, Status, Work
from zoo_ray.job import TrainingJob
from zoo_ray.messages import Alive, Answer, Done, Start, WorkUnit, decode_arrays
from zoo_ray.sending import serialize_job
from zoo_ray.steps import SharedSteps
from zoo_ray.trainer import RayTrainer
from zoo_ray.training import RemoteSteps

import zoo
from tests.core.test_processes import channels
from tests.plugins.sweep.test_sweep import LOOPBACKS, listening
from tests.support import ROOT
from tests.support.bfloat16 import computes_bfloat16
from tests.support.golden import Golden
from tests.support.ray_in_process import make_workers, run_steps
from tests.support.ray_nodes import Nodes, two_nodes
from tests.support.small_recipe import FashionSlice, make_registry
from zoo import ArrayExamples, Metrics, PluginError, Registry, SettingError, TrainingConfig
from zoo.errors import ZooWarning
from zoo.models.build import build_with_policy
from zoo.training.learning import learning_of
from zoo.training.progress import NullProgress
from zoo.utils import ChildProcess, one_line
from zoo.utils.processes import living_in_session

TRAIN = FashionSlice().load(None).train
SMALL = partial(build, (28, 28, 1), 10, widths=(2, 2, 2), dense_width=2)
SETTINGS = TrainingConfig(epochs=2, batch_size=60, seed=7, build=SMALL)
START = Start(job=b"", workers=2, threads=1, address=None, patience=60.0, restarts=0, folder="")
PIECE = WorkUnit(number=0, state=b"", known=False, order=b"")
# one thread each, so that the bits are the same however many processors there are
TWO = {"trainer.workers": 2, "trainer.threads": 1, "optimizer.learning_rate": 3e-3}


def in_session(leader: int, word: str = "") -> list[int]:
    """Return the living processes of a session whose command line has a word."""
    found = []
    for process in living_in_session(leader):
        with contextlib.suppress(OSError):
            if word.encode() in Path(f"/proc/{process}/cmdline").read_bytes():
                found.append(process)
    return found


def wait_until(is_so: Callable[[], Any], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to be so"
        time.sleep(0.1)


def driver_of(run: int) -> int:
    """Return the process that speaks with Ray for a run, 0 if there is none yet."""
    children = Path(f"/proc/{run}/task/{run}/children").read_text().split()
    return next(
        (int(child) for child in children if b"zoo_ray.train_process" in Path(f"/proc/{child}/cmdline").read_bytes()), 0
    )


class Watcher(NullProgress):
    """Calls a function at the first step that it is told of in an epoch, and keeps what it is told."""

    def __init__(self, at: Mapping[int, Callable[[], None]] | None = None) -> None:
        self.at = dict(at or {})
        self.epoch = 0
        self.steps: list[tuple[int, int, Metrics]] = []

    def epoch_started(self, epoch: int, epochs: int, steps: int) -> None:
        self.epoch = epoch

    def step(self, step: int, metrics: Metrics) -> None:
        self.steps.append((self.epoch, step, metrics))
        self.at.pop(self.epoch, lambda: None)()


@pytest.fixture
def leaders(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Note the processes that speak with Ray, and ask in the end that nothing of them is left."""
    started: list[int] = []
    first = engine.Engine.__init__

    def noting(self: engine.Engine, *arguments: Any) -> None:
        first(self, *arguments)
        started.append(self.process.pid)

    monkeypatch.setattr(engine.Engine, "__init__", noting)
    yield started
    assert [process for leader in started for process in in_session(leader)] == []


def weights_of(run: zoo.Run) -> dict[str, Any]:
    return dict(load_file(run.path / "model.safetensors"))


# 500 images in batches of 33: shares of 16 and 17, and 2 and 3 of the last batch
SHARED: dict[str, Any] = {
    "epochs": 3,
    "batch_size": 33,
    "optimizer": "muon",
    "schedule": "one-cycle",
    "settings": {"model.dropout": 0.0, "loss.label_smoothing": 0.1, "optimizer.learning_rate": 3e-3},
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[zoo.Run, Watcher]:
    """A run on two workers that nothing happened to, and what its progress was."""
    out, watcher = tmp_path_factory.mktemp("runs") / "ray", Watcher()
    changes = SHARED | {"settings": SHARED["settings"] | TWO}
    run = zoo.train("small", trainer="ray", **changes, out=out, registry=make_registry(), progress=watcher)
    return run, watcher


@pytest.mark.slow
def test_agrees_with_fit_and_tells_of_every_epoch(
    shared: tuple[zoo.Run, Watcher], registry: Registry, tmp_path: Path
) -> None:
    run, watcher = shared
    alone = zoo.train("small", **SHARED, out=tmp_path / "fit", registry=registry)
    theirs = weights_of(alone)
    for name, array in weights_of(run).items():
        # 48 steps of up to 3e-3 each; some processors round so that 1e-4 is left between the two
        np.testing.assert_allclose(array, theirs[name], atol=5e-4)
    for ours, record in zip(run.record.history, alone.record.history, strict=True):
        assert ours.train.loss == pytest.approx(record.train.loss, abs=1e-4)
        assert ours.train.accuracy == pytest.approx(record.train.accuracy, abs=1 / 500 + 1e-6)
        assert [told for told in watcher.steps if told[0] == ours.epoch][-1] == (ours.epoch, 16, ours.train)


PLUGIN = """
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sent_widths import WIDTHS
from zoo import ArrayExamples, Dataset, Entry, Recipe, Split, hookimpl
from zoo_fashion.dataset import FashionMnist
from zoo_fashion.model import build as reference


def build(input_shape, num_classes):
    return reference(input_shape, num_classes, widths=WIDTHS, dense_width=int(Path("dense.txt").read_text()))


@dataclass(frozen=True, kw_only=True)
class Slice(Dataset):
    def load(self, data_dir):
        whole = FashionMnist().load(data_dir)
        train, test = (ArrayExamples(*part[np.arange(600)]) for part in (whole.train, whole.test))
        return Split(train=train, test=test, class_names=whole.class_names, digests=whole.digests)


@hookimpl
def register_datasets():
    return [Entry(name="sent-slice", target=Slice, summary="Sent.")]


@hookimpl
def register_models():
    return [Entry(name="sent-cnn", target=build, summary="Sent.")]


@hookimpl
def register_recipes():
    return [
        Recipe(
            name="sent", summary="Sent.", dataset="sent-slice", model="sent-cnn", trainer="ray",
            epochs=2, batch_size=32, validation=100, settings={"trainer.workers": 2, "trainer.threads": 1},
        )
    ]
"""


@pytest.mark.full
def test_plugin_of_a_file_in_a_strangers_folder_until_ctrl_c(golden: Golden, tmp_path: Path) -> None:
    """Nothing is imported from the folder, none but TensorFlow listens to others, and no process is left."""
    path, here, beside = tmp_path / "stopped", tmp_path / "here", tmp_path / "beside"
    here.mkdir()
    beside.mkdir()
    for name in ("ray", "msgspec", "keras", "tensorflow", "zoo"):
        (here / f"{name}.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'a').write('{name} ')\n")
    (here / "dense.txt").write_text("4")
    (beside / "sent_widths.py").write_text("WIDTHS = (2, 2, 2)\n")
    (beside / "sent_run.py").write_text(PLUGIN)
    # a shell that starts the tests in the background has Ctrl-C ignored, and its children inherit that
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\nfrom zoo.cli import main; main()"
    child = subprocess.Popen(
        [
            sys.executable,
            "-P",
            "-c",
            code,
            "--plugin",
            str(beside / "sent_run.py"),
            "train",
            "sent",
            "--out",
            str(path),
        ],
        cwd=here,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: driver_of(child.pid))
    leader = driver_of(child.pid)
    wait_until(lambda: in_session(leader, "ray::RayTrainWorker"))
    of_ray = set(in_session(leader)) - set(in_session(leader, "ray::RayTrainWorker"))
    addresses = listening(of_ray)
    os.killpg(child.pid, signal.SIGINT)  # as a terminal does: to all of its processes
    _, said = child.communicate(timeout=300)
    assert child.returncode == 130, said
    (line,) = [line for line in said.splitlines() if f"zoo --plugin {beside}/sent_run.py resume {path}" in line]
    golden.says(re.sub(r"\b\d+\b", "<number>", golden.masked(line)))
    assert len(list((path / "checkpoints").iterdir())) == 1
    assert in_session(leader) == in_session(child.pid) == []
    assert len(addresses) >= 3  # of the head, the node and the coordinator
    assert set(addresses) <= LOOPBACKS
    assert not (tmp_path / "imported").exists()


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    """A cluster, of which nothing is left in the end."""
    with two_nodes() as started:
        yield started


@pytest.mark.full
def test_worker_killed_and_node_replaced_give_the_same_bits(
    nodes: Nodes,
    shared: tuple[zoo.Run, Watcher],
    registry: Registry,
    golden: Golden,
    tmp_path: Path,
    leaders: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    groups: list[list[int]] = []  # the workers of each epoch

    monkeypatch.setenv("ZOO_OF_THE_RUN", "passed-on")  # after the cluster was started
    environments: list[bytes] = []

    def note_workers() -> None:
        groups.append(in_session(nodes.process.pid, "ray::RayTrainWorker"))
        environments.extend(Path(f"/proc/{worker}/environ").read_bytes() for worker in groups[-1])

    def kill_a_worker() -> None:  # after the first step of the run, so within an epoch
        note_workers()
        os.kill(groups[0][0], signal.SIGKILL)

    def replace_a_node() -> None:
        note_workers()
        nodes.remove()
        nodes.add()

    with golden.raises(PluginError):
        zoo.train(
            "small",
            trainer="ray",
            out=tmp_path / "none",
            registry=registry,
            settings=TWO | {"trainer.workers": 3, "trainer.address": nodes.address, "trainer.patience": 1.0},
        )
    run = zoo.train(
        "small",
        trainer="ray",
        out=tmp_path / "run",
        registry=registry,
        **SHARED | {"settings": SHARED["settings"] | TWO | {"trainer.address": nodes.address}},
        progress=Watcher({1: kill_a_worker, 2: replace_a_node, 3: note_workers}),
    )
    assert len({worker for group in groups for worker in group}) == 6  # two each time
    assert all(b"ZOO_OF_THE_RUN=passed-on" in environment for environment in environments)
    assert run.record.model_sha256 == shared[0].record.model_sha256
    assert [epoch.train for epoch in run.record.history] == [epoch.train for epoch in shared[0].record.history]


class Echo:
    """What does nothing, and says so."""

    def __init__(self) -> None:
        self.pieces: list[WorkUnit] = []

    def train(self, piece: WorkUnit) -> Done:
        self.pieces.append(piece)
        return Done(number=piece.number, state=piece.state, loss=1.0, right=2.0)


def test_what_changes_between_two_pieces_is_known_to_the_workers() -> None:
    echo, rate = Echo(), keras.Variable(0.1)
    steps = RemoteSteps(echo, {"rate": rate}, 4)  # type: ignore[arg-type]  # as good as an engine
    order = np.arange(10)[::-1]
    assert steps.run(order, 0, 1) == (1.0, 2.0)
    steps.run(order, 1, 2)
    rate.assign(0.2)  # as a callback does
    steps.run(order, 2, 3)
    assert [piece.known for piece in echo.pieces] == [False, True, False]
    assert [piece.number for piece in echo.pieces] == [0, 1, 2]
    assert [np.frombuffer(piece.order, np.int32).tolist() for piece in echo.pieces] == [
        [9, 8, 7, 6],
        [5, 4, 3, 2],
        [1, 0],
    ]
    assert decode_arrays(echo.pieces[2].state)["rate"] == np.float32(0.2)


def make_steps(rank: int) -> SharedSteps:
    """Return the steps of one of two workers, alone: nothing is added to what it sums up."""
    config = zoo.prepare(
        "small",
        trainer="ray",
        optimizer="muon",
        schedule="one-cycle",
        augmentations=["shift", "flip", "cutmix"],
        settings={"augmentation.shift.pixels": 1, "augmentation.cutmix.share": 0.5, "loss.label_smoothing": 0.1},
        registry=make_registry(),
    )
    half = partial(build_with_policy, keras.DTypePolicy("mixed_bfloat16"), partial(SMALL, dropout=0.5))
    job = TrainingJob(
        trainer=RayTrainer(precision="mixed_bfloat16"),
        config=TrainingConfig(epochs=1, batch_size=60, seed=7, learning=learning_of(config.recipe)),
        build=half,
        folder="/",
    )
    keras.utils.set_random_seed(7)
    examples = ArrayExamples(*TRAIN[np.arange(600)])
    return SharedSteps(tf.distribute.get_strategy(), job, examples, rank, 2)


@pytest.mark.slow
@computes_bfloat16
def test_steps_of_a_worker_depend_on_the_state_and_its_number_alone() -> None:
    steps, batches = make_steps(1), [np.arange(60), np.arange(60, 120), np.arange(1)]  # of the last, none for it
    state = steps.state()
    steps.run(batches[0])
    between = steps.state()
    sums = [steps.run(batch) for batch in batches[1:]]
    assert sums[1] == (0.0, 0.0)
    ended = steps.state()
    assert all(np.isfinite(array).all() for array in ended.values())

    again, other = make_steps(1), make_steps(0)
    again.restore(between)
    assert [again.run(batch) for batch in batches[1:]] == sums
    for name, array in again.state().items():
        np.testing.assert_array_equal(array, ended[name])
    again.restore(state)
    other.restore(state)
    examples = np.r_[np.arange(30, 60), np.arange(30, 60)]  # the same images for both
    assert again.run(examples) != other.run(examples)  # and each drops out other places of them
    seeds = {name: array for name, array in again.state().items() if name.startswith("seed.")}
    assert len(seeds) == 7
    for name, array in seeds.items():
        np.testing.assert_array_equal(array, other.state()[name])  # in the run, one state stands for both


def build_mixed() -> keras.Model:
    """Return layers that are frozen, adapted before, regularized, and with averages over batches."""
    layers = keras.layers
    frozen = keras.Sequential([layers.Conv2D(3, 3), layers.BatchNormalization(), layers.Flatten()])
    frozen.trainable = False
    adapted = layers.Normalization()
    adapted.adapt(TRAIN[np.arange(5)][0])
    regularized = layers.Dense(10, "softmax", kernel_regularizer="l2")
    return keras.Sequential([keras.Input((28, 28, 1)), adapted, frozen, layers.BatchNormalization(), regularized])


def whole(examples: ArrayExamples) -> TrainingConfig:
    """Return how to train when an epoch is one step."""
    return TrainingConfig(epochs=3, batch_size=len(examples), seed=7)


def taken_by_two(build: Callable[[], keras.Model], examples: ArrayExamples) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the state of two workers, which is the same, before and after a step with all examples."""
    job = TrainingJob(trainer=RayTrainer(), config=whole(examples), build=build, folder="/")
    keras.utils.set_random_seed(7)
    workers = make_workers(job, examples)
    state = workers[0].state()
    return state, run_steps(workers, [np.arange(len(examples))])[0]


def weights_in(state: Mapping[str, Any]) -> list[Any]:
    return [array for name, array in state.items() if name.startswith("model.")]


def build_regularized() -> keras.Model:
    layers = keras.layers
    regularized = layers.Dense(10, "softmax", kernel_regularizer=keras.regularizers.L1L2(0.01, 0.1))
    return keras.Sequential([keras.Input((28, 28, 1)), layers.Flatten(), regularized])


@pytest.mark.slow
def test_two_workers_regularize_as_one_process_does() -> None:
    examples = ArrayExamples(*TRAIN[np.arange(33)])  # slices of 17 and of 16
    state, ended = taken_by_two(build_regularized, examples)
    model, images = build_regularized(), examples.images / np.float32(255)
    model.set_weights(weights_in(state))
    config = whole(examples)
    model.compile(RayTrainer().make_optimizer(config, model, 1), RayTrainer().make_loss(config, model, examples))
    model.train_on_batch(images, np.eye(10, dtype=np.float32)[examples.labels])
    for ours, theirs in zip(weights_in(ended), model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_two_workers_average_statistics_and_leave_frozen_weights_alone() -> None:
    examples = ArrayExamples(*TRAIN[np.arange(33)])
    state, ended = taken_by_two(build_mixed, examples)
    model = build_mixed()
    model.set_weights(weights_in(state))
    own = [variable.path.split("/")[-2:] for variable in model.weights]
    features = np.asarray(model.layers[1](model.layers[0](examples.images / np.float32(255))))
    halves = features[:17], features[17:]
    learned = []
    for number, (layer, variable) in enumerate(own):
        name = f"model.{number:03d}"
        if variable.startswith("moving_") and layer == model.layers[2].name:
            mean = [half.mean(0) if variable == "moving_mean" else half.var(0) for half in halves]
            expected = 0.99 * state[name] + 0.01 * (17 * mean[0] + 16 * mean[1]) / 33
            np.testing.assert_allclose(ended[name], expected, atol=1e-6)
            learned.append(variable)
        elif layer in (model.layers[2].name, model.layers[3].name):
            assert (ended[name] != state[name]).any()
            learned.append(variable)
        else:
            np.testing.assert_array_equal(ended[name], state[name])
    assert sorted(learned) == ["beta", "bias", "gamma", "kernel", "moving_mean", "moving_variance"]


@pytest.mark.slow
def test_run_that_is_killed_leaves_no_process(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.support.small_zoo",
            "train",
            "small",
            "--trainer",
            "ray",
            "--out",
            str(tmp_path / "run"),
        ],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: driver_of(child.pid))
    leader = driver_of(child.pid)
    wait_until(lambda: in_session(leader, "raylet"))
    child.kill()
    child.wait()
    wait_until(lambda: not in_session(leader), 120)
    assert leader
    assert in_session(leader) == []


def test_driver_that_ends_is_told_of(leaders: list[int], golden: Golden) -> None:
    ended = engine.Engine(START, *TRAIN[np.arange(5)])
    os.kill(ended.process.pid, signal.SIGKILL)
    with golden.raises(PluginError):
        ended.train(PIECE)
    ended.close()
    ended.close()  # once more does nothing


class Hasty(ChildProcess):
    """A process that is waited for a thousandth of the time."""

    def receive(self, seconds: float | None) -> bytes | None:
        assert seconds is not None
        assert seconds < 600
        return super().receive(seconds / 1000)

    def finish(self, seconds: float, *, flush: bool = True) -> bool:
        return super().finish(seconds / 1000, flush=flush)


def test_driver_that_says_nothing_is_given_up(
    leaders: list[int], golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "ChildProcess", Hasty)
    silent = engine.Engine(START, *TRAIN[np.arange(5)])
    os.kill(silent.process.pid, signal.SIGSTOP)
    with golden.raises(PluginError):
        silent.train(PIECE)
    silent.close()


def test_what_cannot_be_told_to_the_driver_leaves_nothing(
    golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    def make(**_: Any) -> str:
        folder.mkdir()
        made.append(folder)
        return str(folder)

    folder, made = tmp_path / "unsaid", list[Path]()
    monkeypatch.setattr("tempfile.mkdtemp", make)
    with pytest.raises(TypeError):
        engine.Engine(msgspec.structs.replace(START, job=object()), *TRAIN[np.arange(5)])
    assert made
    assert not folder.exists()
    made.clear()
    monkeypatch.setattr("numpy.save", fail)
    with golden.raises(PluginError):
        engine.Engine(START, *TRAIN[np.arange(5)])
    assert made
    assert not folder.exists()


class Waiting:
    """Workers that do three steps, one a second by a clock of theirs, and no step more."""

    def __init__(self, when_idle: Callable[[], None] = lambda: None) -> None:
        self.heartbeats = 0
        self.seconds = 0.0
        self.when_idle = when_idle

    def post(self, piece: WorkUnit) -> None:
        self.number = piece.number

    def news(self, number: int) -> Status:
        assert number == self.number
        self.seconds += 1.0
        if self.heartbeats == 3:
            self.when_idle()
        self.heartbeats = min(self.heartbeats + 1, 3)
        return Status(heartbeats=self.heartbeats, done=None, failed=None)


def test_workers_that_do_no_step_are_given_up_in_bounded_time(golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = channels()
    given_up, left = Waiting(), Waiting(when_idle=ours.close)
    monkeypatch.setattr(serving, "processors", lambda: [1])
    monkeypatch.setattr(serving, "time", SimpleNamespace(monotonic=lambda: given_up.seconds + left.seconds))
    ours.send(msgspec.msgpack.encode(PIECE))
    with golden.raises(ClusterError):
        serving.serve(theirs, 60.0, given_up)
    assert 60 <= given_up.seconds - 3 <= 62
    answers = []
    while (encoded := ours.receive(0)) is not None:
        answers.append(msgspec.msgpack.decode(encoded, type=Answer))
    assert answers == [Alive()] * 4  # that it was posted, and the three steps
    ours.send(msgspec.msgpack.encode(PIECE))
    with pytest.raises(EOFError):  # the run has ended
        serving.serve(theirs, 60.0, left)
    assert left.seconds == 4
    theirs.close()


def test_long_message_is_one_line_with_its_start_and_its_end() -> None:
    assert one_line(ValueError("no\troom\n  for it\x1b[31m")) == "ValueError: no room for it"
    text = one_line(OSError("Ray says it first.\n" + "at a call\n" * 500 + "TensorFlow says it last."))
    assert text.startswith("OSError: Ray says it first. at a call ")
    assert text.endswith(" at a call TensorFlow says it last.")
    assert " … " in text
    assert len(text) < 700


def test_cluster_that_is_away_is_told_of(
    registry: Registry, golden: Golden, tmp_path: Path, leaders: list[int]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # where nobody listens
        settings = TWO | {"trainer.address": f"127.0.0.1:{taken.getsockname()[1]}", "trainer.patience": 5.0}
        with pytest.raises(PluginError) as raised:
            zoo.train("small", trainer="ray", out=tmp_path / "run", registry=registry, settings=settings)
    golden.says(re.sub(r"\[Errno \d+\] [A-Z][a-z ]+", "<fault of the system>", str(raised.value)))


def test_plugin_of_a_file_is_sent_with_what_lies_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sent_sizes.py").write_text("import enum\n\n\nclass Size(enum.Enum):\n    LARGE = 3\n")
    (tmp_path / "sent_arch.py").write_text(
        "import sent_sizes\nfrom sent_sizes import Size\nfrom zoo import Entry, hookimpl\n\n\n"
        "def build(size):\n    return 'built', sent_sizes.Size(size) is size is Size.LARGE\n\n\n"
        "@hookimpl\ndef register_models():\n    return [Entry(name='sent', target=build, summary='Sent.')]\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))  # gives back what the plugin adds to it
    zoo.load_registry({"ZOO_PLUGINS": ""}, files=[tmp_path / "sent_arch.py"])
    builder = partial(sys.modules["sent_arch"].build, sys.modules["sent_sizes"].Size.LARGE)
    sent = serialize_job(TrainingJob(trainer=RayTrainer(), config=SETTINGS, build=builder, folder="/"))
    code = "import sys; from ray import cloudpickle; print(cloudpickle.load(sys.stdin.buffer).build())"
    received = subprocess.run([sys.executable, "-P", "-c", code], input=sent, capture_output=True, cwd="/")
    assert received.stdout == b"('built', True)\n", received.stderr.decode()
    recipe = zoo.prepare("small", trainer="ray", augmentations=["cutmix"], registry=make_registry()).recipe
    learning = TrainingConfig(epochs=2, batch_size=60, seed=7, learning=learning_of(recipe))
    ours = serialize_job(TrainingJob(trainer=RayTrainer(), config=learning, build=SMALL, folder="/"))
    assert len(ours) < 3000  # by their names
    locked = TrainingJob(trainer=RayTrainer(), config=SETTINGS, build=partial(SMALL, lock=threading.Lock()), folder="/")
    with pytest.raises(PluginError) as raised:
        serialize_job(locked)
    assert "cannot pickle" in str(raised.value)  # as Python says


def test_settings_that_cannot_be_are_refused(golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    with golden.raises(SettingError, name="trainer.workers", value=61):
        RayTrainer(workers=61).start(SMALL(), TRAIN, SETTINGS)
    with golden.raises(SettingError):
        RayTrainer().start(SMALL(), TRAIN, TrainingConfig(epochs=1, batch_size=60, seed=0))
    for address in ("", "localhost", "ray://127.0.0.1:10001", "127.0.0.1:6379 "):
        with golden.raises(SettingError, name="trainer.address", value=address):
            RayTrainer(address=address).start(SMALL(), TRAIN, SETTINGS)
    monkeypatch.setenv("RAY_ADDRESS", "ray://127.0.0.1:10001")
    with golden.raises(SettingError, name="trainer.address", value="auto"):
        RayTrainer(address="auto").start(SMALL(), TRAIN, SETTINGS)
    monkeypatch.setattr("zoo_ray.trainer.usable_memory", lambda: 1_000_000)
    with golden.raises(SettingError):
        RayTrainer().start(SMALL(), TRAIN, SETTINGS)
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    with golden.raises(SettingError):
        RayTrainer().start(SMALL(), TRAIN, SETTINGS)


def test_statistics_of_batches_are_warned_of(golden: Golden) -> None:
    layers = [keras.Input((28, 28, 1)), keras.layers.BatchNormalization(), keras.layers.Flatten()]
    first = keras.Sequential([*layers, keras.layers.Dense(10, "softmax")])
    with golden.warns(ZooWarning):
        RayTrainer().start(first, TRAIN, SETTINGS)
    layers[1].trainable = False
    adapted = keras.layers.Normalization()
    adapted.adapt(TRAIN[np.arange(5)][0])
    model = keras.Sequential([layers[0], adapted, *layers[1:], keras.layers.Dense(10, "softmax")])
    for other in (model, SMALL()):  # and of nothing else
        RayTrainer().start(other, TRAIN, SETTINGS)
    layers[1].trainable = True
    RayTrainer(freeze=("batch_normalization",)).start(first, TRAIN, SETTINGS)


@pytest.mark.slow
def test_without_the_extra_it_is_listed_and_says_what_to_install(golden: Golden, tmp_path: Path) -> None:
    code = (
        "import contextlib, sys; sys.modules['ray'] = None; sys.path.insert(0, '.')\n"
        "from tests.support.small_recipe import make_registry\n"
        "from zoo.cli import main\n"
        "from zoo.cli.context import Session\n"
        "session = Session(); session.registry = make_registry()\n"
        "with contextlib.suppress(SystemExit): main(['list', '--json'], session)\n"
        "main(['train', 'small', '--trainer', 'ray', '--out', sys.argv[1]], session)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "run")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "ray" in [entry["name"] for entry in json.loads(done.stdout) if entry["kind"] == "trainer"]
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert line.startswith("Error: ")
    assert "keras-zoo[ray]" in line
    golden.says(line)


@pytest.mark.parametrize(
    ("sizes", "workers", "share"),
    [([2], 2, 1), ([8], 2, 4), ([3, 1], 2, 1), ([1, 1], 2, 1), ([4, 4, 1], 3, 2), ([1], 2, 0), ([], 1, 0), ([5], 1, 5)],
)
def test_share_of_processors(sizes: list[int], workers: int, share: int) -> None:
    assert largest_share(sizes, workers) == share


def test_workers_that_are_gone_count_no_more() -> None:
    """A group is told of one piece until it has done it itself, or its workers would wait for each other for ever."""

    def work(number: int) -> Work:
        return Work(number=number, state=(None,), known=False, order=b"")

    def done(number: int, loss: float) -> Done:
        return Done(number=number, state=b"", loss=loss, right=0.0)

    async def play() -> None:
        coordinator = Coordinator()
        await coordinator.post(work(0))
        assert await coordinator.next("old", -1) == work(0)
        assert await coordinator.next("new", -1) == work(0)  # its first worker
        await coordinator.take("old", done(0, 1.0))
        assert await coordinator.next("old", -1) is False  # on its way when its worker died
        assert await coordinator.news(0, 0.01) == Status(heartbeats=0, done=None, failed=None)
        assert await coordinator.next("new", -1) == work(0)  # its second worker
        await coordinator.sign()
        await coordinator.take("new", done(0, 2.0))
        assert await coordinator.news(0, 60) == Status(heartbeats=1, done=done(0, 2.0), failed=None)
        waiting = asyncio.create_task(coordinator.next("new", 0))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        await coordinator.post(work(1))
        assert await waiting == work(1)
        await coordinator.fail("no memory")
        assert (await coordinator.news(1, 60)).failed == "no memory"
        await coordinator.end()
        assert await coordinator.next("new", 1) is False

    asyncio.run(play())


@pytest.mark.slow
def test_fit_of_keras_does_not_work_under_the_strategy_yet() -> None:
    """The day this fails, zoo_ray.steps can go: Keras's own fit would do (keras#20585)."""
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in (one, other)]
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.support.mirrored_fit"],
            cwd=ROOT,
            env={
                **os.environ,
                "TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    said = [child.communicate(timeout=300) for child in children]
    assert ["trained" in out for out, _ in said] == [False, False]
    assert any("PerReplica" in error for _, error in said), said[0][1][-2000:]
