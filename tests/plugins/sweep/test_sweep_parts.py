"""`zoo sweep` without training: what it takes for its own, keeps, refuses and says. Runs here are records alone."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import pytest
from zoo_ray import sweep_process
from zoo_ray.sweep_messages import Begin, Submit
from zoo_ray.sweep_task import is_passed_on
from zoo_sweep import main, report, trials
from zoo_sweep.display import make_display
from zoo_sweep.engine import GRACE, Ended, Event, TrialJob
from zoo_sweep.local import LocalEngine
from zoo_sweep.measure import Measure, measure_of
from zoo_sweep.optuna_search import Search
from zoo_sweep.records import RangeRecord, SearchRecord, SweepSpec
from zoo_sweep.runner import SweepRunner
from zoo_sweep.search_algorithm import Grid
from zoo_sweep.selection import best_of
from zoo_sweep.store import SweepStore

import zoo
from tests.core.test_processes import channels
from tests.support import SUPPORT
from tests.support.command_line import Outcome
from tests.support.golden import Golden
from zoo import Metrics, Registry, Run, SettingError, cli
from zoo.cli.context import Session
from zoo.errors import RunFolderError
from zoo.runs import EpochRecord, RunRecord
from zoo.runs.data_records import DataRecord
from zoo.runs.records import EnvironmentRecord, Seconds
from zoo.utils import ChildProcess
from zoo.utils.processes import living_in_session

if TYPE_CHECKING:
    from zoo_sweep.records import TrialRecord

PLUGIN = SUPPORT / "sweep_plugin.py"


@pytest.fixture(scope="module")
def registry() -> Registry:
    return zoo.load_registry({"ZOO_PLUGINS": ""}, files=[PLUGIN])


@pytest.fixture
def zoo_sweep(registry: Registry, capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Return a function that calls `zoo sweep` in this process."""

    def zoo_sweep(*arguments: str | Path) -> Outcome:
        session = Session()
        session.registry = registry
        capfd.readouterr()
        with pytest.raises(SystemExit) as exit_:
            cli.main(["sweep", *map(str, arguments)], session)
        assert isinstance(exit_.value.code, int)
        return Outcome(exit_.value.code, *capfd.readouterr())

    return zoo_sweep


def error_of(done: Outcome) -> str:
    """Return the line that tells of an error, which must be one."""
    (line,) = [line for line in done.err.splitlines() if line.startswith("Error: ")]
    return line


LOSS = Measure(name="loss", mode="min")


def planned(
    folder: Path, registry: Registry, *units: int, seeds: int = 1, measure: Measure = LOSS, **shared: Any
) -> SweepStore:
    """Return the store of a new sweep over hidden units and seeds."""
    settings = {"model.units": [str(each) for each in units]}
    asked = SweepSpec(recipes=["tiny"], settings=settings, seeds=[*range(seeds)], **shared)
    folder.mkdir(exist_ok=True)
    return SweepStore.new(folder, asked, measure, trials.grid(asked, registry)[0])


def ran(
    store: SweepStore,
    trial: TrialRecord,
    registry: Registry,
    loss: float = 1.0,
    others: dict[str, float] | None = None,
    **changes: Any,
) -> RunRecord:
    """Write the record of a run of a trial that was trained to a validation loss, and return it."""
    metrics = Metrics(loss=loss, accuracy=0.5, others=others or {})
    record = RunRecord(
        format=1,
        id="20261123-120000-0000",
        started="2026-11-23T12:00:00+00:00",
        goal="trained",
        status="trained",
        recipe=trials.resolve(store.record.spec, registry, trial.recipe, trial.settings, trial.seed).to_record(),
        data=DataRecord(
            train=160, validation=100, test=100, input_shape=(28, 28, 1), class_names=["a", "b"], digests={"file": "0"}
        ),
        parameters=1,
        plugins={},
        environment=EnvironmentRecord(
            python="", platform="", processor="", processors=1, backend="", float_type="", dtype_policy="",
            packages={}, variables={},
        ),
        history=[EpochRecord(epoch=1, train=metrics, validation=metrics, seconds=1.0)],
        best_epoch=1,
        validation=metrics,
        seconds=Seconds(train=1.0, total=1.0),
    )  # fmt: skip
    path = store.path_of(trial)
    path.mkdir(exist_ok=True)
    record = msgspec.structs.replace(record, **changes)
    zoo.runs.write_record(path / "run.json", record)
    return record


