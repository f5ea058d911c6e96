"""Exported files: their predictions match the model in their own runtimes, say what they are, and need no Keras."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from zoo_export.onnx_metadata import read_metadata, with_metadata

import zoo
from tests.support import ROOT
from tests.support.command_line import Zoo
from tests.support.golden import Golden
from tests.support.small_recipe import make_registry, shipped
from zoo import Entry, Exported, Exporter, Registry, Run
from zoo.errors import (
    AmbiguousNameError,
    ArtifactError,
    InvalidEntryError,
    NoKerasModelError,
    ParityError,
    PluginError,
    RunFolderError,
    SettingError,
    ZooWarning,
)
from zoo.models.build import build_model
from zoo.models.inference import inference_model
from zoo.pipeline.exported import make_exporter
from zoo.recipes.components import default_component
from zoo.runs import ExportFileRecord, read_record, write_record
from zoo.testing import Check, checks_of
from zoo.training.trainer import make_trainer

IMAGES, LABELS = shipped().test[np.arange(40)]


@pytest.fixture(scope="module")
def onnx(small_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """An ONNX file of the small run; not to be changed."""
    (exported,) = zoo.export(small_run, out=tmp_path_factory.mktemp("exported"), registry=make_registry())
    return exported


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i, image in enumerate(IMAGES[:5]):
        Image.fromarray(image[..., 0]).save(folder / f"{i}.png")
    return folder


def test_file_answers_like_the_model(small_run: Run, onnx: Exported, registry: Registry) -> None:
    parity = onnx.record.parity
    assert (parity.images, parity.different_predictions) == (200, 0)
    assert parity.largest_difference < 1e-5
    assert small_run.test_metrics is not None
    assert parity.accuracy == parity.model_accuracy == parity.run_accuracy == small_run.test_metrics.accuracy
    model, file = zoo.load(small_run, registry=registry), zoo.load(onnx.path, registry=registry)
    assert (file.class_names, file.input_shape, file.image_input) == (
        model.class_names,
        model.input_shape,
        model.image_input,
    )
    for count in (0, 1, 40):
        found = file.predict(IMAGES[:count])
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, model.predict(IMAGES[:count]), atol=1e-5)


def test_record_beside_it_has_its_digest_and_says_what_the_file_says(small_run: Run, onnx: Exported) -> None:
    record = read_record(onnx.path.with_name("small.onnx.json"), ExportFileRecord)
    assert record == onnx.record
    assert list(record.files) == [".onnx"]
    assert record.files[".onnx"].size == onnx.path.stat().st_size
    assert msgspec.json.decode(read_metadata(onnx.path), type=type(record.export)) == record.export
    assert (record.export.run, record.export.exporter) == (small_run.record.id, "export/onnx")
    assert sorted(path.name for path in onnx.path.parent.iterdir()) == ["small.onnx", "small.onnx.json"]


def test_onnx_knows_the_metadata(onnx: Exported) -> None:
    import onnx as library

    found = library.load(str(onnx.path))
    assert {each.key: each.value for each in found.metadata_props}["zoo"] == read_metadata(onnx.path)
    library.checker.check_model(found, full_check=True)
    assert [each.name for each in found.graph.input] == ["images"]
    assert [each.name for each in found.graph.output] == ["probabilities"]


def test_file_has_no_keras_model_and_no_run(onnx: Exported, registry: Registry) -> None:
    loaded = zoo.load(onnx.path, registry=registry)
    for name in ("run", "model", "trainer"):
        with pytest.raises(NoKerasModelError) as caught:
            getattr(loaded, name)
        assert caught.value.path == str(onnx.path)
        assert not hasattr(loaded, name)


@pytest.mark.slow
@pytest.mark.parametrize("format_", ["keras", "litert", "openvino", "saved-model"])
def test_other_formats_answer_like_the_model(small_run: Run, tmp_path: Path, registry: Registry, format_: str) -> None:
    (exported,) = zoo.export(small_run, format_, out=tmp_path, registry=registry)
    assert exported.record.parity.largest_difference < 1e-5
    assert exported.record.parity.different_predictions == 0
    if format_ in ("keras", "saved-model"):  # which may contain code
        with pytest.raises(ArtifactError) as caught:
            zoo.load(exported.path, registry=registry)
        assert caught.value.path == str(exported.path)
        assert zoo.find_exports(small_run, registry=registry) == []
    else:
        found = zoo.load(exported.path, registry=registry).predict(IMAGES)
        np.testing.assert_allclose(found, zoo.load(small_run, registry=registry).predict(IMAGES), atol=1e-5)


@pytest.mark.slow
def test_means_over_mirror_images_and_float32_are_part_of_the_file(tmp_path: Path, registry: Registry) -> None:
    settings = {"trainer.flip_tta": True, "trainer.precision": "mixed_bfloat16"}
    run = zoo.run("small", epochs=1, settings=settings, out=tmp_path / "run", registry=registry)
    (exported,) = zoo.export(run, registry=registry)
    assert exported.path == run.path / "exports" / "small.onnx"
    assert exported.record.parity.largest_difference < 1e-5
    assert exported.record.export.dtype_policy == "mixed_bfloat16"
    found = zoo.load(exported.path, registry=registry).predict(IMAGES)
    np.testing.assert_allclose(found, zoo.load(exported.path, registry=registry).predict(IMAGES[:, :, ::-1]), atol=1e-5)
    assert zoo.load(run, registry=registry).predict(IMAGES).shape == found.shape  # the run can still be read


@pytest.mark.slow
def test_8_bit_integers_cost_what_is_said(
    small_run: Run, onnx: Exported, tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    (exported,) = zoo.export(small_run, int8=True, tolerance=0.1, out=tmp_path, registry=registry)
    assert exported.path.name == "small-int8.onnx"
    assert exported.record.export.int8
    predicted = zoo.load(exported.path, registry=registry).predict(shipped().test[np.arange(200)][0])
    accuracy = float((predicted.argmax(axis=1) == shipped().test[np.arange(200)][1]).mean())
    assert exported.record.parity.accuracy == accuracy
    assert b"DequantizeLinear" in exported.path.read_bytes()
    assert b"DequantizeLinear" not in onnx.path.read_bytes()
    monkeypatch.setattr("zoo.pipeline.export.MAX_ACCURACY_LOSS", -1.0)
    with pytest.raises(ParityError) as caught:
        zoo.export(small_run, int8=True, out=tmp_path / "none", registry=registry)
    assert isinstance(caught.value.parity, type(exported.record.parity))
    assert not (tmp_path / "none").exists()


def test_format_without_8_bit_integers_is_refused_before_the_model_is_loaded(
    tmp_path: Path, registry: Registry
) -> None:
    with pytest.raises(SettingError) as caught:
        zoo.export("fashion-cnn", ["onnx", "keras"], int8=True, out=tmp_path / "out", registry=registry)
    assert (caught.value.name, caught.value.value) == ("format", "keras")
    assert not (tmp_path / "out").exists()


class Wrong(Exporter):
    """Forgets to scale the pixels, as people do who write the preprocessing again."""

    def export(self, model: Any, path: Path, metadata: str, calibration: Any) -> None:
        path.write_text(metadata)
        Wrong.model = model

    def read_metadata(self, path: Path) -> str | None:
        return path.read_text()

    def open(self, path: Path, threads: int | None = None) -> Any:
        return lambda images: np.asarray(Wrong.model(np.float32(images) / 255))

    model: Any = None


def test_file_that_answers_otherwise_is_not_left(small_run: Run, tmp_path: Path, registry: Registry) -> None:
    registry.exporters.add(Entry(name="wrong", target=Wrong, suffix=".wrong", summary="Forgets something."))
    with pytest.raises(ParityError) as caught:
        zoo.export(small_run, "wrong", out=tmp_path, registry=registry)
    parity = caught.value.parity
    assert parity.largest_difference > parity.tolerance  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == []


def test_exporter_that_answers_otherwise_fails_its_check(registry: Registry) -> None:
    registry.exporters.add(Entry(name="wrong", target=Wrong, suffix=".wrong", summary="Forgets something."), plugin="w")
    from zoo.registry.plugin import Plugin

    registry.plugins["w"] = Plugin(name="w", source="w")
    (check,) = [each for each in checks_of("w", registry=registry) if each.name.endswith("what the model predicts")]
    with pytest.raises(AssertionError):
        check.run()


@pytest.mark.parametrize("check", checks_of("export"), ids=lambda check: check.name)
def test_plugin(check: Check) -> None:
    check.run()


def test_file_is_replaced_only_by_the_same_run(small_run: Run, tmp_path: Path, registry: Registry) -> None:
    other = shutil.copytree(small_run.path, tmp_path / "other")
    record = small_run.record
    write_record(other / "run.json", msgspec.structs.replace(record, id="other"))
    out = tmp_path / "out"
    (first,) = zoo.export(small_run, out=out, registry=registry)
    (again,) = zoo.export(small_run, out=out, registry=registry)
    assert again.path == first.path
    before = again.path.read_bytes()
    with pytest.raises(RunFolderError) as caught:
        zoo.export(other, out=out, registry=registry)
    assert caught.value.path == str(first.path)
    assert again.path.read_bytes() == before
    own = tmp_path / "own"
    own.mkdir()
    (own / "small.onnx").write_text("mine")
    with pytest.raises(RunFolderError):
        zoo.export(small_run, out=own, registry=registry)
    assert (own / "small.onnx").read_text() == "mine"


def test_name_in_a_record_is_no_path(small_run: Run, tmp_path: Path, registry: Registry) -> None:
    run = shutil.copytree(small_run.path, tmp_path / "a" / "b" / "run")
    recipe = msgspec.structs.replace(small_run.record.recipe, name="../../evil")
    write_record(run / "run.json", msgspec.structs.replace(small_run.record, recipe=recipe))
    with pytest.raises(InvalidEntryError):
        zoo.export(run, registry=registry)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


@pytest.mark.parametrize(
    "options", [{"tolerance": 0.1}, {"int8": True, "tolerance": -1.0}, {"int8": True, "tolerance": float("nan")}]
)
def test_tolerance_is_a_share_and_for_int8(small_run: Run, registry: Registry, options: Any) -> None:
    with pytest.raises(SettingError) as caught:
        zoo.export(small_run, registry=registry, **options)
    assert caught.value.name == "tolerance"


@pytest.mark.parametrize("formats", [[], None, 5, b"onnx", ["onnx", None], Path("onnx")])
def test_formats_are_names_of_exporters(small_run: Run, registry: Registry, formats: Any) -> None:
    with pytest.raises(SettingError) as caught:
        zoo.export(small_run, formats, registry=registry)
    assert (caught.value.name, caught.value.value) == ("formats", formats)


class Odd(Wrong):
    """Takes only even numbers of images, as files that were traced with one batch size do."""

    def open(self, path: Path, threads: int | None = None) -> Any:
        def run(images: NDArray[np.uint8]) -> NDArray[Any]:
            found = np.asarray(Wrong.model(images))
            return found if len(images) % 2 == 0 else found[:, ::-1]

        return run


class Broken(Wrong):
    """Predicts NaN for some images."""

    def open(self, path: Path, threads: int | None = None) -> Any:
        def run(images: NDArray[np.uint8]) -> NDArray[Any]:
            found = np.array(Wrong.model(images))
            found[-1] = np.nan
            return found

        return run


class Empty(Wrong):
    """Writes nothing."""

    def export(self, model: Any, path: Path, metadata: str, calibration: Any) -> None:
        pass


@pytest.mark.parametrize(("kind", "error"), [(Odd, ParityError), (Broken, ArtifactError), (Empty, PluginError)])
def test_faults_of_a_file_are_found(
    small_run: Run, tmp_path: Path, registry: Registry, kind: Any, error: type[Exception]
) -> None:
    registry.exporters.add(Entry(name="wrong", target=kind, suffix=".wrong", summary="Is wrong."))
    with pytest.raises(error):
        zoo.export(small_run, "wrong", out=tmp_path, registry=registry)
    assert list(tmp_path.iterdir()) == []


def test_exports_of_a_run_are_found(small_run: Run, onnx: Exported, tmp_path: Path, registry: Registry) -> None:
    run = zoo.open_run(shutil.copytree(small_run.path, tmp_path / "run"))
    folder = run.path / "exports"
    assert zoo.find_exports(run, registry=registry) == []
    shutil.copytree(onnx.path.parent, folder)
    (folder / "foreign.onnx").write_bytes(b"not ours")
    shutil.copy(onnx.path, folder / "without.onnx")
    assert zoo.find_exports(run, registry=registry) == [Exported(path=folder / "small.onnx", record=onnx.record)]


def test_export_can_be_renamed_with_its_record(onnx: Exported, tmp_path: Path, registry: Registry) -> None:
    path = tmp_path / "shirts.v2.onnx"
    shutil.copy(onnx.path, path)
    shutil.copy(onnx.path.with_name("small.onnx.json"), tmp_path / "shirts.v2.onnx.json")
    assert zoo.load(path, registry=registry).exported == onnx.record.export
    data = path.read_bytes()
    path.write_bytes(data + data[-10:])
    with pytest.raises(ArtifactError):
        zoo.load(path, registry=registry)


# --- files from elsewhere


def test_file_that_names_another_file_is_refused(onnx: Exported, tmp_path: Path, registry: Registry) -> None:
    """The runtime would read it, relative to the current folder."""
    import onnx as library

    found, metadata = library.load(str(onnx.path)), read_metadata(onnx.path)
    del found.metadata_props[:]
    weights = found.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = library.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="secret.txt")
    path = tmp_path / "spy.onnx"
    path.write_bytes(with_metadata(found.SerializeToString(), metadata))
    with pytest.raises(ArtifactError) as caught:
        zoo.load(path, registry=registry)
    assert caught.value.path == str(path)


def test_metadata_that_was_appended_is_refused(onnx: Exported, tmp_path: Path, registry: Registry) -> None:
    metadata = read_metadata(onnx.path).replace('"Trouser"', '"Pyjamas"')
    path = tmp_path / "changed.onnx"
    for added in (with_metadata(b"", metadata), with_metadata(b"", metadata)[:-1]):
        path.write_bytes(onnx.path.read_bytes() + added)
        with pytest.raises(ArtifactError):
            zoo.load(path, registry=registry)


def test_pipe_is_refused(tmp_path: Path, registry: Registry) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(ArtifactError):
        zoo.load(tmp_path / "pipe.onnx", registry=registry)


def test_suffix_of_two_exporters_is_ambiguous(onnx: Exported, registry: Registry) -> None:
    registry.exporters.add(Entry(name="other", target=Wrong, suffix=".onnx", summary="The same suffix."))
    with pytest.raises(AmbiguousNameError) as caught:
        zoo.load(onnx.path, registry=registry)
    assert set(caught.value.choices) == {"export/onnx", "local/other"}
    with pytest.raises(AmbiguousNameError):
        zoo.export("fashion-cnn", ["onnx", "other"], registry=registry)


@pytest.mark.parametrize("suffix", [None, "", "onnx", ".json", ".ONNX", ".a/b"])
def test_suffix_that_is_not_allowed_is_refused(registry: Registry, suffix: Any) -> None:
    with pytest.raises(InvalidEntryError):
        registry.exporters.add(Entry(name="odd", target=Wrong, suffix=suffix, summary="Is odd."))
    with pytest.raises(InvalidEntryError):
        registry.models.add(Entry(name="odd", target=Wrong, suffix=".odd", summary="Is odd."))


def test_run_folder_may_have_the_suffix_of_a_file(small_run: Run, tmp_path: Path, registry: Registry) -> None:
    run = shutil.copytree(small_run.path, tmp_path / "first.onnx")
    assert zoo.load(run, registry=registry).run.path == run


def test_command_without_keras_predicts_what_the_run_predicts(
    small_run: Run, onnx: Exported, pictures: Path, run_zoo: Zoo
) -> None:
    file = run_zoo("predict", onnx.path, pictures, "--json", "--top", "10")
    run = run_zoo("predict", small_run.path, pictures, "--json", "--top", "10")
    assert (file.status, run.status) == (0, 0)
    several = [[_by_class(row) for row in json.loads(done.out)] for done in (file, run)]
    for one, other in zip(*several, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def _by_class(row: dict[str, Any]) -> dict[str, float]:
    return {each["class"]: each["probability"] for each in row["predictions"]}


HIDE = """
import sys
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] in ("keras", "tensorflow", "jax", "torch", "h5py", "matplotlib", "safetensors", "onnx"):
            raise ModuleNotFoundError("not installed", name=name)
