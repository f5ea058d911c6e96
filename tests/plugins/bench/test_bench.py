"""`zoo bench`: rounds, statistics, and models that fail; a toy runtime in real processes, and slowly the real ones."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import zoo_bench
import zoo_fashion
from numpy.typing import NDArray
from zoo_bench.benchmarking import measure_in_rounds, summarize_subject
from zoo_bench.latency_plot import draw, points_of
from zoo_bench.measuring import Measured, measure_once
from zoo_bench.messages import Evaluated, Failed, Job, Loaded, Peak, Timed
from zoo_bench.showing import as_csv, as_table, milliseconds
from zoo_bench.statistics import has_settled, percentile, summarize
from zoo_bench.subjects import Subject, find_subjects
from zoo_bench.worker import confine, measure, peak_memory, random_images

import zoo
from tests.support import SUPPORT
from tests.support.command_line import Zoo
from tests.support.exported_files import export_onnx, export_record, write_beside
from tests.support.toy_exporter import ENTRY
from zoo import Registry, Run, SettingError
from zoo.errors import ArtifactError, RunFolderError, UnknownNameError, ZooWarning

PLUGIN = SUPPORT / "toy_exporter.py"
RECIPE = "fashion-cnn-fast"
QUICK = ("--seconds", "0.01", "--rounds", "1", "--batch-size", "1", "--batch-size", "2")
JOB = Job(
    source="", is_exported=True, plugin_files=[str(PLUGIN)], batch_sizes=[1, 2], seconds=0.01,
    cpus=sorted(os.sched_getaffinity(0)), test=False, data_dir=None,
)  # fmt: skip


def subject(name: str, kind: str = "keras", accuracy: float | None = 0.9) -> Subject:
    return Subject(
        name=name,
        source=f"runs/{name}",
        format=kind,
        accuracy=accuracy,
        size_bytes=2_000_000,
        is_exported=kind != "keras",
    )


def timed(*milliseconds: float, batch_size: int = 1, is_settled: bool = True) -> Timed:
    return Timed(batch_size=batch_size, milliseconds=[*milliseconds], is_settled=is_settled)


def loaded(seconds: float = 1.0) -> Loaded:
    return Loaded(seconds=seconds, accelerator="", packages={"keras": "3.15.0"})


def measured(*milliseconds: float, seconds: float = 1.0, memory: int = 10**8) -> Measured:
    return Measured(loaded=loaded(seconds), timed=[timed(*milliseconds)], peak=Peak(memory_bytes=memory))


def report(*results: zoo_bench.Result) -> zoo_bench.Report:
    machine = zoo_bench.Machine(
        processor="A CPU",
        cpus=4,
        threads=2,
        accelerator="",
        platform="Linux x86_64",
        load_average=0.5,
        packages={"keras": "3.15.0"},
    )
    return zoo_bench.Report(machine=machine, rounds=1, seconds=2.0, results=[*results])


@pytest.fixture
def run(registry: Registry) -> Run:
    """A trained run, from a recipe's weights."""
    registry.exporters.add(ENTRY)
    return zoo.open_run(RECIPE, registry=registry)


@pytest.fixture
def folder(run: Run, tmp_path: Path) -> Path:
    """A run folder of its own."""
    return Path(shutil.copytree(run.path, tmp_path / "first"))