class Engine:
    """Carries nothing out: each job ends at once as it is told to."""

    slots = 1

    def __init__(self, work: Callable[[TrialJob], Ended]) -> None:
        self.work, self.jobs, self.stopped = work, list[TrialJob](), list[str]()
        self._events: list[Event] = []

    def start(self, job: TrialJob) -> None:
        self.jobs.append(job)
        self._events.append(self.work(job))

    def stop(self, folder: str) -> None:
        self.stopped.append(folder)

    def poll(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def close(self) -> None: ...


def conduct(store: SweepStore, registry: Registry, work: Callable[[TrialJob], Ended]) -> Engine:
    """Let a sweep be carried out by an engine that does nothing itself."""
    engine = Engine(work)
    SweepRunner(
        store=store,
        registry=registry,
        source=Grid(store),
        engine=engine,
        display=make_display(2, quiet=True),
        signals=zoo.utils.HeldSignals(),
        common=TrialJob(folder="", work="train", recipe="", changes={}),
    ).run()
    return engine


# What is there already.


def test_new_sweep_is_refused_where_something_else_is(
    golden: Golden, tmp_path: Path, zoo_sweep: Callable[..., Outcome]
) -> None:
    (tmp_path / "001-tiny").mkdir()
    done = zoo_sweep("tiny", "--out", tmp_path)
    assert (done.status, done.out) == (1, "")
    assert "'001-tiny'" in done.err
    golden.says(done.err)
    assert [path.name for path in tmp_path.iterdir()] == ["001-tiny"]


@pytest.mark.parametrize("is_link", [False, True], ids=["another run", "a link"])
def test_run_of_something_else_is_no_trial(golden: Golden, tmp_path: Path, registry: Registry, is_link: bool) -> None:
    store = planned(tmp_path / "sweep", registry, 8, 16)
    first, second = store.record.trials
    ran(store, second, registry)
    if is_link:
        store.path_of(first).symlink_to(store.path_of(second))
    else:
        store.path_of(second).rename(store.path_of(first))
    engine = conduct(store, registry, lambda job: Ended(folder=job.folder, how="failed", error="no matter why"))
    assert [Path(job.folder).name for job in engine.jobs] == [second.folder]
    assert store.trial(1).status == "failed"
    golden.says(str(store.trial(1).error))


def test_run_that_was_killed_in_its_last_work_is_finished_by_a_process(tmp_path: Path, registry: Registry) -> None:
    store = planned(tmp_path, registry, 8)
    ran(store, store.trial(1), registry)
    engine = conduct(store, registry, lambda job: Ended(folder=job.folder, how="done"))
    assert [job.work for job in engine.jobs] == ["train", "test"]
    assert store.trial(1).status == "trained"


# Processes.


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[ChildProcess]:
    """The processes that the engine of this machine starts, one after another."""
    started: list[ChildProcess] = []

    class Noted(ChildProcess):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self)

    monkeypatch.setattr("zoo_sweep.local.ChildProcess", Noted)
    return started


def started(folder: Path, retries: int) -> LocalEngine:
    """Return an engine that has just started a process."""
    engine = LocalEngine(1, retries)
    engine.start(TrialJob(folder=str(folder), work="train", recipe="tiny", changes={}, plugin_files=[str(PLUGIN)]))
    return engine


def killed(pid: int) -> None:
    """Kill a process and leave it to its parent."""
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def test_trial_that_cannot_be_started_again_has_failed(
    golden: Golden, tmp_path: Path, processes: list[ChildProcess]
) -> None:
    engine = started(tmp_path, retries=2)
    killed(processes[0].pid)
    (tmp_path / "trial.log").unlink()
    (tmp_path / "trial.log").symlink_to("/dev/null")
    (event,) = engine.poll()
    engine.close()
    assert isinstance(event, Ended)
    assert event.how == "failed"
    assert "SIGKILL" in str(event.error)
    golden.says(str(event.error).replace(os.strerror(errno.ELOOP), "<fault of the system>"))


