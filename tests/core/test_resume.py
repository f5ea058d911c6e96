"""A run that was stopped goes on: with the same settings, to the same bits, from the newest sound checkpoint."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
import pytest

import zoo
from tests.core.test_training import Scripted
from tests.support.command_line import Zoo
from tests.support.golden import Golden
from tests.support.sealing import seal, unsealed
from tests.support.small_recipe import SMALL, FashionSlice, make_registry
from zoo import DataError, Entry, Metrics, Registry, Run, SettingError
from zoo.errors import DivergedError, RunFolderError, UnknownNameError, ZooWarning
from zoo.runs import environment
from zoo.runs.run_folder import lock_run_folder, open_run
from zoo.training.progress import NullProgress
from zoo.utils import files


class Stop(NullProgress):
    """Ends a run at the end of a step, counted from its first one, as a kill would: with no more work done."""

    def __init__(self, step: int) -> None:
        self.left = step

    def step(self, step: int, metrics: Metrics) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


STEPS = 16  # an epoch of the small recipe: 500 images in batches of 32


def train_until(step: int, out: Path, **changes: Any) -> None:
    """Start a run of four epochs and let it end after so many steps."""
    with pytest.raises(KeyboardInterrupt):
        zoo.run("small", out=out, registry=make_registry(), epochs=4, progress=Stop(step), **changes)


def metrics_of(run: Run) -> list[tuple[Metrics, Metrics | None]]:
    return [(epoch.train, epoch.validation) for epoch in run.record.history]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of four epochs that nothing stopped."""
    return zoo.run("small", out=tmp_path_factory.mktemp("whole") / "run", registry=make_registry(), epochs=4)


