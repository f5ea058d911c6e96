"""What holds for all records, arrays and files: what is read is what was written, or nothing is."""

from __future__ import annotations

import functools
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import zoo
from tests.faults.corpus import body_of, seal_body
from tests.support.small_recipe import make_registry
from zoo import Run, ZooError
from zoo.errors import RunFolderError
from zoo.runs import array_io, record_io
from zoo.runs.checkpoints import Checkpoint, Checkpoints, describe
from zoo.runs.data_records import DataRecord, SkippedFiles
from zoo.runs.records import (
    CallbackRecord,
    CheckpointRecord,
    ComponentRecord,
    EnvironmentRecord,
    EpochRecord,
    FileRecord,
    Metrics,
    PluginRecord,
    RecipeRecord,
    ResumeRecord,
    RunRecord,
    Seconds,
)
from zoo.runs.run_folder import open_run

steady = settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None)

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.floats(allow_nan=False, allow_infinity=False)
durations = st.floats(0, 1e10)
integers = st.integers(-(2**63), 2**64 - 1)
counts = st.integers(0, 1 << 40)
images = st.integers(0, 10**9)
values = st.none() | st.booleans() | integers | numbers | names
losses = st.floats(-1e30, 1e30)
metrics = st.builds(Metrics, loss=losses, accuracy=st.floats(0, 1), others=st.dictionaries(names, losses, max_size=2))
measured = st.builds(Metrics, loss=st.floats(0, 1e30), accuracy=st.floats(0, 1))
epochs = st.builds(EpochRecord, epoch=counts, train=metrics, validation=st.none() | measured, seconds=durations)


def of_names(content: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(names, content, max_size=4)


parts = st.builds(ComponentRecord, name=names, plugin=names, settings=of_names(values | st.lists(values, max_size=4)))
sizes = st.integers(1, 400)
histories = st.lists(epochs, max_size=3).map(
    lambda several: [msgspec.structs.replace(each, epoch=number) for number, each in enumerate(several, start=1)]
)
run_records = st.builds(
    RunRecord,
    format=st.just(record_io.FORMAT),
    id=names,
    started=names,
    error=st.none() | names,
    recipe=st.builds(
        RecipeRecord,
        name=names,
        plugin=names,
        dataset=parts,
        model=parts,
        trainer=parts,
        optimizer=st.none() | parts,
        schedule=st.none() | parts,
        loss=st.none() | parts,
        augmentations=st.lists(parts, max_size=2),
        metrics=st.lists(parts, max_size=2),
        callbacks=st.lists(parts, max_size=2),
        epochs=counts,
        batch_size=counts,
        validation=counts,
        monitor=names,
        seed=counts,
    ),
    checkpoint_every=st.none() | counts,
    data=st.builds(
        DataRecord,
        train=images,
        validation=images,
        test=images,
        input_shape=st.tuples(sizes, sizes, sizes),
        class_names=st.lists(names, max_size=4),
        digests=of_names(names),
        skipped_files=st.none() | st.builds(SkippedFiles, count=images, names=st.lists(names, max_size=3)),
    ),
    parameters=counts,
    plugins=of_names(st.builds(PluginRecord, package=st.none() | names, version=names)),
    environment=st.builds(
        EnvironmentRecord,
        python=names,
        platform=names,
        processor=names,
        processors=counts,
        accelerator=st.none() | names,
        backend=names,
        float_type=names,
        dtype_policy=names,
        packages=of_names(names),
        variables=of_names(names),
    ),
    resumed=st.lists(st.builds(ResumeRecord, time=names, environment_changes=st.lists(names, max_size=3)), max_size=3),
    history=histories,
    best_epoch=st.none(),
    validation=st.none() | measured,
    test=st.none() | measured,
    model_sha256=st.none() | names,
    seconds=st.builds(Seconds, train=durations, total=durations),
)
file_records = st.builds(FileRecord, size=counts, sha256=names)
checkpoint_records = st.builds(
    CheckpointRecord,
    format=st.just(record_io.FORMAT),
    run=names,
    epoch=counts,
    step=counts,
    seconds=durations,
    history=histories.filter(bool),
    best_epoch=st.just(1),
    callbacks=of_names(st.builds(CallbackRecord, kind=names, state=of_names(values))),
    training=file_records,
    best=st.none() | file_records,
)


@pytest.mark.slow
@settings(steady, max_examples=150)
@given(run_records | checkpoint_records)
def test_record_is_read_as_it_was_written(record: RunRecord | CheckpointRecord) -> None:
    data = record_io.encode(record)
    read = record_io.decode(data, type(record), "it")
    assert read == record
    assert repr(read) == repr(record)  # -0.0 and 0.0, 1 and 1.0 and True are equal, and not the same
    assert record_io.encode(read) == data


@settings(steady, max_examples=100)
@given(run_records, st.data())
def test_record_of_which_a_byte_was_changed_is_refused(record: RunRecord, data: st.DataObject) -> None:
    content = record_io.encode(record)
    with pytest.raises(RunFolderError) as raised:
        record_io.decode(data.draw(mutations(content)), RunRecord, "it")
    assert raised.value.path == "it"


dtypes = st.sampled_from(
    ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"]
).map(np.dtype)
arrays = dtypes.flatmap(
    lambda dtype: npst.arrays(
        dtype,
        npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
        elements=npst.from_dtype(dtype, allow_nan=False, allow_infinity=False),
    )
)


@settings(steady, max_examples=150)
@given(st.dictionaries(names.filter(lambda name: name != "__metadata__"), arrays, max_size=5))
def test_arrays_are_read_as_they_were_written(content: dict[str, Any]) -> None:
    data = array_io.encode_arrays(content)
    layout = array_io.layout_of_arrays(content)
    assert len(data) <= array_io.size_limit(layout)
    read = array_io.decode(data, layout, "it")
    assert {name: (a.dtype, a.shape, a.tobytes()) for name, a in read.items()} == {
        name: (a.dtype, a.shape, a.tobytes()) for name, a in content.items()
    }
    assert array_io.encode_arrays(read) == data


@st.composite
def mutations(draw: st.DrawFn, data: bytes) -> bytes:
    """Draw what is not the data, but some bits, bytes or a piece of them away from it."""
    at = draw(st.integers(0, max(0, len(data) - 1)))
    kind = draw(st.sampled_from(["flip", "cut", "insert", "delete", "double", "swap"]))
    length = draw(st.integers(1, 64))
    match kind:
        case "flip":
            bit = draw(st.integers(0, 7))
            mutated = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :] if data else b"\0"
        case "cut":
            mutated = data[:at]
        case "insert":
            mutated = data[:at] + draw(st.binary(min_size=1, max_size=16)) + data[at:]
        case "delete":
            mutated = data[:at] + data[at + length :]
        case "double":
            mutated = data[: at + length] + data[at:]
        case _:
            mutated = data[at : at + length] + data[:at] + data[at + length :]
    return mutated if mutated != data else data + b"\0"


