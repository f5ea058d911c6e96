"""`zoo sweep`: real trials in processes of their own, some of which fail or are killed; choosing; going on."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pty
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import zoo_fashion
from zoo_ray.processes import LOOPBACK
from zoo_sweep.optuna_search import Search
from zoo_sweep.store import SweepStore

import zoo
from tests.support import SUPPORT
from tests.support.command_line import Outcome, Zoo
from tests.support.golden import Golden
from tests.support.ray_nodes import Nodes, two_nodes
from tests.support.sweep_plugin import GATES, READS
from zoo import Registry
from zoo.data import digest_of_split, fold_indices, labels_of, without_validation
from zoo.errors import ArtifactError
from zoo.runs import read_out_of_fold

PLUGIN = SUPPORT / "sweep_plugin.py"
LONGEST = 600.0  # seconds that nothing here may take, on a machine that is busy with other things


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-P", "-m", "zoo", "--plugin", str(PLUGIN), "sweep", *map(str, arguments)]


def sweep(*arguments: str | Path, **environ: str) -> Outcome:
    """Call the command line in a process of its own."""
    done = subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST,
        env={**os.environ, "ZOO_PLUGINS": "", **environ},
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def error_of(done: Outcome) -> str:
    """Return the line that tells of an error, which must be one."""
    (line,) = [line for line in done.err.splitlines() if line.startswith("Error: ")]
    return line


def without_figures(text: str) -> str:
    """Return a text without what differs from machine to machine, and without lines of code."""
    return re.sub(r"\d\.\d{4,}", "<figure>", re.sub(r"(?<=\bline )\d+|(?<=\.py:)\d+", "<line>", text))


def records(folder: Path) -> dict[str, Any]:
    return {path.parent.name: json.loads(path.read_bytes()) for path in folder.glob("*/run.json")}


def bits(record: dict[str, Any]) -> tuple[Any, ...]:
    """Return what a run comes to, without what differs from process to process."""
    history = [(epoch["train"], epoch["validation"]) for epoch in record["history"]]
    return record["model_sha256"], record["best_epoch"], history


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of the processes that work for a sweep."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(folder) in line and (("zoo_sweep." in line or "zoo_ray.sweep" in line) or " sweep " in line):
                found.append(line)
    return found


def wait_for(condition: Any, what: str) -> None:
    deadline = time.monotonic() + LONGEST
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


def has_an_epoch(folder: Path, count: int = 2, epochs: int = 1) -> bool:
    return sum(len(record["history"]) >= epochs for record in records(folder).values()) >= count


@pytest.fixture(scope="module")
def registry() -> Registry:
    return zoo.load_registry({"ZOO_PLUGINS": ""}, files=[PLUGIN])


@pytest.fixture
def call(run_zoo: Zoo) -> Zoo:
    """Return a function that calls `zoo sweep` in this process, with the registry above."""
    return partial(run_zoo, "sweep")


# Six trials: one of them is killed and one always fails, both in their second epoch.

GRID = (
    "tiny", "--set", "model.units=8,16,32", "--seeds", "2", "--jobs", "2",
    "--set", "dataset.dies=16", "--set", "dataset.fails=32",
)  # fmt: skip


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """A sweep of six trials and what was printed of it; its folder is not to be changed."""
    folder = tmp_path_factory.mktemp("sweeps") / "grid"
    done = sweep(*GRID, "--out", folder, "--json", **{READS: str(folder.with_name("reads"))})
    assert done.status == 1, done.err  # since one has failed
    return folder, done


@pytest.mark.slow
def test_sweep_trains_every_combination_in_a_folder_of_its_own(swept: tuple[Path, Outcome]) -> None:
    folder, done = swept
    expected = [f"{2 * i + s + 1:03d}-units={u}-seed={s}" for i, u in enumerate((8, 16, 32)) for s in (0, 1)]
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == expected
    found = records(folder)
    assert [(r["recipe"]["model"]["settings"]["units"], r["recipe"]["seed"]) for _, r in sorted(found.items())] == [
        (units, seed) for units in (8, 16, 32) for seed in (0, 1)
    ]
    shown = json.loads(done.out)
    assert [trial["status"] for trial in shown["trials"]] == ["trained"] * 5 + ["failed"]
    for each in shown["configurations"]:
        units = found[expected[each["trials"][0] - 1]]["recipe"]["model"]["settings"]["units"]
        assert each["settings"] == {"model.units": units, "dataset.dies": 16, "dataset.fails": 32}
    for trial in shown["trials"][:5]:
        record = found[Path(trial["run"]).name]
        assert (trial["validation"], trial["best_epoch"]) == (record["validation"], record["best_epoch"])


@pytest.mark.slow
def test_best_configuration_is_chosen_by_validation_among_those_that_are_whole(swept: tuple[Path, Outcome]) -> None:
    shown = json.loads(swept[1].out)
    assert shown["choose_by"] == "loss"
    trials = {trial["number"]: trial for trial in shown["trials"]}
    whole = [each for each in shown["configurations"] if each["trained"] == 2]
    assert [each["label"] for each in shown["configurations"]][2:] == ["units=32"]
    assert len(whole) == 2
    for each in whole:
        for name in ("loss", "accuracy"):
            values = [trials[number]["validation"][name] for number in each["trials"]]
            assert each["validation"][name] == {
                "mean": pytest.approx(statistics.fmean(values)),
                "deviation": pytest.approx(statistics.stdev(values)),
            }
    means = [each["validation"]["loss"]["mean"] for each in whole]
    assert means == sorted(means)
    assert [each["is_best"] for each in shown["configurations"]] == [True, False, False]
    tests = [trials[number]["test"]["accuracy"] for number in whole[0]["trials"]]
    assert whole[0]["test"]["accuracy"]["mean"] == pytest.approx(statistics.fmean(tests))
    assert [each["test"]["loss"] for each in shown["configurations"][1:]] == [None] * 2


@pytest.mark.slow
def test_test_images_are_read_for_the_best_configuration_alone(swept: tuple[Path, Outcome]) -> None:
    folder, done = swept
    readers = set(folder.with_name("reads").read_text().split())
    best = next(each for each in json.loads(done.out)["configurations"] if each["is_best"])
    logs = {path.parent.name: path.read_text() for path in folder.glob("*/trial.log")}
    assert len(logs) == 6
    testers = {name: re.findall(r" test: \D*(\d+)", text) for name, text in logs.items()}
    tested = {f"{number:03d}" for number in best["trials"]}
    assert {name[:3] for name, found in testers.items() if found} == tested
    assert readers == {number for found in testers.values() for number in found}
    assert {name[:3] for name, record in records(folder).items() if record["test"]} == tested


@pytest.mark.slow
def test_trial_that_was_killed_goes_on_to_the_same_bits(
    swept: tuple[Path, Outcome], registry: Registry, golden: Golden, tmp_path: Path
) -> None:
    folder, done = swept
    (line,) = [line for line in done.err.splitlines() if line.startswith("trial 4/6 ") and "SIGKILL" in line]
    golden.says(line)
    killed = folder / "004-units=16-seed=1"
    assert (killed / "death-0").exists()
    assert len(records(folder)[killed.name]["resumed"]) == 1
    settings = {"model.units": 16}
    alone = zoo.train("tiny", registry=registry, seed=1, settings=settings, out=tmp_path / "alone")
    assert bits(records(folder)[killed.name]) == bits(records(tmp_path)[alone.path.name])


@pytest.mark.slow
def test_trial_that_fails_is_reported_and_stops_no_other(swept: tuple[Path, Outcome], golden: Golden) -> None:
    _, done = swept
    (failed,) = [trial for trial in json.loads(done.out)["trials"] if trial["error"]]
    assert failed["number"] == 6
    assert "these units bring bad luck" in failed["error"]
    (line,) = [line for line in done.err.splitlines() if line.startswith("trial 6/6 ") and "bad luck" in line]
    assert "sweep_plugin.py" in line
    golden.says(without_figures(line))
    assert "Traceback" not in done.err


@pytest.mark.slow
def test_resume_repeats_nothing_that_is_finished(swept: tuple[Path, Outcome], golden: Golden, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(swept[0], folder)
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*/run.json")}
    again = sweep("--resume", folder)
    assert again.status == 1
    changed = {path.parent.name for path, time_ns in before.items() if path.stat().st_mtime_ns != time_ns}
    assert changed == {"006-units=32-seed=1"}  # what has failed is tried again
    assert set(re.findall(r"^trial (\d)/6 ", again.err, re.M)) == {"6"}
    head, best, _, failed = again.out.splitlines()[:4]
    assert re.match(r"units=\d+ +2 \w+ 2  \d\.\d{4} ± \d\.\d{4}  \d\.\d{4} ± \d\.\d{4} ", best)
    assert re.match(r"units=32 +1 \w+ 2 ", failed)
    (test,) = [line for line in again.out.splitlines() if line.startswith("test ")]
    assert re.match(r"test +loss \d\.\d+ ± \d\.\d+  accuracy \d\.\d+ ± \d\.\d+$", test)
    (fault,) = [line for line in again.out.splitlines() if "bad luck" in line]
    best = re.sub(r"units=\d+ +", "units=<best>  ", best)
    golden.says(without_figures("\n".join([head, best, failed, test, fault])))


@pytest.mark.slow
def test_second_sweep_in_the_folder_is_refused(swept: tuple[Path, Outcome], golden: Golden, call: Zoo) -> None:
    folder, _ = swept
    with zoo.runs.lock_run_folder(folder):
        busy = call("--resume", folder)
    assert (busy.status, busy.out) == (1, "")
    assert re.search(rf"\b{os.getpid()}\b", busy.err)
    golden.says(busy.err.replace(str(folder), "<sweep>"))
    other = call(*GRID, "--out", folder)
    assert (other.status, other.out) == (1, "")
    assert f"zoo sweep --resume {folder}" in other.err
    golden.says(other.err.replace(str(folder), "<sweep>"))


@pytest.mark.slow
def test_what_a_sweep_was_started_with_is_not_given_again(
    swept: tuple[Path, Outcome], golden: Golden, call: Zoo
) -> None:
    done = call("--resume", swept[0], "tiny", "--set", "model.units=8", "--epochs", "2")
    assert (done.status, done.out) == (2, "")
    assert all(name in error_of(done) for name in ("RECIPE", "--set", "--epochs"))
    golden.says(error_of(done))


@pytest.mark.slow
def test_record_that_was_changed_is_refused(
    swept: tuple[Path, Outcome], golden: Golden, tmp_path: Path, call: Zoo
) -> None:
    data = bytearray((swept[0] / "sweep.json").read_bytes())
    data[data.index(b"accuracy") + 12] ^= 1
    (tmp_path / "sweep.json").write_bytes(data)
    done = call("--resume", tmp_path)
    assert (done.status, done.out) == (1, "")
    assert str(tmp_path / "sweep.json") in done.err
    golden.says(done.err)


@pytest.mark.slow
def test_stopped_sweep_leaves_no_process_and_goes_on_to_the_same_bits(
    swept: tuple[Path, Outcome], golden: Golden, tmp_path: Path
) -> None:
    folder = tmp_path / "stopped"
    first = command(
        "tiny", "--set", "model.units=8,16", "--seeds", "1,", "--set", "dataset.hold=2", "--jobs", "2", "--out", folder
    )
    held = {GATES: str(tmp_path / "none")}
    with start(first, held) as process:
        wait_for(lambda: has_an_epoch(folder), "an epoch")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=LONGEST)
    assert process.returncode == 130
    assert processes_of(folder) == []
    (line,) = [line for line in said.splitlines() if f" sweep --resume {folder} --jobs 2" in line]
    golden.says(line)
    assert [record["status"] for record in records(folder).values()] == ["interrupted"] * 2
    trials = json.loads((folder / "sweep.json").read_bytes())["trials"]
    assert [trial["status"] for trial in trials] == ["waiting"] * 2

    with start(command("--resume", folder, "--jobs", "2"), held) as process:
        wait_for(lambda: all(record["resumed"] for record in records(folder).values()), "trials that go on")
        process.kill()
    wait_for(lambda: not processes_of(folder), "the end of processes whose sweep was killed")
    for log in folder.glob("*/trial.log"):
        assert "Traceback" not in log.read_text()
        golden.says(re.sub(r"^[\d:]+ ", "", log.read_text().splitlines()[-1]))

    assert sweep("--resume", folder, "--quiet", "--jobs", "2").status == 0
    found, expected = records(folder), records(swept[0])
    assert bits(found["001-units=8"]) == bits(expected["002-units=8-seed=1"])
    assert bits(found["002-units=16"]) == bits(expected["004-units=16-seed=1"])


def start(
    arguments: list[str], environ: Mapping[str, str], cwd: Path | None = None, stdout: int = subprocess.DEVNULL
) -> subprocess.Popen[str]:
    def listen() -> None:  # also where the tests were started by something that ignores the signal
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return subprocess.Popen(
        arguments,
        cwd=cwd,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "ZOO_PLUGINS": "", **environ},
        preexec_fn=listen,
    )


@pytest.mark.slow
def test_trial_that_is_killed_too_often_is_lost_and_the_table_is_shown(golden: Golden, tmp_path: Path) -> None:
    """On a terminal, where there are bars."""
    leader, follower = pty.openpty()
    folder = tmp_path / "lost"
    process = subprocess.Popen(
        command(
            "tiny", "--seeds", "1,", "--set", "dataset.dies=8", "--set", "dataset.times=9", "--retries", "0",
            "--out", folder,
        ),
        stdout=subprocess.PIPE,
        stderr=follower,
        text=True,
        env={**os.environ, "ZOO_PLUGINS": "", "TERM": "xterm", "COLUMNS": "120"},
    )  # fmt: skip
    os.close(follower)
    shown = b""
    with contextlib.suppress(OSError):  # it has ended
        while data := os.read(leader, 1 << 16):
            shown += data
    os.close(leader)
    out, _ = process.communicate(timeout=LONGEST)
    assert process.returncode == 1
    assert "━" in shown.decode()
    assert "SIGKILL" in shown.decode()
    golden.says(out)
    (trial,) = json.loads((folder / "sweep.json").read_bytes())["trials"]
    assert trial["status"] == "lost"
    assert "SIGKILL" in trial["error"]
    assert trial["error"] in out


@pytest.mark.slow
def test_sweep_over_optimizers_chooses_by_a_registered_metric(tmp_path: Path) -> None:
    folder = tmp_path / "optimizers"
    done = sweep(
        "tiny", "--optimizer", "sgd,adam,lion", "--set", "optimizer.learning_rate=3e-3", "--augment", "shift",
        "--monitor", "macro-f1", "--metric", "ece", "--epochs", "2", "--jobs", "2", "--out", folder, "--json",
    )  # fmt: skip
    assert done.status == 0, done.err
    shown, found = json.loads(done.out), records(folder)
    assert (shown["choose_by"], shown["mode"]) == ("macro-f1", "max")
    assert [each["settings"]["optimizer"] for each in sorted(shown["configurations"], key=lambda c: c["number"])] == [
        "keras/sgd", "keras/adam", "keras/lion",
    ]  # fmt: skip
    values = {trial["number"]: trial["validation"]["macro-f1"] for trial in shown["trials"]}
    best = max(values, key=lambda number: values[number])
    (chosen,) = [each for each in shown["configurations"] if each["is_best"]]
    assert values[chosen["number"]] == values[best]
    assert set(chosen["test"]) == {"loss", "accuracy", "macro-f1", "ece"}
    for record in found.values():
        assert (record["recipe"]["monitor"], record["recipe"]["augmentations"][0]["name"]) == ("macro-f1", "shift")
        history = [epoch["validation"]["others"]["macro-f1"] for epoch in record["history"]]
        assert record["validation"]["others"]["macro-f1"] == max(history)


@pytest.mark.slow
def test_cross_validation_predicts_each_image_with_the_model_that_has_not_seen_it(tmp_path: Path) -> None:
    folder = tmp_path / "folds"
    done = sweep("tiny", "--folds", "2", "--seeds", "2", "--epochs", "1", "--jobs", "2", "--out", folder, "--json")
    assert done.status == 0, done.err
    shown = json.loads(done.out)
    assert [(trial["seed"], trial["fold"]) for trial in shown["trials"]] == [*itertools.product((0, 1), (1, 2))]
    (configuration,) = shown["configurations"]
    accuracies = [trial["validation"]["accuracy"] for trial in shown["trials"]]
    assert configuration["validation"]["accuracy"]["mean"] == pytest.approx(statistics.fmean(accuracies))
    loaded = zoo.load_data(shown["trials"][0]["run"], registry=zoo.load_registry(files=[PLUGIN]))
    split = without_validation(loaded)
    labels, file = labels_of(split.train, len(split.class_names)), Path(shown["out_of_fold"]["file"])
    data = digest_of_split(loaded)
    read = partial(read_out_of_fold, images=len(labels), classes=len(split.class_names), data=data)
    joined = read(folder)
    np.testing.assert_array_equal(joined.indices, np.arange(len(split.train)))
    np.testing.assert_array_equal(joined.labels, labels)
    total = np.zeros_like(joined.probabilities, dtype=float)
    for trial in shown["trials"]:
        run = zoo.open_run(trial["run"])
        assert run.record.recipe.fold == (trial["fold"], 2)
        fold = read(run.path)
        assert fold.accuracy == pytest.approx(trial["validation"]["accuracy"])  # the images that it validated on
        assert set(fold.indices) == set(fold_indices(split, trial["fold"], 2))
        total[fold.indices] += fold.probabilities
    np.testing.assert_allclose(joined.probabilities, total / 2, rtol=1e-5)
    assert shown["out_of_fold"]["accuracy"] == joined.accuracy
    damaged = bytearray(file.read_bytes())
    damaged[-1] ^= 0x40
    file.write_bytes(damaged)
    with pytest.raises(ArtifactError):
        read(file)


# A search.

SEARCH = (
    "tiny", "--search", "optuna", "--trials", "3", "--prune", "halving", "--epochs", "2", "--set", "dataset.hold=2",
    "--range", "optimizer.learning_rate=1e-5..1e-1:log", "--range", "model.units=4..16",
    "--choose", "model.widths=[8],[8,8]",
)  # fmt: skip


@pytest.mark.slow
def test_search_stops_hopeless_trials_and_tests_the_best(tmp_path: Path, registry: Registry) -> None:
    folder = tmp_path / "search"
    arguments = command(*SEARCH, "--out", folder, "--json")
    with start(arguments, {GATES: str(tmp_path)}, stdout=subprocess.PIPE) as process:
        first: list[float] = []  # losses of the first epoch
        expected: list[str] = []
        for number in range(3):
            wait_for(lambda number=number: has_an_epoch(folder, count=number + 1), "an epoch")
            name, record = sorted(records(folder).items())[number]
            first.append(record["history"][0]["validation"]["loss"])
            # of fewer than six that have come so far, halving lets the best go on
            expected.append("trained" if first[-1] == min(first) else "pruned")
            if expected[-1] == "trained":
                (tmp_path / name).touch()  # another is held until it is stopped
        out, said = process.communicate(timeout=LONGEST)
    assert process.returncode == 0, said
    shown = json.loads(out)
    assert [trial["status"] for trial in shown["trials"]] == expected
    assert set(expected) == {"trained", "pruned"}
    found = [record for _, record in sorted(records(folder).items())]
    for each in shown["configurations"]:
        recipe = found[each["trials"][0] - 1]["recipe"]
        assert each["settings"].pop("optimizer.learning_rate") == recipe["optimizer"]["settings"]["learning_rate"]
        assert each["settings"].items() >= {"model.widths": recipe["model"]["settings"]["widths"]}.items()
    for record in found:
        assert 1e-5 <= record["recipe"]["optimizer"]["settings"]["learning_rate"] <= 1e-1
        assert 4 <= record["recipe"]["model"]["settings"]["units"] <= 16
        assert record["recipe"]["model"]["settings"]["widths"] in ([8], [8, 8])
    for trial, record in zip(shown["trials"], found, strict=True):
        if trial["status"] == "pruned":
            assert len(record["history"]) == 1
    best = min((t for t in shown["trials"] if t["status"] == "trained"), key=lambda t: t["validation"]["loss"])
    assert [trial["number"] for trial in shown["trials"] if trial["test"]] == [best["number"]]

    # a search that was stopped after two of them proposes the same third
    record = SweepStore.open(folder).record
    shorter = SweepStore(tmp_path, msgspec.structs.replace(record, trials=record.trials[:2], best=None))
    proposed = Search(shorter, registry).next()
    assert proposed == msgspec.structs.replace(
        record.trials[2], status="waiting", values=[], best_epoch=None, validation=None, test=None, seconds=0.0
    )


# A cluster.


@pytest.fixture
def cluster() -> Iterator[Nodes]:
    """A cluster of two nodes, of which nothing is left in the end."""
    with two_nodes() as started:
        yield started


@pytest.mark.full
def test_cluster_that_loses_a_node_and_then_a_process_comes_to_the_same_bits(
    swept: tuple[Path, Outcome], cluster: Nodes, golden: Golden, tmp_path: Path
) -> None:
    folder = tmp_path / "cluster"
    arguments = command(
        "tiny", "--set", "model.units=8,16", "--seeds", "1,", "--set", "dataset.hold=2", "--address", cluster.address,
        "--out", folder,
    )  # fmt: skip

    def started() -> list[int]:
        logs = "".join(path.read_text() for path in folder.glob("*/trial.log"))
        return [int(number) for number in re.findall(r" train: \D*(\d+)", logs)]

    with start(arguments, {**LOOPBACK, GATES: str(tmp_path)}) as process:
        wait_for(lambda: has_an_epoch(folder), "an epoch")
        first = started()
        cluster.remove()
        wait_for(lambda: len(alive(first)) == 1, "the end of the process on the second node")
        os.kill(alive(first)[0], signal.SIGKILL)
        for name in records(folder):
            (tmp_path / name).touch()
        _, said = process.communicate(timeout=LONGEST)
    assert process.returncode == 0, said
    assert processes_of(folder) == []
    found, expected = records(folder), records(swept[0])
    assert bits(found["001-units=8"]) == bits(expected["002-units=8-seed=1"])
    assert bits(found["002-units=16"]) == bits(expected["004-units=16-seed=1"])
    assert len(started()) == 4  # each began again once
    again = sorted(line for line in said.splitlines() if line.startswith("trial ") and "checkpoint" in line)
    assert [line[:17] for line in again] == ["trial 1/2  units=", "trial 2/2  units="]
    golden.says("\n".join(again))


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}/exe").exists()]


LOOPBACKS = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
"""127.0.0.1, the same as an address of IPv6, and ::1, as the system writes them."""


def descendants(pid: int) -> set[int]:
    """Return the processes that a process has started, and those that they have."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def listening(pids: set[int]) -> list[str]:
    """Return the addresses on which processes listen for others."""
    own = set()
    for pid in pids:
        for path in Path(f"/proc/{pid}/fd").glob("*"):
            with contextlib.suppress(OSError):
                own.add(os.readlink(path))
    found = []
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in own:
                found.append(fields[1].partition(":")[0])
    return found


