"""The public names of zoo."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import zoo

PUBLIC = [
    "AmbiguousNameError",
    "ArrayExamples",
    "ArtifactError",
    "Catalog",
    "CheckFailedError",
    "CycleError",
    "DataError",
    "Dataset",
    "DivergedError",
    "Entry",
    "EpochRecord",
    "Examples",
    "HeldSignals",
    "ImageInput",
    "InvalidEntryError",
    "LoadedModel",
    "Metrics",
    "ModelBuilder",
    "PluginError",
    "PluginWarning",
    "Predictions",
    "Progress",
    "Recipe",
    "RecipeRecord",
    "RecipeResults",
    "Registry",
    "RenamedWarning",
    "Reproduction",
    "Run",
    "RunContext",
    "RunFolderError",
    "RunRecord",
    "RunSettings",
    "SeedRecord",
    "SettingError",
    "Split",
    "SteppedTraining",
    "StopRequested",
    "Subset",
    "Trainer",
    "Training",
    "UnknownNameError",
    "ZooError",
    "ZooWarning",
    "check_data_dir",
    "check_labels",
    "check_unused",
    "check_writable",
    "claimed",
    "count_multiply_adds",
    "enable_onednn",
    "end_on_signals",
    "find_runs",
    "hookimpl",
    "import_keras",
    "keep_freed_memory",
    "load",
    "load_and_test",
    "load_data",
    "load_registry",
    "missing_extra",
    "one_line",
    "open_run",
    "printable",
    "read_predictions",
    "read_record",
    "read_results",
    "record_results",
    "reproduce",
    "resolve_recipe",
    "resume",
    "run",
    "scale_pixels",
    "setting_text",
    "train_and_save",
    "usable_memory",
    "write_file",
    "write_record",
]


def test_public_names_are_these() -> None:
    assert zoo.__all__ == PUBLIC
    assert zoo.__all__ == sorted(zoo.__all__)


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_resolves_and_is_documented(name: str) -> None:
    assert getattr(zoo, name).__doc__


def test_type_checkers_are_told_of_the_same_names() -> None:
    stub = Path(zoo.__file__).with_name("__init__.pyi").read_text()
    assert sorted(re.findall(r"(\w+) as \1", stub)) == PUBLIC


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        zoo.nothing  # type: ignore[attr-defined]  # noqa: B018  # the access is the test


def test_every_error_stands_in_the_tree_and_is_public() -> None:
    from zoo import errors

    for name in errors.__all__:
        assert name in str(errors.__doc__)
        assert name in zoo.__all__
        assert issubclass(getattr(errors, name), errors.ZooError | errors.ZooWarning)


def test_star_import_brings_the_public_names() -> None:
    code = "from zoo import *; import zoo; assert set(zoo.__all__) <= set(globals()); assert zoo.__version__"
    subprocess.run([sys.executable, "-c", code], check=True)