def swap(folder: Path, one: str, other: str) -> None:
    (folder / one).rename(folder / "between")
    (folder / other).rename(folder / one)
    (folder / "between").rename(folder / other)


@pytest.fixture
def eager() -> Iterator[None]:
    """Let TensorFlow compute step by step: to compile each model takes longer than what it is for."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def reported(eager: None) -> Callable[[Path], tuple[RunRecord, bytes]]:
    """Return a function that returns all that zoo reports of a run folder."""
    registry = make_registry()
    images = np.random.default_rng(0).integers(0, 256, size=(20, 28, 28, 1), dtype=np.uint8)

    @functools.cache  # the folders are all different, but for the sound one
    def report(folder: Path) -> tuple[RunRecord, bytes]:
        loaded = zoo.load(folder, registry=registry)
        assert loaded.run.record == open_run(folder).record
        return loaded.run.record, loaded.predict(images).tobytes()

    return report


@pytest.mark.slow
@settings(steady, max_examples=60)
@given(data=st.data())
def test_run_folder_that_was_changed_reports_the_same_or_nothing(
    small_run: Run, reported: Callable[[Path], tuple[RunRecord, bytes]], tmp_path_factory: Any, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("changed") / "run"
    shutil.copytree(small_run.path, folder)
    present = sorted(path.name for path in folder.iterdir())
    important = [*["run.json"] * 3, *["model.safetensors"] * 4, *present]
    name = data.draw(st.sampled_from(important))
    if other := data.draw(st.sampled_from([None] * 8 + [other for other in present if other != name])):
        swap(folder, name, other)
    else:
        (folder / name).write_bytes(data.draw(mutations((folder / name).read_bytes())))
    try:
        after = reported(folder)
    except ZooError:
        assert {name, other} & {"run.json", "model.safetensors"}  # the others are for people
        return
    assert after == reported(small_run.path)


RECORD = EpochRecord(
    epoch=1, train=Metrics(loss=0.5, accuracy=0.75), validation=Metrics(loss=0.25, accuracy=0.5), seconds=1.5
)
LIMITS = (10_000, 10_000)


def commit(folder: Path, value: float) -> Checkpoint:
    training, best = (array_io.encode_arrays({"model.000": np.full(9, value + i, np.float32)}) for i in (0, 1))
    record = CheckpointRecord(
        format=record_io.FORMAT,
        run="it",
        epoch=1,
        step=5,
        seconds=0.5,
        stopped=False,
        history=[RECORD],
        best_epoch=1,
        callbacks={},
        training=describe(training),
        best=describe(best),
    )
    checkpoint = Checkpoint(record=record, training=training, best=best)
    checkpoints = Checkpoints(folder, "it")
    if (folder / "checkpoints").exists():
        checkpoints.newest(LIMITS, lambda it, _: it, on_skip=pytest.fail)
    checkpoints.commit(checkpoint)
    return checkpoint


@pytest.mark.parametrize(
    "changes",
    [
        {"history": [msgspec.structs.replace(RECORD, epoch=2)]},
        {"history": [RECORD, RECORD], "epoch": 2},
        {"best_epoch": 2},
        {"best_epoch": 0},
        {"history": [], "epoch": 0},
    ],
)
def test_record_of_a_checkpoint_with_a_history_that_no_run_has_is_refused(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    sound = commit(tmp_path, 1.0).record

    def decode(changes: dict[str, Any]) -> CheckpointRecord:
        content = msgspec.json.encode(msgspec.to_builtins(sound) | msgspec.to_builtins(changes))
        return record_io.decode(seal_body(content.removesuffix(b"}")), CheckpointRecord, "it")

    assert decode({}) == sound
    with pytest.raises(RunFolderError) as raised:
        decode(changes)
    assert raised.value.path == "it"


@pytest.mark.slow
@settings(steady, max_examples=250)
@given(data=st.data())
def test_checkpoint_that_was_changed_is_skipped_and_said_to_be(tmp_path_factory: Any, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("run")
    older, newer = commit(folder, 1.0), commit(folder, 2.0)
    number, name = data.draw(st.sampled_from(["000001", "000002"])), data.draw(st.sampled_from(FILES))
    path = folder / "checkpoints" / number / name
    swapped = data.draw(st.sampled_from([None] * 8 + [other for other in FILES if other != name]))
    if data.draw(st.booleans()) and swapped:
        swap(path.parent, name, swapped)
    else:
        path.write_bytes(data.draw(mutations(path.read_bytes())))
    skipped: list[str] = []
    found = Checkpoints(folder, "it").newest(LIMITS, lambda it, _: it, on_skip=skipped.append)
    assert found == (newer if number == "000001" else older)
    assert [str(path.parent) in text for text in skipped] == ([] if number == "000001" else [True])


FILES = ["best.safetensors", "manifest.json", "training.safetensors"]


@settings(steady, max_examples=150)
@given(data=st.data())
def test_only_checkpoint_that_was_changed_is_refused(tmp_path_factory: Any, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("run")
    commit(folder, 1.0)
    path = folder / "checkpoints" / "000001" / data.draw(st.sampled_from(FILES))
    path.write_bytes(data.draw(mutations(path.read_bytes())))
    with pytest.raises(RunFolderError) as raised:
        Checkpoints(folder, "it").newest(LIMITS, lambda it, _: it, on_skip=lambda _: None)
    assert raised.value.path == str(folder / "checkpoints")


# those in between would show a reader that counts up to them by the memory of the machine, and not by an error
far = st.integers(-5, 10) | st.integers(10**16, 10**20)


@settings(steady, max_examples=150)
@given(far, st.sampled_from(["epoch", "best_epoch", "step"]))
def test_sealed_manifest_counts_what_its_history_has_or_is_refused(
    tmp_path_factory: Any, number: int, key: str
) -> None:
    folder = tmp_path_factory.mktemp("run")
    commit(folder, 1.0)
    path = folder / "checkpoints" / "000001" / "manifest.json"
    body = body_of(path.read_bytes())
    path.write_bytes(seal_body(body.replace(f'"{key}": '.encode(), f'"{key}": {number},\n  "was": '.encode(), 1)))
    manifest = msgspec.json.decode(path.read_bytes())
    del manifest["was"], manifest["sha256"]
    path.write_bytes(seal_body(msgspec.json.format(msgspec.json.encode(manifest), indent=2).removesuffix(b"\n}")))
    try:
        found = Checkpoints(folder, "it").newest(LIMITS, lambda it, _: it, on_skip=lambda _: None)
    except RunFolderError:
        assert number != 1 or key == "step"
        return
    assert found is not None
    assert number >= 0
    assert key == "step" or number == 1


@settings(steady, max_examples=200)
@given(losses)
def test_metric_is_told_with_every_digit(value: float) -> None:
    read = msgspec.json.decode(msgspec.json.encode(Metrics(loss=value, accuracy=0.0)), type=Metrics).loss
    assert (read, math.copysign(1, read)) == (value, math.copysign(1, value))