def write_toy(run: Run, path: Path, content: str = "good", accuracy: float = 0.1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    write_beside(path, export_record(run, exporter="local/toy"), accuracy)
    return path


# statistics


@pytest.mark.parametrize("percent", [1, 50, 90, 99])
@pytest.mark.parametrize("count", [1, 2, 5, 200])
def test_percentile_is_that_of_numpy(count: int, percent: int) -> None:
    values = np.random.default_rng(0).random(count)
    assert percentile(values.tolist(), percent) == pytest.approx(np.percentile(values, percent))


def test_latency_settles_when_calls_stop_getting_faster() -> None:
    assert not has_settled([])
    assert not has_settled([0.001] * 19)
    assert has_settled([0.001] * 20)
    assert has_settled([0.009, 0.005, 0.003, *[0.001] * 20])
    assert not has_settled([0.002] * 10 + [0.001] * 10)
    assert has_settled([0.001] * 19 + [0.05])  # a single slow call is noise


def test_of_slow_calls_fewer_are_compared() -> None:
    assert not has_settled([3.0] * 3)
    assert has_settled([3.0] * 4)
    assert not has_settled([4.0, 4.0, 3.0, 3.0])
    assert has_settled([0.25] * 8)


def test_fastest_round_counts() -> None:
    found = summarize([timed(*[2.0] * 9, batch_size=8), timed(4.0, batch_size=8), timed(100.0, batch_size=8)])
    assert (found.batch_size, found.median_ms, found.images_per_second, found.calls) == (8, 2.0, 4000.0, 11)
    assert (found.round_medians_ms, found.spread) == ([2.0, 4.0, 100.0], 49.0)
    assert found.is_settled
    assert not summarize([timed(1.0), timed(1.0, is_settled=False)]).is_settled


# measuring


def test_calls_are_warmed_up_and_timed() -> None:
    sizes: list[int] = []

    def predict(images: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
        sizes.append(len(images))
        time.sleep(0.002)
        return np.zeros((len(images), 10), np.float32)

    found = measure(predict, random_images(3, (4, 4, 1)), seconds=0.05)
    assert set(sizes) == {3}
    assert found.batch_size == 3
    assert 5 <= len(found.milliseconds) < len(sizes)
    assert min(found.milliseconds) >= 2.0


def test_images_are_the_same_each_time() -> None:
    one, other = random_images(5, (3, 2, 1)), random_images(5, (3, 2, 1))
    assert one.shape == (5, 3, 2, 1)
    assert one.dtype == np.uint8
    assert (one == other).all()


def test_peak_memory_is_that_of_this_process() -> None:
    before = peak_memory()
    data = np.ones(20_000_000, np.uint8)
    assert before > 10_000_000
    assert peak_memory() >= before
    assert data.any()


def test_threads_that_a_runtime_put_elsewhere_are_confined() -> None:
    allowed, ended = os.sched_getaffinity(0), threading.Event()
    cpu = min(allowed)
    thread = threading.Thread(target=ended.wait)
    thread.start()
    try:
        confine([cpu])
        masks = [os.sched_getaffinity(int(each)) for each in os.listdir("/proc/self/task")]
    finally:
        confine(sorted(allowed))
        ended.set()
        thread.join()
    assert len(masks) >= 2
    assert all(mask == {cpu} for mask in masks)


def test_rounds_are_interleaved_and_a_failed_model_is_left_out() -> None:
    jobs: list[Job] = []

    def once(job: Job) -> Measured:
        jobs.append(job)
        return Measured(error="It is damaged.") if job.source == "runs/b" else measured(1.0)

    lines: list[str] = []
    template = msgspec.structs.replace(JOB, test=True)
    found = measure_in_rounds([subject("a"), subject("b"), subject("c", "onnx")], template, 3, lines.append, once)
    assert [job.source[-1] for job in jobs] == list("abcacac")
    assert [job.is_exported for job in jobs[:3]] == [False, False, True]
    assert [job.test for job in jobs] == [True] * 3 + [False] * 4
    assert [len(each) for each in found] == [3, 1, 3]
    assert len(lines) == 7


def test_result_has_the_fastest_round_and_the_highest_peak() -> None:
    rounds = [measured(1.0, seconds=9.0), measured(2.0, seconds=2.0, memory=3 * 10**8), measured(3.0, seconds=3.0)]
    found = summarize_subject(subject("a"), rounds)
    assert (found.load_seconds, found.peak_memory_bytes, found.latency[0].median_ms) == (3.0, 3 * 10**8, 1.0)
    assert (found.accuracy, found.accuracy_source, found.error) == (0.9, "recorded", None)
    rounds[0].add(Evaluated(accuracy=0.5))
    found = summarize_subject(subject("a"), rounds)
    assert (found.accuracy, found.accuracy_source) == (0.5, "measured")


def test_unknown_accuracy_stays_unknown() -> None:
    found = summarize_subject(subject("a", accuracy=None), [measured(1.0)])
    assert (found.accuracy, found.accuracy_source) == (None, None)


def test_model_that_failed_halfway_keeps_what_was_measured() -> None:
    half = Measured(loaded=loaded(), timed=[timed(1.0)])
    assert not half.add(Failed(error="MemoryError: "))
    found = summarize_subject(subject("a"), [half])
    assert (found.error, found.peak_memory_bytes, len(found.latency)) == ("MemoryError: ", None, 1)


# which models


def test_run_stands_for_its_model_and_its_exported_files(registry: Registry, run: Run, folder: Path) -> None:
    write_toy(run, folder / "exports" / "b.toy", accuracy=0.5)
    (folder / "exports" / "a.onnx").write_bytes(b"nothing is recorded of it")
    (folder / "exports" / "notes.txt").write_text("")
    (folder / "exports" / "a.keras").write_text("a file that zoo does not open")
    keras, toy = find_subjects([folder], registry)
    assert run.record.test is not None
    assert (keras.format, keras.source, keras.is_exported) == ("keras", str(folder), False)
    assert (keras.accuracy, keras.size_bytes) == (
        run.record.test.accuracy,
        (folder / "model.safetensors").stat().st_size,
    )
    assert (toy.format, toy.accuracy, toy.size_bytes) == ("toy", 0.5, 4)
    assert {each.name for each in (keras, toy)} == {str(folder)}


def test_recipe_and_file_are_models_and_none_appears_twice(registry: Registry, run: Run, folder: Path) -> None:
    path = write_toy(run, folder / "exports" / "b.toy")
    found = find_subjects([path, folder, RECIPE, path, RECIPE], registry)
    assert [(each.name, each.format) for each in found] == [
        (str(path), "toy"),
        (str(folder), "keras"),
        (RECIPE, "keras"),
    ]
    assert found[2].source == RECIPE


def test_recipe_stands_for_the_files_of_its_weights_in_the_current_folder(
    registry: Registry, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_toy(run, Path("exports/a.toy"))
    other = msgspec.structs.replace(export_record(run), model_sha256="0")
    write_beside(write_toy(run, Path("exports/b.toy")), other, 0.2)
    Path("exports/c.onnx").write_text("nothing is recorded of it")
    assert [(each.format, each.source) for each in find_subjects([RECIPE], registry)] == [
        ("keras", RECIPE),
        ("toy", "exports/a.toy"),
    ]


def test_two_files_of_one_format_have_their_own_names(registry: Registry, run: Run, folder: Path) -> None:
    paths = [write_toy(run, folder / "exports" / name) for name in ("a.toy", "b.toy")]
    assert [each.name for each in find_subjects([folder], registry)] == [str(folder), *map(str, paths)]


def test_int8_is_part_of_the_format(registry: Registry, run: Run, tmp_path: Path) -> None:
    path = write_toy(run, tmp_path / "a.toy")
    write_beside(path, export_record(run, int8=True), 0.3)
    (found,) = find_subjects([path], registry)
    assert (found.format, found.accuracy) == ("toy int8", 0.3)


def test_accuracy_of_a_changed_file_is_not_used(registry: Registry, run: Run, tmp_path: Path) -> None:
    path = write_toy(run, tmp_path / "a.toy")
    path.write_text("other")
    with pytest.warns(ZooWarning):
        (found,) = find_subjects([path], registry)
    assert (found.accuracy, found.size_bytes) == (None, 5)


def test_damaged_file_of_a_run_is_left_out_with_a_warning(registry: Registry, run: Run, folder: Path) -> None:
    path = write_toy(run, folder / "exports" / "a.toy")
    path.write_text("other")
    with pytest.warns(ZooWarning, match=re.escape(str(path))):
        (found,) = find_subjects([folder], registry)
    assert found.format == "keras"


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("small", RunFolderError),  # it ships without weights
        ("fashion-cnn-fats", UnknownNameError),
        ("no/such/run", RunFolderError),
        ("missing.onnx", ArtifactError),
    ],
)
def test_unusable_name_is_refused_before_anything_is_measured(
    run_zoo: Zoo, registry: Registry, model: str, kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        find_subjects([RECIPE, model], registry)
    done = run_zoo("bench", RECIPE, model)
    assert (done.status, done.out) == (1, "")
    assert "round" not in done.err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_sizes", []),
        ("batch_sizes", [8, 8]),
        ("batch_sizes", [0]),
        ("batch_sizes", 8),
        ("batch_sizes", [[8]]),
        ("seconds", 0),
        ("seconds", "2"),
        ("seconds", None),
        ("rounds", 0),
        ("threads", 10_000),
        ("threads", 0),
    ],
)
def test_argument_that_is_not_allowed(registry: Registry, name: str, value: Any) -> None:
    with pytest.raises(SettingError) as raised:
        zoo_bench.benchmark(RECIPE, registry=registry, **{name: value})
    assert (raised.value.name, raised.value.value) == (name, value)