@pytest.mark.slow
def test_cluster_of_its_own_in_a_strangers_folder_until_ctrl_c(tmp_path: Path) -> None:
    """It listens on the loopback interface alone, imports nothing from the folder, and ends with the sweep."""
    here, folder, beside = tmp_path / "here", tmp_path / "own", tmp_path / "beside"
    here.mkdir()
    beside.mkdir()
    for name in ("ray", "msgspec", "keras", "tensorflow", "zoo", "zoo_ray"):
        (here / f"{name}.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'a').write('{name} ')\n")
    (beside / "sweep_plugin.py").write_bytes(PLUGIN.read_bytes())
    (beside / "data").symlink_to(Path(zoo_fashion.__file__).with_name("data"))
    arguments = [
        sys.executable, "-P", "-m", "zoo", "--plugin", "../beside/sweep_plugin.py", "sweep", "tiny", "--seeds", "1,",
        "--set", "dataset.hold=2", "--address", "local", "--data-dir", "../beside/data", "--out", "../own",
    ]  # fmt: skip
    with start(arguments, {GATES: str(tmp_path)}, here) as process:
        wait_for(lambda: has_an_epoch(folder, count=1) or process.poll() is not None, "an epoch")
        assert not (tmp_path / "imported").exists()
        started = descendants(process.pid)
        addresses = listening(started)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=LONGEST)
    assert len(addresses) >= 3  # of the head, the node and the worker
    assert set(addresses) <= LOOPBACKS
    assert process.returncode == 130
    assert "sweep --resume ../own --data-dir ../beside/data --address local" in said
    assert [record["status"] for record in records(folder).values()] == ["interrupted"]
    wait_for(lambda: not alive([*started]), "the end of the cluster")
    assert not (tmp_path / "imported").exists()