sys.meta_path.insert(0, Finder)
from zoo.cli import main
main()
"""


@pytest.mark.slow
def test_only_its_runtime_is_needed(small_run: Run, tmp_path: Path, pictures: Path, onnx: Exported) -> None:
    """Nothing but numpy, Pillow, click, pluggy, msgspec, rich and ONNX Runtime can be imported."""
    variables = {**os.environ, "ZOO_PLUGINS": "export,images,fashion"}
    done = subprocess.run(
        [sys.executable, "-c", HIDE, "predict", str(onnx.path), str(pictures), "--json"],
        capture_output=True,
        text=True,
        env=variables,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == 5
    # the dataset of this recipe is the tests' own; the file can say that it is the whole one
    import onnx as library

    whole, own = (
        tmp_path / "whole.onnx",
        '"dataset":{"name":"slice","plugin":"local","settings":{"train":600,"test":200}}',
    )
    found, metadata = library.load(str(onnx.path)), read_metadata(onnx.path)
    assert own in metadata
    del found.metadata_props[:]
    metadata = metadata.replace(own, '"dataset":{"name":"fashion-mnist","plugin":"fashion","settings":{}}')
    whole.write_bytes(with_metadata(found.SerializeToString(), metadata))
    done = subprocess.run(
        [sys.executable, "-c", HIDE, "test", str(whole), "--json", "--quiet"],
        capture_output=True,
        text=True,
        env=variables,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    images, labels = shipped().test[np.arange(10_000)]
    expected = zoo.load(onnx.path, registry=make_registry()).predict(images).argmax(axis=1)
    assert found["test"]["accuracy"] == float((expected == labels).mean())
    assert np.sum(found["confusion_matrix"]) == 10_000


def test_file_is_tested_on_its_data(onnx: Exported, run_zoo: Zoo, golden: Golden) -> None:
    done = run_zoo("test", onnx.path, "--json")
    assert done.status == 0, done.err
    found = json.loads(done.out)
    assert found["test"]["accuracy"] == onnx.record.parity.accuracy
    assert (found["file"], found["recipe"], len(found["classes"])) == (str(onnx.path), "small", 10)
    assert run_zoo("test", onnx.path).status == 0


def damaged(data: bytes, metadata: str, name: str) -> bytes:
    rest = data[: -len(with_metadata(b"", metadata))]
    ways = {
        "empty": b"",
        "text": b"<html>not found</html>" * 100,
        "cut off": data[: len(data) // 2],
        "flipped bit": data[:5000] + bytes([data[5000] ^ 1]) + data[5001:],
        "without metadata": rest,
        "metadata of another type": with_metadata(rest, metadata.replace('"int8":false', '"int8":12345')),
        "unknown key": with_metadata(rest, metadata.replace('"int8":', '"intX":')),
        "absurd shape": with_metadata(rest, metadata.replace('"input_shape":[28,28,1]', '"input_shape":[28,28,0]')),
        "other classes": with_metadata(rest, metadata.replace('"Trouser",', "")),
        "huge field": b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f" + data,
    }
    return ways[name]


DAMAGES = [
    "empty",
    "text",
    "cut off",
    "flipped bit",
    "without metadata",
    "metadata of another type",
    "unknown key",
    "absurd shape",
    "other classes",
    "huge field",
]


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_file_is_refused_by_name(
    onnx: Exported, tmp_path: Path, pictures: Path, registry: Registry, run_zoo: Zoo, golden: Golden, name: str
) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(damaged(onnx.path.read_bytes(), read_metadata(onnx.path), name))
    with pytest.raises(ArtifactError) as caught:
        zoo.load(path, registry=registry).predict(IMAGES)
    assert caught.value.path == str(path)
    done = run_zoo("predict", path, pictures, "--invert", "no")
    assert (done.status, done.out) == (1, "")
    golden.says(done.err)


def test_file_that_does_not_exist_or_is_a_folder_is_refused(tmp_path: Path, registry: Registry) -> None:
    (tmp_path / "folder.onnx").mkdir()
    for name in ("none.onnx", "folder.onnx"):
        with pytest.raises(ArtifactError) as caught:
            zoo.load(tmp_path / name, registry=registry)
        assert caught.value.path == str(tmp_path / name)


@pytest.mark.slow
def test_format_without_metadata_needs_the_record_beside_it(small_run: Run, tmp_path: Path, registry: Registry) -> None:
    (exported,) = zoo.export(small_run, "litert", out=tmp_path, registry=registry)
    loaded = zoo.load(exported.path, registry=registry)
    assert loaded.predict(np.zeros((1, 28, 28, 1), np.uint8)).shape == (1, 10)  # before any other number of images
    beside = exported.path.with_name("small.tflite.json")
    text = beside.read_text()
    beside.write_text(text.replace("Trouser", "Trousers"))
    with pytest.raises(zoo.errors.RunFolderError):  # its seal is broken
        zoo.load(exported.path, registry=registry)
    beside.write_text(text)
    file = exported.path.read_bytes()
    exported.path.write_bytes(file[:5000] + bytes([file[5000] ^ 1]) + file[5001:])
    with pytest.raises(ArtifactError) as caught:
        zoo.load(exported.path, registry=registry)
    assert caught.value.path == str(exported.path)
    beside.unlink()
    with pytest.raises(ArtifactError) as caught:
        zoo.load(exported.path, registry=registry)
    assert caught.value.path == str(exported.path)


def test_missing_runtime_is_said_before_keras_is_loaded(
    small_run: Run, run_zoo: Zoo, monkeypatch: pytest.MonkeyPatch, golden: Golden
) -> None:
    monkeypatch.setattr("zoo_export.extras.find_spec", lambda name: None)
    done = run_zoo("export", small_run.path)
    assert done.status == 1
    golden.says(done.err)
    with pytest.raises(PluginError) as caught:
        zoo.export(small_run, "litert", registry=make_registry())
    assert caught.value.plugin is None


def test_command_prints_a_table_and_json(small_run: Run, tmp_path: Path, run_zoo: Zoo) -> None:
    done = run_zoo("export", small_run.path, "--out", tmp_path, "--json", "--quiet")
    assert done.status == 0, done.err
    (found,) = json.loads(done.out)
    assert found["file"] == str(tmp_path / "small.onnx")
    assert found["parity"]["images"] == 200
    again = run_zoo("export", small_run.path, "--out", tmp_path)
    assert again.out.splitlines()[1].split()[0] == str(tmp_path / "small.onnx")


def test_tolerance_without_8_bit_integers_is_refused(small_run: Run, run_zoo: Zoo, golden: Golden) -> None:
    done = run_zoo("export", small_run.path, "--tolerance", "0.1")
    assert done.status == 1
    golden.says(done.err)


def test_files_are_predicted_in_code_as_at_the_shell(
    small_run: Run, pictures: Path, registry: Registry, run_zoo: Zoo
) -> None:
    loaded = zoo.load(small_run, registry=registry)
    rows = json.loads(run_zoo("predict", small_run.path, pictures, "--json", "--top", "10").out)
    found = loaded.predict_files(pictures)
    assert [each.file for each in found] == [row["file"] for row in rows]
    assert [dict(each.classes) for each in found] == [_by_class(row) for row in rows]
    (one,) = loaded.predict_files([pictures / "1.png"], top=1)
    assert [name for name, _ in one.classes] == [found[1].classes[0][0]]  # the last bits may differ with the batch
    (pictures / "bad.png").write_bytes(b"not an image")
    with pytest.raises(zoo.DataError):
        loaded.predict_files(pictures)
    with pytest.warns(ZooWarning):
        assert loaded.predict_files(pictures, skip_bad=True) == found


@pytest.mark.parametrize(
    "options",
    [
        {"files": 3},
        {"files": [b"a.png"]},
        {"files": None},
        {"top": 0},
        {"top": 1.5},
        {"invert": True},
        {"skip_bad": "no"},
        {"skip_bad": None},
    ],
)
def test_arguments_of_predict_files_are_checked(onnx: Exported, registry: Registry, options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(SettingError) as caught:
        zoo.load(onnx.path, registry=registry).predict_files(**{"files": [], **options})
    assert caught.value.name == name


def test_file_is_not_a_run_to_test(onnx: Exported, registry: Registry) -> None:
    with pytest.raises(SettingError) as caught:
        zoo.test(onnx.path, registry=registry)
    assert caught.value.value == onnx.path


def test_model_needs_keras_and_says_so(
    small_run: Run, registry: Registry, monkeypatch: pytest.MonkeyPatch, golden: Golden
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "keras" else found(name, *more)
    )
    with golden.raises(zoo.ZooError):
        zoo.load(small_run, registry=registry)


def test_predict_says_what_it_passed_over(
    small_run: Run, onnx: Exported, pictures: Path, run_zoo: Zoo, golden: Golden
) -> None:
    (pictures / "IMG_1.HEIC").write_bytes(b"....ftypheic")
    (pictures / "notes.txt").write_text("a note")
    (pictures / ".DS_Store").write_bytes(b"")
    done = run_zoo("predict", onnx.path, pictures, "--invert", "no")
    assert (done.status, len(done.out.splitlines())) == (1, 5)
    golden.says(done.err)
    assert run_zoo("predict", onnx.path, pictures, "--skip-bad").status == 0


@pytest.mark.slow
def test_recipe_in_bfloat16_is_exported(tmp_path: Path, registry: Registry) -> None:
    (exported,) = zoo.export("fashion-cnn-fast", out=tmp_path, registry=registry)
    parity = exported.record.parity
    assert (parity.images, parity.different_predictions) == (10_000, 0)
    assert parity.run_accuracy == pytest.approx(parity.accuracy, abs=0.002)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "format_"),
    [("convmixer", "onnx"), ("resnet-20", "keras")],
)
def test_networks_with_layers_and_activations_of_their_own(
    tmp_path: Path, registry: Registry, model: str, format_: str
) -> None:
    """Exact GELU, which tf2onnx does not know; batch normalization that derives from Keras's."""
    import keras

    keras.utils.set_random_seed(0)
    built = build_model(default_component(registry.models.get(model)), (28, 28, 1), 10)
    trainer = make_trainer(default_component(registry.trainers.get("fit")))
    registered = registry.exporters.get(format_)
    exporter, path = make_exporter(registered), tmp_path / f"file{registered.item.suffix}"
    exporter.export(inference_model(built, trainer, (28, 28, 1)), path, "{}", None)
    np.testing.assert_allclose(exporter.open(path)(IMAGES), trainer.predict(built, IMAGES), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("format_", "is_int8"),
    [("onnx", False), ("onnx", True), ("openvino", False), ("litert", False), ("saved-model", False)],
)
def test_tensors_that_layers_keep_are_in_the_file(
    tmp_path: Path, registry: Registry, format_: str, is_int8: bool
) -> None:
    import keras

    keras.utils.set_random_seed(0)
    images = keras.Input((28, 28, 1))
    normalized = keras.layers.Normalization(mean=[0.3], variance=[0.1])(images) / keras.ops.array([[[0.5]]])
    model = keras.Model(images, keras.layers.Dense(10, "softmax")(keras.layers.Flatten()(normalized)))
    trainer = make_trainer(default_component(registry.trainers.get("fit")))
    registered = registry.exporters.get(format_)
    exporter, path = make_exporter(registered), tmp_path / f"file{registered.item.suffix}"
    exporter.export(inference_model(model, trainer, (28, 28, 1)), path, "{}", IMAGES if is_int8 else None)
    for count in (1, 40):
        expected = trainer.predict(model, IMAGES[:count])
        np.testing.assert_allclose(exporter.open(path)(IMAGES[:count]), expected, atol=0.1 if is_int8 else 1e-5)