def test_no_model_is_refused(registry: Registry) -> None:
    with pytest.raises(SettingError) as raised:
        zoo_bench.benchmark(registry=registry)
    assert raised.value.name == "models"


@pytest.mark.parametrize(
    "options", [("--json", "--csv"), ("--plot", "bench.jpg"), ("--batch-size", "0"), ("--rounds", "0")]
)
def test_options_that_are_refused(run_zoo: Zoo, options: Sequence[str]) -> None:
    assert run_zoo("bench", RECIPE, *options).status == 2


# what is shown


RESULTS = report(
    summarize_subject(subject("a"), [measured(1.5, 2.5)]),
    summarize_subject(subject("b", "onnx", None), [Measured(error="It is damaged.")]),
)


def test_table_has_a_row_per_batch_size_and_one_for_a_failure() -> None:
    head, first, second, *notes = as_table(RESULTS).splitlines()
    assert head.split()[:5] == ["model", "format", "accuracy", "batch", "ms"]
    assert first.split()[:5] == ["a", "keras", "0.9000", "1", "2.00"]
    assert second.split()[:4] == ["b", "onnx", "-", "-"]
    assert second.endswith("It is damaged.")
    assert any("A CPU" in line and "2 threads" in line for line in notes)


def test_csv_has_a_line_per_batch_size() -> None:
    first, second = csv.DictReader(io.StringIO(as_csv(RESULTS)))
    assert (first["name"], first["median_ms"], first["calls"], first["threads"]) == ("a", "2.0", "2", "2")
    assert (second["median_ms"], second["accuracy"], second["error"]) == ("", "", "It is damaged.")