def test_cluster_that_is_away_is_told_at_once_and_the_sweep_goes_on_later(
    golden: Golden, tmp_path: Path, call: Zoo
) -> None:
    folder = tmp_path / "away"
    done = call("tiny", "--set", "model.units=8,16", "--address", "127.0.0.1:9", "--out", folder)
    assert (done.status, done.out) == (1, "")
    line = error_of(done)
    assert f"sweep --resume {folder} --address 127.0.0.1:9" in line
    golden.says(re.sub(r"\[Errno \d+\] [A-Z][a-z ]+", "<fault of the system>", line))
    assert [trial["status"] for trial in json.loads((folder / "sweep.json").read_bytes())["trials"]] == ["waiting"] * 2


# What is wrong with a call is told before anything starts.

FAULTS: list[tuple[list[str], int]] = [
    ([], 2),
    (["tinny"], 1),
    (["tiny", "--set", "model.unit=8,16"], 1),
    (["tiny", "--set", "model.units=8,many"], 1),
    (["tiny", "--set", "model.units"], 2),
    (["tiny", "--set", "model.units=8,,16"], 2),
    (["tiny", "--set", "model.units=8,8"], 2),
    (["tiny", "--set", "model.units=8", "--set", "model.units=9"], 2),
    (["tiny", "--set", "optimizer.learning_rate=0.1,0.10"], 1),
    (["tiny", "--set", "model.widths=[8,8],[8,x]"], 1),
    (["tiny", "--set", "model.widths=[8,8],[8"], 2),
    (["tiny", "--set", "seed=1,2"], 2),
    (["tiny", "--set", "fold=1,2"], 2),
    (["tiny", "--folds", "1"], 2),
    (["tiny", "--folds", "1000", "--seeds", "3"], 1),
    (["tiny", "--seeds", "many"], 2),
    (["tiny", "--seeds", "0"], 2),
    (["tiny", "--seeds", "1,1"], 2),
    (["tiny", "--seeds", str(2**32) + ","], 2),
    (["tiny", "--seeds", "20000"], 1),
    (["tiny", "--model", "sweep-nett"], 1),
    (["tiny", "--track", "nobody"], 1),
    (["tiny", "--epochs", "1", "--set", "epochs=1,2"], 1),
    (["tiny", "--set", "monitor=loss,accuracy"], 1),
    (["tiny", "--trials", "3"], 2),
    (["tiny", "--search", "optuna"], 2),
    (["tiny", "--search", "optuna", "--trials", "3"], 2),
    (["tiny", "tiny", "--search", "optuna", "--trials", "3", "--range", "model.units=4..8"], 2),
    (["tiny", "--trial-cpus", "2"], 2),
    (["--address", "elsewhere", "tiny"], 2),
    (["--resume", "nowhere"], 1),
    (["--resume", "nowhere", "tiny", "--set", "model.units=8"], 1),
    (["--resume", "/", "tiny"], 1),
    *(
        (["tiny", "--search", "optuna", "--trials", "3", *more], status)
        for more, status in (
            (["--range", "model.units=8..4"], 2),
            (["--range", "model.units=8"], 2),
            (["--range", "optimizer.learning_rate=0..1:log"], 2),
            (["--range", "optimizer.learning_rate=-1..1"], 1),
            (["--range", "model.units=4.5..8"], 1),
            (["--range", "optimizer.cosine=0..1"], 1),
            (["--range", "trainer.flip_tta=0..1"], 1),
            (["--choose", "model.units=4,x"], 1),
            (["--choose", "model.units=4,8", "--seeds", "2"], 2),
            (["--choose", "model.units=4,8", "--folds", "2"], 2),
            (["--choose", "model.units=4,8", "--set", "epochs=1,2"], 2),
            (["--choose", "model.units=4,8", "--range", "model.units=4..8"], 2),
        )
    ),
]


@pytest.mark.parametrize(("arguments", "status"), FAULTS, ids=[" ".join(fault[0]) or "nothing" for fault in FAULTS])
def test_fault_is_one_clear_line_before_anything_starts(
    call: Zoo, golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], status: int
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call(*arguments)
    assert (done.status, done.out) == (status, "")
    golden.says(error_of(done))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("module", "extra", "arguments"),
    [
        ("optuna", "sweep", ["--search", "optuna", "--trials", "3", "--range", "model.units=4..8"]),
        ("ray", "ray", ["--address", "local"]),
    ],
    ids=["optuna", "ray"],
)
def test_missing_extra_is_one_clear_line(
    call: Zoo,
    golden: Golden,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    extra: str,
    arguments: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    done = call("tiny", *arguments)
    assert (done.status, done.out) == (1, "")
    assert f"keras-zoo[{extra}]" in error_of(done)
    golden.says(error_of(done))
    assert list(tmp_path.iterdir()) == []