def test_process_that_ends_while_it_is_stopped_is_one_that_was_stopped(
    tmp_path: Path, processes: list[ChildProcess]
) -> None:
    engine = started(tmp_path, retries=0)
    killed(processes[0].pid)
    engine.stop(str(tmp_path))
    assert engine.poll() == [Ended(folder=str(tmp_path), how="stopped")]
    engine.close()


def test_engine_that_is_closed_twice_at_a_time_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: list[ChildProcess]
) -> None:
    """A second Ctrl-C while the first is obeyed."""
    engine = started(tmp_path / "one", retries=0)
    engine.start(TrialJob(folder=str(tmp_path / "two"), work="train", recipe="tiny", changes={}))
    first, second = processes

    def interrupted() -> None:
        killed(first.pid)
        first.end()
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "poll", interrupted)
    with pytest.raises(KeyboardInterrupt):
        engine.close()
    assert second.has_ended
    assert living_in_session(first.pid) == living_in_session(second.pid) == []


SWALLOWS = """
import time
try:
    open({ready!r}, "w").close()
    time.sleep(60)
except BaseException:
    pass

from zoo import hookimpl

@hookimpl
def register_models():
    return []
"""


def test_signal_that_a_plugin_swallows_stops_a_trial(tmp_path: Path) -> None:
    ready, plugin = tmp_path / "ready", tmp_path / "swallows.py"
    plugin.write_text(SWALLOWS.format(ready=str(ready)))
    folder = tmp_path / "run"
    engine = LocalEngine(1, 0)
    engine.start(TrialJob(folder=str(folder), work="train", recipe="tiny", changes={}, plugin_files=[str(plugin)]))
    deadline = time.monotonic() + 300
    while not ready.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    engine.stop(str(folder))
    while not (events := engine.poll()):
        time.sleep(0.05)
    assert events == [Ended(folder=str(folder), how="stopped")]
    assert not (folder / "run.json").exists()


HEEDS_NOTHING = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open({ready!r}, "w").close()
time.sleep(600)
"""


def test_trial_that_does_not_heed_the_end_of_its_sweep_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready, plugin = tmp_path / "ready", tmp_path / "heeds_nothing.py"
    plugin.write_text(HEEDS_NOTHING.format(ready=str(ready)))
    (tmp_path / "impatient.py").write_text(
        "import sys\nfrom zoo_sweep import worker\nworker.GRACE = 0.1\nsys.exit(worker.main())\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    process = ChildProcess("impatient")
    job = TrialJob(folder=str(tmp_path), work="train", recipe="tiny", changes={}, plugin_files=[str(plugin)])
    process.send(msgspec.json.encode(job))
    deadline = time.monotonic() + 300
    while not ready.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not process.has_ended
    has_ended = process.finish(60)  # as when the sweep is killed
    assert (process.end(), has_ended) == (1, True)
    assert " train: process " in process.last_words  # and no error after that


@pytest.mark.slow
def test_trial_whose_recipe_is_unknown_fails_and_says_so(tmp_path: Path) -> None:
    engine = LocalEngine(1, 0)
    engine.start(TrialJob(folder=str(tmp_path), work="train", recipe="no-such", changes={"pad": "x" * 300_000}))
    deadline = time.monotonic() + 300
    while not (events := engine.poll()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    engine.close()
    (event,) = events
    assert isinstance(event, Ended)
    assert event.how == "failed"
    assert event.error is not None


class NeverReady:
    """Ray, whose tasks do not end, and a clock by which each wait for them takes a second."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.canceled: list[tuple[float, str, bool]] = []

    def remote(self, **_: Any) -> Callable[[object], Any]:
        task = SimpleNamespace(remote=lambda *_: "reference")
        return lambda _: SimpleNamespace(options=lambda **_: task)

    def wait(self, references: list[str], **_: Any) -> tuple[list[str], list[str]]:
        self.seconds += 1.0
        assert self.seconds < GRACE + 30  # or they would be waited for forever
        return [], references

    def cancel(self, reference: str, force: bool = False) -> None:
        self.canceled.append((self.seconds, reference, force))