@pytest.mark.parametrize(("value", "text"), [(0.1234, "0.123"), (1.234, "1.23"), (12.34, "12.3"), (1234.5, "1234")])
def test_milliseconds_have_three_digits(value: float, text: str) -> None:
    assert milliseconds(value) == text


def test_plot_has_the_models_whose_accuracy_is_known() -> None:
    points, left_out = points_of(RESULTS)
    assert [(point.format, point.accuracy, point.latency.median_ms) for point in points] == [("keras", 0.9, 2.0)]
    assert len(left_out) == 1
    assert draw(points, RESULTS).startswith(b"\x89PNG")


# processes


def test_toy_is_measured_in_a_process(run: Run, tmp_path: Path) -> None:
    path = write_toy(run, tmp_path / "a.toy")
    data = str(Path(zoo_fashion.__file__).parent / "data")
    found = measure_once(msgspec.structs.replace(JOB, source=str(path), test=True, data_dir=data))
    assert found.error is None
    assert found.loaded is not None
    assert found.loaded.packages["numpy"] == np.__version__
    assert "keras" not in found.loaded.packages
    assert 0 < found.loaded.seconds < 60
    assert [each.batch_size for each in found.timed] == [1, 2]
    assert found.peak is not None
    assert found.peak.memory_bytes > 10_000_000
    assert found.evaluated == Evaluated(accuracy=0.1)  # a tenth of the images are of the first class