@pytest.mark.full
@pytest.mark.parametrize("format_", ["onnx", "litert"])
def test_format_that_jax_cannot_make_names_the_backend_that_can(tmp_path: Path, format_: str, golden: Golden) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "zoo", "export", "fashion-cnn", "--format", format_, "--out", str(tmp_path), "--quiet"],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, list(tmp_path.glob("fashion-cnn*"))) == (1, [])
    golden.says(done.stderr.splitlines()[-1])


@pytest.mark.slow
def test_keras_file_of_layers_that_are_not_keras_s_is_refused(tmp_path: Path, registry: Registry) -> None:
    built = build_model(default_component(registry.models.get("vit-tiny")), (28, 28, 1), 10)
    trainer = make_trainer(default_component(registry.trainers.get("fit")))
    exporter = make_exporter(registry.exporters.get("keras"))
    with pytest.raises(PluginError) as caught:
        exporter.export(inference_model(built, trainer, (28, 28, 1)), tmp_path / "file.keras", "{}", None)
    assert caught.value.plugin == "zoo_vision"
    assert not (tmp_path / "file.keras").exists()


def test_programs_of_the_page_run(
    onnx: Exported,
    pictures: Path,
    tmp_path: Path,
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One with zoo, and one without."""
    (tmp_path / "exports").mkdir()
    shutil.copy(onnx.path, tmp_path / "exports" / "fashion-cnn.onnx")
    shutil.copy(pictures / "0.png", tmp_path / "shirt.png")
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "guides" / "exporting.md").read_text()
    with_zoo, without = re.findall(r"```python\n(.*?)```", page, re.S)
    assert len(without.splitlines()) <= 20
    assert "zoo." not in without
    for code in (with_zoo, without):
        exec(compile(code, "exporting.md", "exec"), {})  # noqa: S102  # the code is the page's
    probabilities = zoo.load(onnx.path, registry=registry).predict(IMAGES[:1])[0]
    best = onnx.record.export.data.class_names[int(probabilities.argmax())]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"shirt.png (('{best}', ")
    assert lines[1] == f"{best} {probabilities.max():.1%}"


def test_images_of_another_type_are_refused(onnx: Exported, registry: Registry) -> None:
    wrong: NDArray[Any] = np.zeros((1, 28, 28, 1), np.float32)
    with pytest.raises(zoo.DataError):
        zoo.load(onnx.path, registry=registry).predict(wrong)
