"""A plugin-based model zoo: one command trains, saves, loads and tests any registered model on any data set.

The names below are imported when they are first used, so that ``import zoo`` costs nothing.
"""

from __future__ import annotations

from typing import Any

_HOMES = {
    "zoo.allocator": ("keep_freed_memory",),
    "zoo.blame": ("one_line", "printable"),
    "zoo.catalog": ("Catalog",),
    "zoo.cli.quiet": ("import_keras",),
    "zoo.errors": (
        "AmbiguousNameError",
        "ArtifactError",
        "CheckFailedError",
        "CycleError",
        "DataError",
        "DivergedError",
        "InvalidEntryError",
        "PluginError",
        "PluginWarning",
        "RenamedWarning",
        "RunFolderError",
        "SettingError",
        "UnknownNameError",
        "ZooError",
        "ZooWarning",
    ),
    "zoo.examples": (
        "ArrayExamples",
        "Subset",
        "check_labels",
        "scale_pixels",
    ),
    "zoo.extras": ("missing_extra",),
    "zoo.files": (
        "check_writable",
        "write_file",
    ),
    "zoo.hardware": (
        "enable_onednn",
        "usable_memory",
    ),
    "zoo.hookspecs": ("hookimpl",),
    "zoo.interfaces": (
        "Dataset",
        "Entry",
        "Examples",
        "ImageInput",
        "ModelBuilder",
        "Progress",
        "Recipe",
        "RunContext",
        "RunSettings",
        "Split",
        "SteppedTraining",
        "Trainer",
        "Training",
    ),
    "zoo.interrupts": (
        "HeldSignals",
        "StopRequested",
        "end_on_signals",
    ),
    "zoo.loading": ("LoadedModel",),
    "zoo.multiply_adds": ("count_multiply_adds",),
    "zoo.plugins": ("load_registry",),
    "zoo.records": (
        "EpochRecord",
        "Metrics",
        "RecipeRecord",
        "RecipeResults",
        "RunRecord",
        "SeedRecord",
    ),
    "zoo.predictions": (
        "Predictions",
        "read_predictions",
    ),
    "zoo.registry": ("Registry",),
    "zoo.reproducing": (
        "Reproduction",
        "reproduce",
    ),
    "zoo.results": (
        "read_results",
        "record_results",
    ),
    "zoo.runner": (
        "check_data_dir",
        "load",
        "load_and_test",
        "load_data",
        "open_run",
        "resolve_recipe",
        "resume",
        "run",
        "train_and_save",
    ),
    "zoo.settings": ("setting_text",),
    "zoo.runs": (
        "Run",
        "check_unused",
        "claimed",
        "find_runs",
    ),
    "zoo.sealed": (
        "read_record",
        "write_record",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)  # type checkers read __init__.pyi


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "__version__":
        return import_module("importlib.metadata").version("keras-zoo")
    if name in _HOME_OF:
        return getattr(import_module(_HOME_OF[name]), name)
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