def test_failures_are_rows_and_the_others_are_measured(run_zoo: Zoo, run: Run, tmp_path: Path) -> None:
    contents = ("damaged", "good", "killed", "large")
    paths = [write_toy(run, tmp_path / f"{content}.toy", content) for content in contents]
    plot = tmp_path / "bench.png"
    done = run_zoo("--plugin", PLUGIN, "bench", *paths, *QUICK, "--json", "--plot", plot)
    assert done.status == 1, done.err
    found = msgspec.json.decode(done.out, type=zoo_bench.Report)
    rows = dict(zip(contents, found.results, strict=True))
    assert {name: len(row.latency) for name, row in rows.items()} == {"damaged": 0, "good": 2, "killed": 0, "large": 1}
    assert rows["good"].error is None
    assert "SIGKILL" in str(rows["killed"].error)
    assert "MemoryError" in str(rows["large"].error)
    assert (rows["damaged"].load_seconds, rows["damaged"].peak_memory_bytes) == (None, None)
    assert found.machine.threads == len(os.sched_getaffinity(0))
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_accuracy_that_cannot_be_measured_is_unknown(run_zoo: Zoo, run: Run, tmp_path: Path) -> None:
    path, plot = write_toy(run, tmp_path / "a.toy"), tmp_path / "bench.png"
    options = ("--data-dir", tmp_path / "nowhere", "--plot", plot, "--json")
    done = run_zoo("--plugin", PLUGIN, "bench", path, *QUICK, *options)
    assert done.status == 1
    (row,) = msgspec.json.decode(done.out, type=zoo_bench.Report).results
    assert row.error is not None
    assert len(row.latency) == 2
    assert (row.accuracy, row.accuracy_source) == (None, None)
    assert not plot.exists()
    assert "--data-dir" not in done.err  # which would be no help


def zoo_command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-P", "-m", "zoo", "--plugin", str(PLUGIN), "bench", *map(str, arguments)]


@pytest.mark.slow
def test_ctrl_c_ends_the_process_that_measures(run: Run, tmp_path: Path) -> None:
    path = write_toy(run, tmp_path / "a.toy", "endless")
    # a shell that starts the tests in the background has Ctrl-C ignored, and its children inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(zoo_command(path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not (children := processes_of(path, process.pid)):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert not any(Path(f"/proc/{child}").exists() for child in children)


def processes_of(path: Path, parent: int) -> list[int]:
    """Return the processes other than a parent whose command lines name a file."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(path).encode() in words and int(folder.name) != parent:
            found.append(int(folder.name))
    return found


@pytest.mark.slow
def test_process_ends_with_the_benchmark(run: Run, tmp_path: Path) -> None:
    path = write_toy(run, tmp_path / "a.toy", "endless")
    with subprocess.Popen(zoo_command(path), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while not (children := processes_of(path, process.pid)):
            time.sleep(0.05)
        process.kill()
        process.communicate(timeout=60)
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_run_and_its_onnx_file_side_by_side(registry: Registry, run: Run, folder: Path) -> None:
    export_onnx(run, folder / "exports" / "a.onnx", registry, accuracy=0.9244)
    command = [sys.executable, "-P", "-m", "zoo", "bench", str(folder), *QUICK, "--threads", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    found = json.loads(done.stdout)
    keras, onnx = found["results"]
    assert (keras["format"], onnx["format"]) == ("keras", "onnx")
    assert keras["accuracy_source"] == onnx["accuracy_source"] == "recorded"
    assert onnx["peak_memory_bytes"] < keras["peak_memory_bytes"]
    assert onnx["load_seconds"] < keras["load_seconds"]
    assert {"keras", "onnxruntime", "tensorflow"} <= set(found["machine"]["packages"])
    assert found["machine"]["threads"] == 1
    assert found["machine"]["accelerator"] == ""
    assert [each["batch_size"] for each in onnx["latency"]] == [1, 2]
