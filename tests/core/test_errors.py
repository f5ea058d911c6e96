"""Errors carry their facts as attributes, through copies, contexts and processes."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest
import zoo_results

import zoo
from zoo import DataError, Entry, PluginError, Registry, SettingError
from zoo.errors import AmbiguousNameError, RunFolderError, UnknownNameError
from zoo.utils.plugin_errors import plugin_errors


def test_unknown_name_tells_what_is_close(registry: Registry) -> None:
    with pytest.raises(UnknownNameError) as caught:
        zoo.prepare("smal", registry=registry)
    error = caught.value
    assert (error.kind, error.name) == ("recipe", "smal")
    assert "small" in error.suggestions
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own
    assert (str(again), again.kind, again.suggestions) == (str(error), error.kind, error.suggestions)
    other = error.with_message("Elsewhere.")
    assert (str(other), other.name, type(other)) == ("Elsewhere.", "smal", UnknownNameError)


def test_ambiguous_name_tells_the_choices(registry: Registry) -> None:
    for plugin in ("one", "two"):
        registry.models.add(Entry(name="twin", target=dict, summary="One of two."), plugin=plugin)
    with pytest.raises(AmbiguousNameError) as caught:
        zoo.prepare("small", model="twin", registry=registry)
    assert (caught.value.kind, caught.value.choices) == ("model", ("one/twin", "two/twin"))


def test_setting_tells_its_name_and_value(registry: Registry) -> None:
    with pytest.raises(SettingError) as caught:
        zoo.prepare("small", settings={"model.dropot": 0.25}, registry=registry)
    assert (caught.value.name, caught.value.value) == ("model.dropot", 0.25)
    assert caught.value.suggestions[0] == "model.dropout"
    with pytest.raises(SettingError) as caught:
        zoo.prepare("small", settings={"model.dropout": "much"}, registry=registry)
    assert (caught.value.name, caught.value.value, caught.value.suggestions) == ("model.dropout", "much", ())


def test_folders_and_files_are_told(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(RunFolderError) as caught:
        zoo.open_run(tmp_path)
    assert caught.value.path == str(tmp_path)
    with pytest.raises(DataError) as missing:
        zoo.prepare("small", dataset="npz", data_dir=tmp_path / "none.npz", registry=registry)
    assert missing.value.path == str(tmp_path / "none.npz")


def test_builder_that_fails_is_told_with_file_and_line(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = """def build(input_shape, num_classes):
    import keras
    inputs = keras.Input(input_shape)
    return keras.layers.Dense("many")(inputs)  # line 4
"""
    (tmp_path / "failing_builder.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "failing_builder", raising=False)
    registry.models.add(Entry(name="failing", target="failing_builder:build", summary="Fails."), plugin="mine")
    with pytest.raises(PluginError) as caught:
        zoo.train("small", model="failing", registry=registry, out=tmp_path / "run")
    error = caught.value
    assert (error.plugin, error.file, error.line) == ("mine", str(tmp_path / "failing_builder.py"), 4)
    assert "failing_builder.py" in str(error)  # not golden: the rest are words of Keras


@pytest.mark.parametrize(
    ("who", "plugin"),
    [
        ("model mine/net", "mine"),
        ("training images of dataset mine/photos", "mine"),
        ("augmentation mine/dim", "mine"),
        ("callbacks of plugin 'mine'", "mine"),
        ("model of runs/first", None),
    ],
)
def test_plugin_of_an_error_is_told(who: str, plugin: str | None) -> None:
    with pytest.raises(PluginError) as caught, plugin_errors(who, "work"):
        raise ValueError("no")
    assert caught.value.plugin == plugin


def test_error_of_a_plugin_s_own_keeps_its_facts() -> None:
    class OwnError(DataError):
        def __init__(self, line: int) -> None:
            super().__init__(f"Line {line} is wrong.", path="data.csv")
            self.line = line

    other = OwnError(3).with_message("Elsewhere.")
    assert (str(other), other.line, other.path) == ("Elsewhere.", 3, "data.csv")


def test_shipped_run_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = zoo.open_run("fashion-cnn-fast")
    assert run.is_pretrained
    written = zoo_results.write_report(run, mistakes=0)
    assert written == Path("fashion-cnn-fast-report.html")
    assert not (run.path / "report.html").exists()
    with pytest.raises(zoo.ZooError):
        zoo_results.compare(run)