def test_bridge_whose_tasks_do_not_end_leaves_none_the_less(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = channels()
    job = TrialJob(folder="folder", work="train", recipe="", changes={})
    ours.send(msgspec.json.encode(Submit(job=job, variables={})))
    ours.close()
    ray = NeverReady()
    monkeypatch.setattr(sweep_process, "time", SimpleNamespace(monotonic=lambda: ray.seconds))
    sweep_process.SweepProcess(ray=ray, begin=Begin(address="", cpus=1, gpus=0, retries=0), channel=theirs).serve()
    theirs.close()
    (asked, *how), (forced, *how_then) = ray.canceled
    assert (how, how_then) == (["reference", False], ["reference", True])
    assert asked == 0.0
    assert GRACE < forced <= GRACE + 2
    assert ray.seconds > forced


@pytest.mark.parametrize(
    ("name", "is_passed"),
    [("MLFLOW_TRACKING_URI", True), ("MLFLOW_TRACKING_PASSWORD", False), ("TF_XLA_FLAGS", True), ("HOME", False)],
)
def test_variables_that_trials_on_a_cluster_have(name: str, is_passed: bool) -> None:
    assert is_passed_on(name) is is_passed


# A search.


def test_median_stops_a_trial_that_is_worse_than_five_before(tmp_path: Path, registry: Registry) -> None:
    search = SearchRecord(
        trials=7,
        ranges={"model.units": RangeRecord(low=4.0, high=64.0, is_log=False, is_integer=True)},
        choices={},
        prune="median",
    )
    store = SweepStore.new(tmp_path, SweepSpec(recipes=["tiny"], search=search), LOSS, [])
    source = Search(store, registry)

    def had_an_epoch(value: float) -> TrialRecord:
        trial = source.next()
        assert trial is not None
        return store.note(trial, value)

    for loss in (1.0, 1.1, 1.2, 1.3, 1.4):
        trial = had_an_epoch(loss)
        assert not source.should_prune(trial)
        source.ended(store.update(trial, status="trained", validation=Metrics(loss=loss, accuracy=0.5)))
    trial = had_an_epoch(1.3)
    assert source.should_prune(trial)
    source.ended(store.update(trial, status="pruned"))
    assert not source.should_prune(had_an_epoch(1.1))


@pytest.mark.parametrize(("mode", "name"), [("max", "macro-f1"), ("min", "ece")])
def test_search_goes_in_the_direction_of_its_metric(
    tmp_path: Path, registry: Registry, mode: Literal["max", "min"], name: str
) -> None:
    search = SearchRecord(trials=6, ranges={}, choices={"optimizer": ["adam", "sgd"]}, prune="median")
    spec = SweepSpec(recipes=["tiny"], monitor=name, search=search)
    store = SweepStore.new(tmp_path, spec, Measure(name=name, mode=mode), [])
    source = Search(store, registry)
    assert store.record.is_minimized is (mode == "min")
    for value in (0.5, 0.6, 0.4, 0.5, 0.6):
        trial = source.next()
        assert trial is not None
        assert trial.changed in ({"optimizer": "keras/adam"}, {"optimizer": "keras/sgd"})
        trial = store.note(trial, value)
        assert not source.should_prune(trial)
        validation = Metrics(loss=1.0, accuracy=0.5, others={name: value})
        source.ended(store.update(trial, status="trained", validation=validation))
    best = best_of(store.record)
    assert best == (2 if mode == "max" else 3)
    again = Search(SweepStore.open(tmp_path), registry)  # and it knows what it knew
    trial = again.next()
    assert trial is not None
    assert again.should_prune(store.note(trial, 0.45 if mode == "max" else 0.55))


# Going on.


def test_other_data_than_before_are_refused(
    golden: Golden, tmp_path: Path, registry: Registry, zoo_sweep: Callable[..., Outcome]
) -> None:
    store = planned(tmp_path, registry, 8, 16)
    ran(store, store.trial(1), registry)
    before = (tmp_path / "sweep.json").read_bytes()
    done = zoo_sweep("--resume", tmp_path)
    assert (done.status, done.out) == (1, "")
    assert "--data-dir" in error_of(done)
    golden.says(error_of(done))
    assert (tmp_path / "sweep.json").read_bytes() == before


def test_command_to_go_on_with_has_what_is_not_remembered(registry: Registry) -> None:
    options: dict[str, Any] = {
        "data_dir": Path("data"), "jobs": 3, "address": "auto", "trial_cpus": 2.0, "trial_gpus": 0.5, "retries": 0
    }  # fmt: skip
    words = main.resume_command(Path("folder"), registry, options)
    assert words.endswith(
        " sweep --resume folder --data-dir data --jobs 3 --address auto --trial-cpus 2 --trial-gpus 0.5 --retries 0"
    )
    plain = options | {"data_dir": None, "jobs": None, "address": None, "trial_cpus": 1, "trial_gpus": 0, "retries": 2}
    assert main.resume_command(Path("folder"), registry, plain).endswith(" sweep --resume folder")


# Choosing.


@pytest.mark.parametrize(("mode", "best"), [("max", 2), ("min", 3)])
def test_best_is_the_largest_or_smallest_of_any_metric(
    golden: Golden, tmp_path: Path, registry: Registry, mode: Literal["max", "min"], best: int
) -> None:
    name = {"max": "macro-f1", "min": "ece"}[mode]
    store = planned(tmp_path, registry, 8, 16, 24, measure=Measure(name=name, mode=mode), metrics=["macro-f1", "ece"])
    values = {1: 0.5, 2: 0.6, 3: 0.4}

    def work(job: TrialJob) -> Ended:
        assert job.changes["metrics"] == ["macro-f1", "ece"]
        trial = next(trial for trial in store.record.trials if trial.folder == Path(job.folder).name)
        others = dict.fromkeys(("macro-f1", "ece"), values[trial.number])
        tested: dict[str, Any] = {"test": Metrics(loss=3.0, accuracy=0.5, others=others)} if job.work == "test" else {}
        ran(store, trial, registry, others=others, **tested)
        return Ended(folder=job.folder, how="done")

    conduct(store, registry, work)
    assert store.record.best == best
    assert [trial.values for trial in store.record.trials] == [[0.5], [0.6], [0.4]]
    told = report.describe(SweepStore.open(tmp_path))
    assert (told["choose_by"], told["mode"]) == (name, mode)
    first = told["configurations"][0]
    assert first["validation"][name]["mean"] == first["test"][name]["mean"] == values[best]
    assert told["trials"][0]["validation"] == {"loss": 1.0, "accuracy": 0.5, "macro-f1": 0.5, "ece": 0.5}
    golden.says(report.table(store))


def test_trials_choose_by_any_metric_that_they_have(golden: Golden, registry: Registry) -> None:
    def prepared(**changes: Any) -> zoo.RunConfig:
        return zoo.prepare("tiny", registry=registry, **changes)

    plain, by_f1, by_ece = prepared(), prepared(monitor="macro-f1"), prepared(monitor="ece", metrics=["macro-f1"])
    assert measure_of([plain], None) == LOSS
    assert measure_of([by_f1], None) == Measure(name="macro-f1", mode="max")
    assert measure_of([by_ece], None) == Measure(name="ece", mode="min")
    assert measure_of([by_f1, by_ece], "macro-f1") == measure_of([by_f1, by_ece], "metrics/macro-f1")
    assert measure_of([plain, by_f1], "accuracy") == Measure(name="accuracy", mode="max")
    with golden.raises(SettingError, name="choose_by", value="macro-f1"):
        measure_of([by_f1, plain], "macro-f1")
    with golden.raises(SettingError, name="choose_by", value="makro-f1"):
        measure_of([by_f1], "makro-f1")
    with golden.raises(SettingError):
        measure_of([by_f1, by_ece], None)
    top = [prepared(monitor="top-5", settings={"metric.top-5.k": k}) for k in (2, 3)]
    with golden.raises(SettingError, name="choose_by"):
        measure_of(top, None)
    assert measure_of(top, "loss") == LOSS


def test_sweep_of_an_older_release_goes_on(tmp_path: Path, registry: Registry) -> None:
    for name, is_minimized in (("loss", True), ("accuracy", False)):
        content = msgspec.to_builtins(planned(tmp_path / name, registry, 8).record)
        del content["mode"]
        (tmp_path / name / "sweep.json").write_bytes(seal(content | {"choose_by": name}))
        assert SweepStore.open(tmp_path / name).record.is_minimized is is_minimized


# What varies.


def plan(registry: Registry, *arguments: str) -> tuple[SweepSpec, Measure, list[TrialRecord]]:
    """Return what a call of `zoo sweep` is going to train."""
    found: list[dict[str, Any]] = []

    def note(_: Registry, **options: Any) -> None:
        found.append(options)
        raise KeyboardInterrupt

    session = Session()
    session.registry = registry
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(main, "carry_out", note)
        with pytest.raises(SystemExit):
            cli.main(["sweep", "tiny", *arguments], session)
    return main.plan(registry, found[0])


def test_components_vary_like_settings(registry: Registry) -> None:
    spec, measure, several = plan(
        registry, "--optimizer", "sgd,lion", "--set", "augmentations=none,[shift,flip]", "--loss", "focal",
        "--schedule", "cosine", "--metric", "top-5", "--callback", "fails-on-demand,early-stopping",
        "--monitor", "balanced-accuracy",
    )  # fmt: skip
    assert measure == Measure(name="balanced-accuracy", mode="max")
    assert (spec.optimizer, spec.loss, spec.metrics) == (None, "focal", ["top-5"])
    assert [trial.label for trial in several] == [
        "augmentations=none optimizer=sgd",
        "augmentations=none optimizer=lion",
        "augmentations=shift,flip optimizer=sgd",
        "augmentations=shift,flip optimizer=lion",
    ]
    assert several[3].folder == "004-augmentations=shift-flip-optimizer=lion"
    assert several[0].changed == {"augmentations": "none", "optimizer": "keras/sgd"}
    assert several[3].changed == {"augmentations": "keras/shift,keras/flip", "optimizer": "keras/lion"}
    recipe = trials.resolve(spec, registry, "tiny", several[3].settings, 0).to_record()
    assert recipe.choices() | {"model": ""} == {
        "dataset": "sweep-plugin/sweep-slice",
        "model": "",
        "trainer": "keras/fit",
        "optimizer": "keras/lion",
        "schedule": "keras/cosine",
        "loss": "keras/focal",
        "augmentations": "keras/shift,keras/flip",
        "metrics": "metrics/top-5,metrics/balanced-accuracy",
        "callbacks": "sweep-plugin/fails-on-demand,keras/early-stopping",
    }


def test_settings_of_every_kind_vary(registry: Registry) -> None:
    _, _, several = plan(
        registry, "--augment", "shift", "--set", "augmentation.shift.pixels=1,2", "--set",
        "optimizer.learning_rate=1e-3,3e-3", "--set", "loss.label_smoothing=0,0.1",
    )  # fmt: skip
    assert len(several) == 8
    assert several[-1].changed == {
        "augmentation.shift.pixels": 2, "optimizer.learning_rate": 3e-3, "loss.label_smoothing": 0.1
    }  # fmt: skip
    search = ("--search", "optuna", "--trials", "3", "--choose", "optimizer=sgd,adam", "--monitor", "nll")
    spec, measure, _ = plan(registry, *search, "--range", "optimizer.learning_rate=1e-4..1e-2:log")
    assert measure == Measure(name="nll", mode="min")
    assert spec.search is not None
    assert spec.search.ranges["optimizer.learning_rate"] == RangeRecord(
        low=1e-4, high=1e-2, is_log=True, is_integer=False
    )


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--optimizer", "sgd,sgd"], 2),
        (["--optimizer", "sgd,"], 2),
        (["--optimizer", "sgd,adam", "--set", "optimizer=lion"], 2),
        (["--optimizer", "sgd", "--set", "optimizer=lion,adam"], 1),
        (["--optimizer", "sgd,keras/sgd"], 1),
        (["--optimizer", "sdg,adam"], 1),
        (["--search", "optuna", "--trials", "2", "--choose", "model.units=8,16", "--loss", "focal,cross-entropy"], 2),
        (["--choose-by", "macro-f1"], 1),
        (["--set", "monitor=macro-f1,loss"], 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_choice_is_one_clear_line(
    golden: Golden, tmp_path: Path, zoo_sweep: Callable[..., Outcome], arguments: list[str], status: int
) -> None:
    done = zoo_sweep("tiny", *arguments, "--out", tmp_path)
    assert (done.status, done.out) == (status, "")
    golden.says(error_of(done))
    assert list(tmp_path.iterdir()) == []


def test_figures_of_the_best_before_are_dropped_and_that_they_were_read_is_told(
    golden: Golden, tmp_path: Path, registry: Registry
) -> None:
    store = planned(tmp_path, registry, 8, 16)
    losses = {1: 2.0, 2: 1.0}

    def work(job: TrialJob) -> Ended:
        trial = next(trial for trial in store.record.trials if trial.folder == Path(job.folder).name)
        if trial.number == 2 and 1 not in tested:
            return Ended(folder=job.folder, how="failed", error="this time")
        figures: dict[str, Any] = {"test": Metrics(loss=3.0, accuracy=0.5)} if job.work == "test" else {}
        ran(store, trial, registry, losses[trial.number], **figures)
        if job.work == "test":
            tested.append(trial.number)
        return Ended(folder=job.folder, how="done")

    tested: list[int] = []
    conduct(store, registry, work)
    assert (tested, store.record.best) == ([1], 1)
    store.reset_unfinished()
    conduct(store, registry, work)
    assert (tested, store.record.best) == ([1, 2], 2)
    assert [trial.test is not None for trial in SweepStore.open(tmp_path).record.trials] == [False, True]
    shown = report.describe(store)["configurations"]
    assert {each["label"]: each["tested_before"] for each in shown} == {"units=8": True, "units=16": False}
    golden.says(report.table(store))


def test_there_is_no_test_figure_of_a_part_of_the_seeds(tmp_path: Path, registry: Registry) -> None:
    store = planned(tmp_path, registry, 8, seeds=2)

    def work(job: TrialJob) -> Ended:
        trial = next(trial for trial in store.record.trials if trial.folder == Path(job.folder).name)
        if job.work == "test" and trial.seed == 1:
            return Ended(folder=job.folder, how="failed", error="this one")
        ran(store, trial, registry, test=Metrics(loss=3.0, accuracy=0.5))
        return Ended(folder=job.folder, how="done")

    conduct(store, registry, work)
    (shown,) = report.describe(store)["configurations"]
    assert (shown["is_best"], shown["test"]) == (True, {"loss": None, "accuracy": None})


@pytest.mark.parametrize(
    "arguments",
    [
        ["--seeds", "100", "--epochs", "4000"],
        ["--search", "optuna", "--trials", "200", "--range", "epochs=1..2000"],
        ["--search", "optuna", "--trials", "200", "--choose", "epochs=2000,1"],
    ],
    ids=["grid", "range", "choice"],
)
def test_more_than_can_be_recorded_is_refused(
    golden: Golden, tmp_path: Path, zoo_sweep: Callable[..., Outcome], arguments: list[str]
) -> None:
    done = zoo_sweep("tiny", *arguments, "--out", tmp_path)
    assert done.status == 1
    golden.says(error_of(done))
    assert list(tmp_path.iterdir()) == []


def test_search_whose_trials_choose_by_different_metrics_is_refused(
    golden: Golden, tmp_path: Path, zoo_sweep: Callable[..., Outcome]
) -> None:
    search = ("--search", "optuna", "--trials", "4", "--choose", "monitor=accuracy,loss")
    done = zoo_sweep("tiny", *search, "--out", tmp_path)
    assert done.status == 1
    golden.says(error_of(done))
    assert list(tmp_path.iterdir()) == []


# A record that was changed, and sealed anew.

FAULTS: dict[str, Callable[[Any], Any]] = {
    "number": lambda r: r["trials"][1].update(number=3),
    "folder of another": lambda r: r["trials"][1].update(folder=r["trials"][0]["folder"]),
    "best": lambda r: r.update(best=7),
    "tested before": lambda r: r.update(tested_before=[7]),
    "two recipes": lambda r: r["spec"]["recipes"].append("other"),
    "too many trials": lambda r: r["spec"]["search"].update(trials=1),
    "empty range": lambda r: r["spec"]["search"]["ranges"]["model.units"].update(low=99.0),
    "range of halves": lambda r: r["spec"]["search"]["ranges"]["model.units"].update(low=1.5),
    "value of another type": lambda r: r["trials"][1]["settings"].update({"model.units": "many"}),
    "no value": lambda r: r["trials"][1].update(settings={}),
    "no mode": lambda r: r.update(choose_by="macro-f1", mode=None),
    "no such metric": lambda r: (
        r.update(choose_by="macro-f1", mode="max"),
        r["trials"][1].update(validation={"loss": 1.0, "accuracy": 0.5}),
    ),
    "best epoch beyond the last": lambda r: r["trials"][0].update(best_epoch=10**6),
    "negative loss": lambda r: r["trials"][0].update(test={"loss": -1.0, "accuracy": 0.5}),
}
OF_TYPES: dict[str, Callable[[Any], Any]] = {
    "folder elsewhere": lambda r: r["trials"][1].update(folder="../001-a"),
    "large seed": lambda r: r["trials"][1].update(seed=2**32),
    "no seeds": lambda r: r["spec"].update(seeds=[]),
    "no values": lambda r: r["spec"]["settings"].update({"model.units": []}),
    "no choices": lambda r: r["spec"]["search"]["choices"].update(a=[]),
    "accuracy above 1": lambda r: r["trials"][0].update(validation={"loss": 1.0, "accuracy": 1.5}),
    "vast value": lambda r: r["trials"][0].update(values=[1e300]),
    "negative seconds": lambda r: r["trials"][0].update(seconds=-1.0),
    "10**18 epochs": lambda r: r["trials"][0].update(epochs=10**18),
    "recipe called with 1 MB": lambda r: r["trials"][0].update(recipe="x" * (1 << 20)),
    "error of 1 MB": lambda r: r["trials"][0].update(error="x" * (1 << 20)),
}
"""Those that msgspec finds, in words that are its own."""


@pytest.mark.parametrize("name", [*FAULTS, *OF_TYPES])
def test_broken_record_is_one_clear_line(
    golden: Golden, tmp_path: Path, registry: Registry, zoo_sweep: Callable[..., Outcome], name: str
) -> None:
    change = (FAULTS | OF_TYPES)[name]
    search = SearchRecord(
        trials=2,
        ranges={"model.units": RangeRecord(low=8.0, high=16.0, is_log=False, is_integer=True)},
        choices={},
        prune="median",
    )
    record = planned(tmp_path, registry, 8, 16).record
    content = msgspec.to_builtins(record)
    content["spec"].update(search=msgspec.to_builtins(search), settings={})
    (tmp_path / "sweep.json").write_bytes(seal(content))
    assert len(SweepStore.open(tmp_path).record.trials) == 2
    change(content)
    (tmp_path / "sweep.json").write_bytes(seal(content))
    done = zoo_sweep("--resume", tmp_path)
    assert (done.status, done.out) == (1, "")
    (line,) = done.err.splitlines()
    assert str(tmp_path / "sweep.json") in line
    if name in FAULTS:
        golden.says(line)


def seal(content: Any) -> bytes:
    """Return a record as a file, sealed as zoo seals it."""
    body = msgspec.json.format(msgspec.json.encode(content), indent=2).removesuffix(b"\n}")
    return body + f',\n  "sha256": "{hashlib.sha256(body).hexdigest()}"\n}}\n'.encode()


def test_every_trial_starts_from_the_same_weights(registry: Registry, small_run: Run, golden: Golden) -> None:
    source = str(small_run.path)
    spec, _, several = plan(registry, "--init", source, "--init-partial", "--seeds", "2")
    assert (spec.init, spec.init_partial, len(several)) == (source, True, 2)
    config = trials.resolve(spec, registry, "tiny", several[0].settings, 1)
    assert config.init is not None
    assert (config.init.source, config.init.is_partial) == (source, True)
    assert trials.changes_of(spec) == {"init": source, "init_partial": True}
    with golden.raises(RunFolderError):
        plan(registry, "--init", "no-such-file.h5")