@pytest.fixture(scope="module")
def stopped_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was stopped in its third epoch; not to be changed."""
    path = tmp_path_factory.mktemp("stopped") / "run"
    train_until(2 * STEPS + 9, path, checkpoint_every=4)
    return path


@pytest.fixture
def stopped(stopped_once: Path, tmp_path: Path) -> Path:
    """A copy of that folder."""
    shutil.copytree(stopped_once, tmp_path / "run")
    return tmp_path / "run"


def assert_same(run: Run, whole: Run) -> None:
    assert run.record.status == "tested"
    assert run.record.model_sha256 == whole.record.model_sha256
    assert metrics_of(run) == metrics_of(whole)
    assert (run.record.best_epoch, run.validation_metrics, run.test_metrics) == (
        whole.record.best_epoch,
        whole.validation_metrics,
        whole.test_metrics,
    )


@pytest.mark.slow
def test_another_backend_is_refused_before_anything_is_written(
    stopped: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch, golden: Golden
) -> None:
    before = (stopped / "run.json").read_bytes()
    found = environment.describe("float32")
    monkeypatch.setattr(environment, "describe", lambda _: msgspec.structs.replace(found, backend="jax"))
    with golden.raises(RunFolderError, path=str(stopped)) as raised:
        zoo.resume(stopped, registry=registry)
    assert "KERAS_BACKEND=tensorflow" in str(raised.value)
    assert (stopped / "run.json").read_bytes() == before


@pytest.mark.slow
def test_resumed_run_chooses_its_best_epoch_by_what_it_was_started_with(registry: Registry, tmp_path: Path) -> None:
    whole = zoo.run("small", out=tmp_path / "whole", registry=registry, epochs=4, monitor="accuracy")
    assert whole.record.recipe.monitor == "accuracy"
    by_epoch = [(e.validation.accuracy, -e.validation.loss) for e in whole.record.history if e.validation]
    assert whole.record.best_epoch == 1 + by_epoch.index(max(by_epoch))
    train_until(2 * STEPS + 9, tmp_path / "run", monitor="accuracy")
    assert_same(zoo.resume(tmp_path / "run", registry=registry), whole)


@pytest.mark.parametrize(
    ("step", "every"),
    [
        pytest.param(3, 1, marks=pytest.mark.slow),
        (STEPS + 7, 5),
        pytest.param(1, None, marks=pytest.mark.slow),
        pytest.param(STEPS, 5, marks=pytest.mark.slow),
        pytest.param(STEPS + 7, None, marks=pytest.mark.slow),
        pytest.param(4 * STEPS, None, marks=pytest.mark.slow),
    ],
)
def test_resumed_run_comes_to_the_same_bits(
    whole: Run, registry: Registry, tmp_path: Path, step: int, every: int | None
) -> None:
    train_until(step, tmp_path / "run", checkpoint_every=every)
    run = zoo.resume(tmp_path / "run", registry=registry)
    assert_same(run, whole)
    assert sorted(os.listdir(tmp_path / "run")) == sorted(os.listdir(whole.path))
    assert len(run.record.resumed) == 1


@pytest.mark.slow
def test_stopped_again_and_again(whole: Run, tmp_path: Path) -> None:
    train_until(3, tmp_path / "run", checkpoint_every=2)
    for step in (5, 20, 1, 2):
        with pytest.raises(KeyboardInterrupt):
            zoo.resume(tmp_path / "run", registry=make_registry(), progress=Stop(step))
    run = zoo.resume(tmp_path / "run", registry=make_registry())
    assert_same(run, whole)
    assert len(run.record.resumed) == 5


def test_two_checkpoints_are_kept_and_hold_what_their_manifests_say(stopped: Path) -> None:
    names = sorted(os.listdir(stopped / "checkpoints"))
    assert len(names) == 2
    manifests = [unsealed(stopped / "checkpoints" / name / "manifest.json") for name in names]
    assert [(manifest["epoch"], manifest["step"]) for manifest in manifests] == [(2, 4), (2, 8)]
    assert [epoch["epoch"] for epoch in manifests[1]["history"]] == [1, 2]
    for name, manifest in zip(names, manifests, strict=True):
        for part in ("training", "best"):
            data = (stopped / "checkpoints" / name / f"{part}.safetensors").read_bytes()
            assert manifest[part] == {"size": len(data), "sha256": files.sha256(data)}


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "name",
    [
        "training.safetensors",
        pytest.param("manifest.json", marks=pytest.mark.slow),
        pytest.param("best.safetensors", marks=pytest.mark.slow),
    ],
)
def test_newest_that_is_not_sound_is_skipped_and_named(
    whole: Run, registry: Registry, stopped: Path, golden: Golden, name: str
) -> None:
    *_, newest = sorted((stopped / "checkpoints").iterdir())
    damage(newest / name)
    with golden.warns(ZooWarning) as told:
        run = zoo.resume(stopped, registry=registry)
    assert str(newest / name) in str(told[0].message)
    assert_same(run, whole)


def test_where_none_is_sound_nothing_is_trained_or_lost(registry: Registry, stopped: Path, golden: Golden) -> None:
    for manifest in stopped.glob("checkpoints/*/manifest.json"):
        damage(manifest)
    before = {path: path.read_bytes() for path in stopped.glob("checkpoints/**/*") if path.is_file()}
    with (
        golden.warns(ZooWarning, count=2),
        golden.raises(RunFolderError, path=str(stopped / "checkpoints")),
    ):
        zoo.resume(stopped, registry=registry)
    assert {path: path.read_bytes() for path in stopped.glob("checkpoints/**/*") if path.is_file()} == before


def leave_one_manifest(stopped: Path, key: str, value: object) -> Path:
    """Remove all checkpoints but the newest, change its manifest, and return that."""
    first, newest = sorted((stopped / "checkpoints").iterdir())
    shutil.rmtree(first)
    manifest = newest / "manifest.json"
    manifest.write_bytes(seal({**unsealed(manifest), key: value}))
    return manifest


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("run", "another"),
        ("epoch", 3),
        ("best_epoch", 3),
        ("best", None),
        ("training", {"size": 1, "sha256": "0" * 64}),
        ("format", 2),
    ],
    ids=["run", "epoch", "best-epoch", "best", "training", "format"],
)
def test_manifest_that_does_not_fit_is_skipped(
    registry: Registry, stopped: Path, golden: Golden, key: str, value: object
) -> None:
    leave_one_manifest(stopped, key, value)
    with golden.warns(ZooWarning), golden.raises(RunFolderError, path=str(stopped / "checkpoints")):
        zoo.resume(stopped, registry=registry)


def test_manifest_that_is_no_record_is_skipped(registry: Registry, stopped: Path) -> None:
    manifest = leave_one_manifest(stopped, "epoch", -1)
    with pytest.warns(ZooWarning) as told, pytest.raises(RunFolderError):
        zoo.resume(stopped, registry=registry)
    text = str(told.pop(ZooWarning).message)  # not golden: most of it are words of msgspec
    assert str(manifest) in text
    assert "$.epoch" in text


@pytest.mark.slow
@pytest.mark.parametrize("step", [STEPS, 10**9])
def test_checkpoint_beyond_its_epoch_is_skipped(
    whole: Run, registry: Registry, stopped: Path, golden: Golden, step: int
) -> None:
    *_, newest = sorted((stopped / "checkpoints").iterdir())
    (newest / "manifest.json").write_bytes(seal({**unsealed(newest / "manifest.json"), "step": step}))
    with golden.warns(ZooWarning) as told:
        assert_same(zoo.resume(stopped, registry=registry), whole)
    assert str(newest) in str(told[0].message)


@pytest.mark.slow
def test_run_with_resume_starts_goes_on_and_shows(whole: Run, registry: Registry, tmp_path: Path) -> None:
    train_until(STEPS + 1, tmp_path / "run", resume=True)
    run = zoo.run("small", out=tmp_path / "run", resume=True, registry=registry)  # four epochs, as it was started
    assert_same(run, whole)
    again = zoo.run("small", out=tmp_path / "run", resume=True, registry=registry)
    assert again == run


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        ({"epochs": 5}, {"name": "epochs", "value": 5}),
        ({"seed": 1}, {"name": "seed", "value": 1}),
        ({"model": "flat"}, {"name": "model", "value": "local/flat"}),
        ({"settings": {"optimizer.learning_rate": 1e-3}}, {"name": "optimizer.learning_rate", "value": 1e-3}),
        ({"settings": {"model.widths": "4,8,9"}}, {"name": "model.widths", "value": (4, 8, 9)}),
        ({"optimizer": "sgd"}, {"name": "optimizer", "value": "keras/sgd"}),
        ({"augmentations": ["flip", "keras/shift"]}, {"name": "augmentations", "value": "keras/flip,keras/shift"}),
        ({"callbacks": ["early-stopping"]}, {"name": "callbacks", "value": "keras/early-stopping"}),
        ({"monitor": "macro-f1"}, {"name": "monitor", "value": "macro-f1"}),
        ({"checkpoint_every": 7}, {}),
    ],
    ids=[
        "epochs",
        "seed",
        "model",
        "learning-rate",
        "widths",
        "optimizer",
        "augmentations",
        "callbacks",
        "monitor",
        "checkpoint-every",
    ],
)
def test_contradicting_option_is_an_error(
    registry: Registry, stopped: Path, golden: Golden, changes: dict[str, Any], facts: dict[str, Any]
) -> None:
    registry.models.add(Entry(name="flat", target="tests.test_resume:no_model", summary="None."))
    with golden.raises(SettingError, **facts):
        zoo.run("small", out=stopped, resume=True, registry=registry, **changes)


@pytest.mark.slow
def test_what_is_given_and_the_same_is_no_contradiction(whole: Run, registry: Registry, stopped: Path) -> None:
    run = zoo.run(
        "small",
        out=stopped,
        resume=True,
        registry=registry,
        epochs=4,
        model="fashion-cnn",
        checkpoint_every=4,
        optimizer="adam",
        augmentations=[],
        settings={"model.widths": "4,8,8", "optimizer.learning_rate": "3e-3"},
    )
    assert_same(run, whole)


def test_another_recipe_is_a_contradiction(registry: Registry, stopped: Path, golden: Golden) -> None:
    with golden.raises(SettingError, name="recipe", value="fashion/fashion-cnn"):
        zoo.run("fashion-cnn", out=stopped, resume=True, registry=registry)


@pytest.mark.slow
def test_training_only_stays_training_only(whole: Run, registry: Registry, tmp_path: Path, golden: Golden) -> None:
    with pytest.raises(KeyboardInterrupt):
        zoo.train("small", out=tmp_path / "run", registry=registry, epochs=4, progress=Stop(20))
    run = zoo.resume(tmp_path / "run", registry=make_registry())
    assert (run.record.status, run.test_metrics) == ("trained", None)
    assert run.record.model_sha256 == whole.record.model_sha256
    assert zoo.resume(tmp_path / "run", registry=make_registry()) == run
    with golden.raises(SettingError):
        zoo.run("small", out=tmp_path / "run", resume=True, registry=make_registry())
    assert zoo.test(tmp_path / "run", registry=make_registry()).test_metrics == whole.test_metrics


def test_other_data_are_refused(registry: Registry, stopped: Path, golden: Golden) -> None:
    record = unsealed(stopped / "run.json")
    record["data"]["digests"] = {}
    (stopped / "run.json").write_bytes(seal(record))
    with golden.raises(DataError, path=str(stopped)):
        zoo.resume(stopped, registry=registry)


@pytest.mark.slow
def test_another_environment_is_told_and_recorded(
    whole: Run, registry: Registry, stopped: Path, golden: Golden
) -> None:
    record = unsealed(stopped / "run.json")
    record["environment"]["processors"] = 64
    record["environment"]["variables"]["TF_ENABLE_ONEDNN_OPTS"] = "0"
    record["environment"]["packages"]["keras"] = "3.0.0"
    (stopped / "run.json").write_bytes(seal(record))
    with pytest.warns(ZooWarning) as told:
        run = zoo.resume(stopped, registry=registry)
    changes = run.record.resumed[0].environment_changes
    before = ["TF_ENABLE_ONEDNN_OPTS 0", "keras 3.0.0", "processors 64"]
    assert [change.partition(" -> ")[0] for change in changes] == before
    text = str(told.pop(ZooWarning).message)
    assert all(change in text for change in changes)
    for change in changes:  # which differ from machine to machine
        text = text.replace(change, "<change>")
    golden.says(text)
    assert run.record.model_sha256 == whole.record.model_sha256


def test_variables_that_are_not_about_computing_are_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_VAR_password", "secret")  # Terraform's, which has the same prefix
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    variables = environment.describe("float32").variables
    assert variables["TF_ENABLE_ONEDNN_OPTS"] == "0"
    assert "TF_VAR_password" not in variables


def test_model_that_has_other_parameters_now_is_refused(registry: Registry, stopped: Path, golden: Golden) -> None:
    record = unsealed(stopped / "run.json")
    record["parameters"] += 1
    (stopped / "run.json").write_bytes(seal(record))
    with golden.raises(RunFolderError, path=str(stopped)) as raised:
        zoo.resume(stopped, registry=registry)
    assert all(count in str(raised.value) for count in ("3,155", "3,154"))


def early_stopping() -> Registry:
    """Return a registry with Keras's own stateful callbacks and one of a user's."""

    class Halving(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
        """Halves the learning rate after every second epoch, which it counts itself."""

        def __init__(self) -> None:
            super().__init__()
            self.seen = 0

        def on_epoch_end(self, epoch: int, logs: object = None) -> None:
            self.seen += 1
            if self.seen % 2 == 0:
                self.model.optimizer.learning_rate = self.model.optimizer.learning_rate * 0.5

        def state(self) -> dict[str, int]:
            return {"seen": self.seen}

        def restore(self, state: Mapping[str, int]) -> None:
            self.seen = state["seen"]

    def stopping() -> keras.callbacks.Callback:
        return keras.callbacks.EarlyStopping(monitor="loss", patience=4, min_delta=10.0)

    def lowering() -> keras.callbacks.Callback:
        return keras.callbacks.ReduceLROnPlateau(monitor="loss", patience=2, min_delta=10.0, factor=0.5)

    registry = make_registry()
    for name, target in {"lowering": lowering, "stopping": stopping, "halving": Halving}.items():
        registry.callbacks.add(Entry(name=name, target=target, summary="Decides by what it saw."))
    return registry


@pytest.mark.slow
def test_callbacks_that_decide_by_what_they_saw_go_on_too(tmp_path: Path) -> None:
    callbacks = ["lowering", "stopping", "halving"]
    expected = zoo.run("small", out=tmp_path / "whole", callbacks=callbacks, registry=early_stopping(), epochs=9)
    assert len(expected.record.history) == 5  # the first, and four that are not ten better
    with pytest.raises(KeyboardInterrupt):
        zoo.run(
            "small",
            out=tmp_path / "run",
            callbacks=callbacks,
            registry=early_stopping(),
            epochs=9,
            progress=Stop(STEPS + 3),
        )
    with pytest.raises(KeyboardInterrupt):
        zoo.resume(tmp_path / "run", registry=early_stopping(), progress=Stop(2 * STEPS + 3))
    assert_same(zoo.resume(tmp_path / "run", registry=early_stopping()), expected)


@pytest.mark.slow
def test_callback_that_has_changed_is_told(tmp_path: Path, golden: Golden) -> None:
    with pytest.raises(KeyboardInterrupt):
        zoo.run(
            "small",
            out=tmp_path / "run",
            callbacks=["stopping", "halving"],
            registry=early_stopping(),
            progress=Stop(STEPS + 3),
        )
    changed = make_registry()
    changed.callbacks.add(Entry(name="stopping", target=keras.callbacks.Callback, summary="Does nothing any more."))
    changed.callbacks.add(next(iter(early_stopping().callbacks.find("halving"))).item)
    with golden.warns(ZooWarning) as told:
        zoo.resume(tmp_path / "run", registry=changed)
    assert "local/stopping" in str(told[0].message)


def test_callback_that_is_gone_is_refused(tmp_path: Path, golden: Golden) -> None:
    with pytest.raises(KeyboardInterrupt):
        zoo.run(
            "small", out=tmp_path / "run", callbacks=["halving"], registry=early_stopping(), progress=Stop(STEPS + 3)
        )
    with golden.raises(UnknownNameError, kind="callback", name="local/halving"):
        zoo.resume(tmp_path / "run", registry=make_registry())


def test_state_of_a_callback_is_plain(registry: Registry, tmp_path: Path) -> None:
    class Odd(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
        def state(self) -> dict[str, Any]:
            return {"model": [1, 2]}

        def restore(self, state: Mapping[str, Any]) -> None: ...

    registry.callbacks.add(Entry(name="odd", target=Odd, summary="Has a list."), plugin="mine")
    with pytest.raises(zoo.PluginError) as raised:  # not golden: some of it are words of msgspec
        zoo.run("small", callbacks=["odd"], out=tmp_path / "run", registry=registry, epochs=1)
    assert (raised.value.plugin, type(raised.value.__cause__)) == ("mine", TypeError)
    assert "Odd" in str(raised.value)


class Plain(Scripted):
    """A trainer that can go on between epochs only."""

    def __init__(self) -> None:
        super().__init__([])
        self.value = np.zeros((1,), np.float32)

    def run_epoch(self, epoch: int, on_step: Any) -> Metrics:
        self.value += 1
        metrics = Metrics(loss=1.0, accuracy=0.5)
        for step in range(1, 17):
            on_step(step, metrics)
        return metrics

    def state(self) -> dict[str, Any]:
        return {"value": self.value.copy()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.value = np.array(state["value"])

    def predict(self, model: keras.Model, images: Any) -> Any:
        return np.full((len(images), 10), 0.1)


@pytest.mark.slow
def test_trainer_that_knows_whole_epochs_only_goes_on_between_them(
    registry: Registry, tmp_path: Path, golden: Golden
) -> None:
    for each in (registry, other := make_registry()):
        each.trainers.add(Entry(name="plain", target=Plain, summary="Whole epochs."))
    with golden.raises(SettingError) as raised:
        zoo.run("small", trainer="plain", out=tmp_path / "x", registry=registry, checkpoint_every=3)
    assert "checkpoint_every=3" in str(raised.value)
    with pytest.raises(KeyboardInterrupt):
        zoo.run("small", trainer="plain", out=tmp_path / "run", registry=registry, epochs=3, progress=Stop(STEPS + 5))
    run = zoo.resume(tmp_path / "run", registry=other)
    assert [epoch.epoch for epoch in run.record.history] == [1, 2, 3]


@pytest.mark.slow
def test_divergence_keeps_the_last_finite_checkpoint(registry: Registry, tmp_path: Path, golden: Golden) -> None:
    class Poison(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
        """Hides a NaN in a kernel that no loss shows until the next step."""

        def on_epoch_end(self, epoch: int, logs: object = None) -> None:
            if epoch == 1:
                kernel = np.array(self.model.weights[0])
                kernel.flat[0] = np.nan
                self.model.weights[0].assign(kernel)

    registry.callbacks.add(Entry(name="poison", target=Poison, summary="Hides a NaN."))
    with golden.raises(DivergedError, epoch=2, step=16) as raised:
        zoo.run("small", callbacks=["poison"], out=tmp_path / "run", registry=registry, epochs=4)
    assert "'model.000'" in str(raised.value)
    (kept,) = (tmp_path / "run" / "checkpoints").iterdir()
    assert unsealed(kept / "manifest.json")["epoch"] == 1
    record = open_run(tmp_path / "run").record
    assert (record.status, len(record.history)) == ("failed", 1)


def test_divergence_within_an_epoch_names_the_step(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(DivergedError) as raised:  # not golden: the step differs from machine to machine
        zoo.run("small", out=tmp_path / "run", registry=registry, settings={"optimizer.learning_rate": 1e30})
    assert raised.value.epoch == 1
    assert raised.value.step in range(2, STEPS)
    assert "loss" in str(raised.value)


def test_run_killed_while_it_tidied_up_is_done(whole: Run, registry: Registry, tmp_path: Path) -> None:
    shutil.copytree(whole.path, tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / ".000009.77.0123abcd.tmp").mkdir(parents=True)
    (tmp_path / "run" / "checkpoints" / ".DS_Store").touch()  # of somebody else's
    before = (tmp_path / "run" / "run.json").read_bytes()
    for _ in range(2):
        assert zoo.resume(tmp_path / "run", registry=registry).record == whole.record
    assert (tmp_path / "run" / "run.json").read_bytes() == before


@pytest.mark.slow
def test_run_killed_before_it_tidied_up_ends_the_same(whole: Run, registry: Registry, tmp_path: Path) -> None:
    train_until(4 * STEPS, tmp_path / "run")  # its last epoch is not completed
    kept = tmp_path / "kept"
    shutil.copytree(tmp_path / "run" / "checkpoints", kept)
    zoo.resume(tmp_path / "run", registry=registry)
    shutil.copytree(kept, tmp_path / "run" / "checkpoints")
    assert_same(zoo.resume(tmp_path / "run", registry=registry), whole)


def test_what_is_no_run_cannot_be_resumed(registry: Registry, tmp_path: Path, golden: Golden) -> None:
    with golden.raises(RunFolderError, path=str(tmp_path)):
        zoo.resume(tmp_path, registry=registry)


def test_folder_in_use_is_told_by_whom(registry: Registry, stopped: Path, golden: Golden) -> None:
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock_run_folder(stopped):
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:
        with golden.raises(RunFolderError, path=str(stopped / ".lock")) as raised:
            zoo.resume(stopped, registry=registry)
    finally:
        done.set()
        thread.join()
    assert str(os.getpid()) in str(raised.value)


def test_command_line_resumes(whole: Run, stopped: Path, run_zoo: Zoo, golden: Golden) -> None:
    done = run_zoo("resume", stopped)
    assert done.status == 0, done.err
    (where,) = [line for line in done.err.splitlines() if "step 8" in line and "step 8/" not in line]
    assert "epoch 3" in where
    golden.says(where)
    assert "4 epochs" in done.out
    record = open_run(stopped).record
    assert (len(record.history), record.model_sha256) == (4, whole.record.model_sha256)
    assert run_zoo("resume", stopped).out == done.out
    assert run_zoo("run", "small", "--out", stopped, "--resume", "--quiet").out == done.out


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["run", "small", "--resume"], 2),
        (["run", "small", "--resume", "--out", "RUN", "--epochs", "7"], 1),
        (["run", "small", "--resume", "--out", "RUN", "--set", "model.wide=7"], 1),
        (["run", "small", "--out", "RUN"], 1),
        (["resume", "nowhere"], 1),
    ],
    ids=["no-out", "other-epochs", "no-setting", "no-resume", "no-folder"],
)
def test_fault_is_one_line(stopped: Path, run_zoo: Zoo, golden: Golden, arguments: list[str], status: int) -> None:
    done = run_zoo(*(str(stopped) if argument == "RUN" else argument for argument in arguments), "--quiet")
    assert (done.status, done.out) == (status, "")
    golden.says(done.err.splitlines()[-1])


@pytest.mark.parametrize("command", [["resume"], ["run", "small", "--resume", "--out"]], ids=["resume", "run"])
def test_data_dir_is_looked_at_where_the_run_goes_on(
    whole: Run, stopped: Path, run_zoo: Zoo, golden: Golden, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = ["--data-dir", stopped / "gone", "--quiet"]
    done = run_zoo(*command, whole.path, *wrong)  # which is finished, and only shown
    assert (done.status, done.err) == (0, "")
    monkeypatch.setattr("zoo.cli.run.import_keras", lambda: pytest.fail("Keras was waited for"))
    done = run_zoo(*command, stopped, *wrong)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert f"data_dir={str(stopped / 'gone')!r}" in done.err
    golden.says(done.err)
    monkeypatch.setattr(FashionSlice, "needs_data_dir", True, raising=False)
    done = run_zoo(*command, stopped, "--quiet")
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert "--data-dir" in done.err
    golden.says(done.err)


def test_recipe_is_the_small_one() -> None:
    """The figures above are about it."""
    assert -(-500 // SMALL.batch_size) == STEPS
